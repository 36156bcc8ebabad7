"""The traffic of the benchmarks: a B2B site's mix of acts, Zipf-like leads, Avro as the collector writes it."""

import random
import uuid
from dataclasses import dataclass

from processors.model import event_from_fields
from schemas.codec import encode

START_MS = 1_772_442_000_000  # 2026-03-02T09:00Z
SITE = "https://www.acme.example"
PAGES = ["/", "/pricing", "/product/tour", "/product", "/blog/lineage", "/customers/big-bank", "/about", "/careers/dev"]


@dataclass(frozen=True, slots=True)
class BenchRecord:
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def acts(random_: random.Random) -> dict[str, object]:
    """The fields of one act."""
    draw = random_.random()
    if draw < 0.70:
        fields: dict[str, object] = {
            "event": "page_view",
            "url": SITE + random_.choice(PAGES),
            "seconds": random_.randint(3, 200),
        }
    elif draw < 0.80:
        fields = {"event": "page_view", "url": f"https://docs.acme.example/guide/{random_.randint(1, 40)}"}
    elif draw < 0.86:
        fields = {"event": "download", "asset": f"paper-{random_.randint(1, 12)}"}
    elif draw < 0.92:
        fields = {"event": "email_clicked", "asset": f"mail-{random_.randint(1, 5)}"}
    elif draw < 0.95:
        fields = {"event": "webinar_attended", "webinar.attended_minutes": random_.randint(1, 60)}
    elif draw < 0.97:
        fields = {"event": "form_submitted", "asset": "contact-us"}
    else:
        fields = {
            "event": "identify",
            "traits.email": "ada@bigbank.example",
            "traits.title": "CTO",
            "traits.country": "CN",
        }
    if random_.random() < 0.1:
        fields |= {"utm.source": "baidu", "utm.medium": "cpc", "utm.campaign": "2026-spring-cn"}
    return fields


def records(count: int, leads: int, days: float, seed: int = 7, start_ms: int = START_MS) -> list[BenchRecord]:
    """`count` records over `days` from `start_ms`, in time order; lead i is about 1/(i+10) as busy as the first."""
    random_ = random.Random(seed)
    weights = [1 / (i + 10) for i in range(leads)]
    keys = random_.choices([b"1anon-%d" % i for i in range(leads)], weights, k=count)
    step_ms = days * 86_400_000 / count
    found = []
    for offset, key in enumerate(keys):
        at = start_ms + int(offset * step_ms)
        event = event_from_fields(acts(random_), at)
        event["event_id"] = str(uuid.UUID(int=random_.getrandbits(128), version=4))
        event["anonymous_id"] = key[1:].decode()
        event["source"] = {"library": "t.js", "version": "1", "key": "website"}
        if event["type"] == "identify":
            event["email_kind"] = "business"
        found.append(BenchRecord(offset, at, key, encode("TrackedEvent", event)))
    return found
