"""The read model of a row: enough to price it at any later time, without what only the fold needs."""

from math import exp2, inf

from processors.active_model import ActiveModel
from processors.price import Price
from processors.take_traits import shown_traits
from schemas.records import LeadSnapshot, Units
from schemas.rows import PricedRow, Version


def snapshot_of(key: bytes, row: PricedRow, version: Version, active: ActiveModel) -> LeadSnapshot:
    """`score` to `known` are as of row time; `processors.price.price` tells them for any later time."""
    price = Price(row, active, row.now)
    # Literals: a call of a TypedDict takes twice as long, and this is made for every lead that changes.
    return {
        "lead_key": key.decode("utf-8", "replace"),
        "epoch": version[0],
        "offset": version[1],
        "at": row.now,
        "model": active.ref,
        "stage": row.stage,
        "entered_at": row.entered_at,
        "cool_until": row.cool_until,
        "seq": row.seq,
        "prev": row.prev,
        "score": price.score,
        "raw": price.raw,
        "fit": price.fit,
        "grade": price.grade,
        "known": price.known,
        "units": _units(row),
        "traits": shown_traits(row),
        "first_touch": price.first_touch,
        "last_touch": price.last_touch,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "visits": row.visits,
    }


def _units(row: PricedRow) -> list[Units]:
    elapsed = row.ref - row.now
    return [
        {
            "rule": rule,
            "half_life_ms": None if tally.half_life_ms == inf else tally.half_life_ms,
            "units": tally.x * exp2(elapsed / tally.half_life_ms),
            "count": tally.count,
            "last_at": tally.last_at or None,
            "last_event_id": tally.last_id,
            "subject": tally.subject,
        }
        for rule, tally in row.tallies.items()
    ]
