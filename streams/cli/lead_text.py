"""A lead as the command line shows it. Pure."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from processors.price import Price
from schemas.keys import ANONYMOUS, USER
from schemas.records import LeadSnapshot, Part, StageTransition, Text, Touch
from sinks.alert_text import SPOKEN_STAGES
from streams.cli.printing import escaped, when
from streams.priced_leads import PricedLead

_CUTS = {
    "rule_cap": "cap of the rule",
    "group_cap": "cap of the group",
    "group_floor": "floor of the group",
    "dimension_cap": "cap of the dimension",
    "cap": "cap of the score",
    "floor": "floor of the score",
    "inactivity": "inactivity",
}


def who(snapshot: LeadSnapshot) -> str:
    """`Ada Lovelace, CTO, Big Bank`, or what else is known; `visitor c_81f2` where nothing is."""
    return _known(snapshot) or f"visitor {lead_id(snapshot['lead_key'])}"


def lead_id(key: str) -> str:
    """An anonymous or user id as it was sent, without the digit of its key; commands take it. Else the key: a hash."""
    return escaped(key[1:] if key[:1] in (ANONYMOUS, USER) else key)


def _known(snapshot: LeadSnapshot) -> str:
    said = {name: _text(value) for name, value in snapshot["traits"].items()}
    name = said.get("name") or " ".join(filter(None, (said.get("first_name"), said.get("last_name"))))
    known = [name or said.get("email", ""), said.get("title", ""), said.get("company", "")]
    return ", ".join(filter(None, known))


def stage_name(stage: str) -> str:
    return escaped(stage.upper() if len(stage) <= SPOKEN_STAGES else stage)


def head(lead: PricedLead) -> str:
    snapshot, price = lead.snapshot, lead.price
    model = lead.active.ref
    return (
        f"{who(snapshot)}    {_stage(lead)}, grade {price.grade}, "
        f"score {price.score:.1f}, fit {price.fit:g}, model {model['name']}@{model['version']}"
    )


def _stage(lead: PricedLead) -> str:
    stage, leaving = stage_name(lead.snapshot["stage"]), lead.leaving
    if leaving is not None and leaving.at <= lead.price.at:
        return f"{stage} until {when(leaving.at)}"
    return f"{stage} since {when(lead.snapshot['entered_at'])}"


def why_lines(lead: PricedLead) -> list[str]:
    """The receipt: all points add up to the score."""
    price, lines = lead.price, [head(lead)]
    receipt = sorted(price.receipt(), key=lambda part: (part["dimension"] == "", part["dimension"]))
    for dimension, parts in groupby(receipt, key=lambda part: part["dimension"]):
        of_dimension = list(parts)
        title = f"{dimension or 'in all'}  {sum(part['points'] for part in of_dimension):.1f}"
        for number, part in enumerate(sorted(of_dimension, key=lambda part: -abs(part["points"]))):
            lines.append(f"  {escaped(title) if number == 0 else '':<20} {_part(part)}")
    if fit := price.fit_receipt():
        told = ", ".join(f"{escaped(part['id'])} {part['points']:g}" for part in fit)
        lines.append(f"  {f'fit  {price.fit:g}':<20} {told}")
    return [*lines, *_outlook(lead)]


def show_lines(lead: PricedLead, history: list[StageTransition]) -> list[str]:
    snapshot = lead.snapshot
    lines = [
        head(lead),
        f"  key          {escaped(snapshot['lead_key'])}",
        f"  known        {'yes' if lead.price.known else 'no'}",
        f"  visits       {snapshot['visits']}, first {when(snapshot['first_at'])}, last act {when(snapshot['last_at'])}",
        *(f"  {title:<12} {_touch(touch)}" for title, touch in _touches(snapshot)),
        *(f"  {escaped(name):<12} {_text(value)}" for name, value in sorted(snapshot["traits"].items())),
        *_outlook(lead),
    ]
    for told in history:
        move = f"{stage_name(told['from_stage'])} -> {stage_name(told['to_stage'])}"
        lines.append(f"  {when(told['at'])}  {move}, {escaped(told['cause'])}, score {told['score']:.1f}")
    return lines


def list_line(lead: PricedLead) -> str:
    snapshot, price = lead.snapshot, lead.price
    leaves = "" if lead.leaving is None else f"  leaves {when(lead.leaving.at)}"
    stage = stage_name(snapshot["stage"])
    known = _known(snapshot)
    named = f"{known}  ({lead_id(snapshot['lead_key'])})" if known else who(snapshot)
    return f"{price.grade}  {price.score:7.1f}  {stage:<14} {named}{leaves}"


def lead_data(lead: PricedLead) -> dict[str, Any]:
    snapshot, price = lead.snapshot, lead.price
    leaving = lead.leaving
    return {
        "id": snapshot["lead_key"],
        "at": price.at,
        "stage": snapshot["stage"],
        "entered_at": snapshot["entered_at"],
        "score": price.score,
        "raw": price.raw,
        "fit": price.fit,
        "grade": price.grade,
        "known": price.known,
        "traits": snapshot["traits"],
        "first_touch": snapshot["first_touch"],
        "last_touch": snapshot["last_touch"],
        "first_at": snapshot["first_at"],
        "last_at": snapshot["last_at"],
        "visits": snapshot["visits"],
        "model": lead.active.ref,
        "leaves": None if leaving is None else {"at": leaving.at, "stage": leaving.stage, "because": leaving.because},
    }


def receipt_data(price: Price) -> dict[str, Any]:
    return {"receipt": price.receipt(), "fit_receipt": price.fit_receipt()}


def _part(part: Part) -> str:
    if part["kind"] != "rule":
        about = "" if part["kind"] in ("cap", "floor") else f" {escaped(part['name'])}"
        return f"{_CUTS[part['kind']]}{about:<10} {part['points']:+.1f}"
    subject = f'  "{escaped(part["subject"])}"' if part["subject"] else ""
    sums = f"{part['units']:.2f} x {part['per_unit']:.1f} = {part['points']:.1f}"
    return f"{escaped(part['name']):<26} {sums:<22} {when(part['last_at'])}{subject}"


def _outlook(lead: PricedLead) -> list[str]:
    leaving, told = lead.leaving, []
    if leaving is not None:
        tense = "leaves" if leaving.at > lead.price.at else "has left"
        told.append(f"  without an act: {tense} {stage_name(leaving.stage)} on {when(leaving.at)} ({leaving.because})")
    if lead.missing_points is not None:
        grade, points = lead.missing_points
        told.append(f"  to grade {grade}: {points:+.1f}")
    return told


def _touches(snapshot: LeadSnapshot) -> list[tuple[str, Touch]]:
    pairs = (("first touch", snapshot["first_touch"]), ("last touch", snapshot["last_touch"]))
    return [(title, touch) for title, touch in pairs if touch is not None]


def _touch(touch: Touch) -> str:
    campaign: Mapping[str, object] = touch["campaign"] or {}
    words = [str(campaign.get(name)) for name in ("source", "medium", "name", "term") if campaign.get(name)]
    if touch["click_id"] is not None:
        words.append(touch["click_id"]["kind"])
    return escaped(f"{' / '.join(words)}, {when(touch['at'])}")


def _text(value: Text) -> str:
    return escaped(", ".join(value) if isinstance(value, list) else value)
