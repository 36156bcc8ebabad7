"""Records as the worker writes them, with what a test does not care about filled in."""

from collections.abc import Mapping
from typing import Any

from schemas.codec import Kind, decode, encode
from schemas.records import LeadSnapshot, ModelActivated, Part, StageTransition, Touch
from sinks.base import Delivery

MARCH_2 = 1_772_442_000_000  # Monday 2026-03-02 09:00 UTC
HOUR = 3_600_000
MODEL = {"n": 1, "name": "b2b-reference", "version": "5d2c91aa"}
TOUCH: Touch = {
    "at": MARCH_2 - 18 * 24 * HOUR,
    "url": "https://www.acme.example/",
    "referrer": None,
    "source": "website",
    "click_id": None,
    "campaign": {
        "source": "baidu",
        "medium": "cpc",
        "name": None,
        "term": "metadata management",
        "content": None,
        "id": None,
    },
}
TRAITS = {
    "name": "Ada Lovelace",
    "title": "CTO",
    "company": "Big Bank",
    "employees": "1200",
    "industry": "finance",
    "country": "CN",
    "email": "ada@bigbank.example",
    "phone": "+86 10 5555 0123",
}
ALERT = {
    "route": "hot lead",
    "send_to": ["sales-hot"],
    "quiet_period_ms": 24 * HOUR,
    "budget": 50,
    "budget_window_ms": 24 * HOUR,
    "ack_within_ms": HOUR // 4,
    "escalate_to": "sales-managers",
}


def part(id_: str, name: str, points: float, subject: str = "") -> Part:
    return {
        "kind": "rule",
        "id": id_,
        "name": name,
        "dimension": "engagement",
        "group": "",
        "units": 1.0,
        "per_unit": points,
        "points": points,
        "count": 1,
        "last_at": MARCH_2,
        "last_event_id": f"e-{id_}",
        "subject": subject,
    }


def transition(**changes: Any) -> StageTransition:
    record: dict[str, Any] = {
        "id": f"{changes.get('epoch', 1):08x}{changes.get('offset', 7):08x}",
        "prev": "",
        "lead_key": "1c_81f2aaaa",
        "seq": 1,
        "epoch": 1,
        "offset": 7,
        "index": 0,
        "from_stage": "lead",
        "to_stage": "mql",
        "direction": "up",
        "at": MARCH_2,
        "logged_at": MARCH_2,
        "cause": "act",
        "cause_event_id": "e-offline-event",
        "score": 60.0,
        "raw": 60.0,
        "fit": 70.0,
        "grade": "A2",
        "model": MODEL,
        "receipt": [
            part("offline-event", "Came to an event", 50.0, "Data Summit"),
            part("download", "Downloaded a document", 10.0, "Metadata white paper"),
        ],
        "fit_receipt": [{"id": "job-title", "trait": "title", "value": "CTO", "points": 25.0}],
        "traits": dict(TRAITS),
        "first_touch": TOUCH,
        "last_touch": None,
        "act": {
            "type": "event_attended",
            "subject": "Data Summit",
            "url": "",
            "at": MARCH_2,
            "rules": ["offline-event"],
        },
        "alert": dict(ALERT),
    }
    return _checked("StageTransition", record | changes)  # type: ignore[return-value]  # the kind says which


def snapshot(**changes: Any) -> LeadSnapshot:
    record: dict[str, Any] = {
        "lead_key": "1c_81f2aaaa",
        "epoch": 1,
        "offset": 7,
        "at": MARCH_2,
        "model": MODEL,
        "stage": "mql",
        "entered_at": MARCH_2,
        "cool_until": 0,
        "seq": 1,
        "prev": "",
        "score": 60.0,
        "raw": 60.0,
        "fit": 70.0,
        "grade": "A2",
        "known": True,
        "units": [],
        "traits": dict(TRAITS),
        "first_touch": TOUCH,
        "last_touch": None,
        "first_at": MARCH_2,
        "last_at": MARCH_2,
        "visits": 1,
    }
    return _checked("LeadSnapshot", record | changes)  # type: ignore[return-value]  # the kind says which


def model(n: int, version: str = "5d2c91aa") -> ModelActivated:
    return {"n": n, "version": version, "name": "b2b", "fold_version": 1, "notify": False, "body": b"zlib"}


def delivery(record: Mapping[str, Any] | None, offset: int, key: bytes | None = None, partition: int = 0) -> Delivery:
    """As `streams/delivery/delivery.py` hands it over; `offset` is the one on the sink's topic."""
    kind = None if record is None else _kind(record)
    topic = "transitions" if kind == "StageTransition" else "scores"
    own_key = key or (b"ctl" if record is None or "lead_key" not in record else record["lead_key"].encode())
    return Delivery(topic, partition, offset, own_key, kind, record, MARCH_2)


def _kind(record: Mapping[str, Any]) -> Any:
    if "receipt" in record:
        return "StageTransition"
    return "LeadSnapshot" if "visits" in record else "ModelActivated"


def _checked(kind: Kind, record: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from the wire, so that no test uses a record that the contract forbids."""
    return decode(encode(kind, record))[1]
