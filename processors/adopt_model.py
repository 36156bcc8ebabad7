"""What a row does when a newer model comes into force: units of renamed rules go to their heirs, half-lives change."""

from math import exp2

from processors.active_model import ActiveModel
from processors.units import close_bucket, fade, move_ref, worth_in
from schemas.rows import Entry, Row


def adopt_model(row: Row, active: ActiveModel) -> None:
    """Take over the units; `row.now` is the time of the change."""
    move_ref(row)  # units of different half-lives can be compared and joined at row time alone
    adopt_names(row, active)
    _adopt_half_lives(row, active)
    row.evict_day = 0  # windows may be shorter now
    row.model_stamp = active.stamp


def adopt_names(row: Row, active: ActiveModel) -> None:
    """Hand the units of renamed rules (`was`) over to their heirs."""
    for old, new in active.heirs.items():
        for key in [key for key in row.tallies if key == old or key.startswith(f"{old}#")]:
            _bequeath(row, key, new + key.removeprefix(old))
        if new not in row.limited:
            row.limited |= {new: row.limited.pop(old)} if old in row.limited else {}
        for bucket_key in list(row.limited.get(old, ())):
            close_bucket(row, old, bucket_key)


def _bequeath(row: Row, old: str, new: str) -> None:
    tally = row.tallies.pop(old)
    heir = row.tallies.setdefault(new, tally)
    if heir is not tally:
        heir.x += tally.x  # both as of `ref`, which is row time
        heir.count += tally.count
        if (tally.last_at, tally.last_id) > (heir.last_at, heir.last_id):
            heir.last_at, heir.last_id, heir.subject = tally.last_at, tally.last_id, tally.subject


def _adopt_half_lives(row: Row, active: ActiveModel) -> None:
    """Convert units whose half-life the model has changed, so that they are worth the same at row time."""
    for key, tally in row.tallies.items():
        rule = active.rules.get(key.partition("#")[0])
        if rule is None or rule.half_life_ms == tally.half_life_ms:
            continue
        old, new = tally.half_life_ms, rule.half_life_ms
        tally.half_life_ms = new
        for bucket_key, bucket in row.limited.get(key, {}).items():
            converted = [_converted(entry, row.now, old, new) for entry in bucket.entries]
            bucket.entries = sorted(converted, key=worth_in(bucket_key >> 8, new))


def _converted(entry: Entry, now: int, old: float, new: float) -> Entry:
    at, id8, units, weight, tags = entry
    # 900: a double ends at 2^1024. An act that lies further back than that is worth nothing either way.
    factor = fade(now - at, old) * exp2(min((now - at) / new, 900.0))
    return (at, id8, units * factor, weight * factor, tags)
