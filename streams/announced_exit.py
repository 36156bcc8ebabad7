"""When a lead that has just moved will leave its new stage if nothing more happens: what an alert announces."""

from processors.active_model import ActiveModel
from processors.next_exit import first_exit
from schemas.records import StageTransition
from schemas.rows import Row, Tally
from streams.clock import DAY_MS

_HORIZON_MS = 400 * DAY_MS


def announced_exit(transition: StageTransition, active: ActiveModel) -> int | None:
    """The instant in ms UTC, to a second; None: not within 400 days. Solved from the receipt, which has all units."""
    stage = next((stage for stage in active.model.stages if stage.id == transition["to_stage"]), None)
    if stage is None:
        return None
    at = transition["at"]
    return first_exit(_row(transition, active), stage, active, at, at + _HORIZON_MS)


def _row(transition: StageTransition, active: ActiveModel) -> Row:
    """As much of the row as prices a score."""
    at, rules = transition["at"], active.rules
    tallies = {
        part["id"]: Tally(rules[part["id"]].half_life_ms, part["units"])
        for part in transition["receipt"]
        if part["kind"] == "rule" and part["id"] in rules
    }
    lasts = [part["last_at"] for part in transition["receipt"] if part["id"] in tallies and rules[part["id"]].activity]
    return Row(
        now=at,
        ref=at,
        stage=transition["to_stage"],
        entered_at=at,
        tallies=tallies,
        last_at=max((last for last in lasts if last is not None), default=None),
    )
