"""The last events and refusals of a collector, and what each scored, as the page of `up` shows them."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from processors.model import ScoringModel
from processors.model.urls import split_url
from schemas.keys import EMAIL
from schemas.records import TrackedEvent
from streams.explain import explain_event

SHOWN = 20
_MAX_CHARACTERS = 300  # of any text from outside


class Points(TypedDict):
    name: str
    points: float


class ShownRequest(TypedDict):
    """One line of the page. `why` is empty where `points` say it all; `lead_key` is empty for a refused request."""

    number: int
    at: int  # ms UTC
    event: str
    lead: str
    lead_key: str
    url: str
    outcome: str  # scored, nothing, waiting, refused
    points: list[Points]
    why: str


@dataclass(slots=True)
class _Accepted:
    number: int
    at: int
    event: TrackedEvent
    key: bytes
    shown: ShownRequest | None = None  # kept once a model was there to say it


class RecentRequests:
    """Keeps the last `SHOWN`; what each scored is worked out when somebody looks."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._entries: deque[_Accepted | ShownRequest] = deque(maxlen=SHOWN)
        self.total = 0

    def accept(self, event: TrackedEvent, key: bytes) -> None:
        self.total += 1
        self._entries.append(_Accepted(self.total, self._now_ms(), event, key))

    def refuse(self, what: str, where: str, why: str) -> None:
        """A request, or an item of one, that was not taken: `what` came from the page or address `where`."""
        self.total += 1
        self._entries.append(
            ShownRequest(
                number=self.total, at=self._now_ms(), event=_cut(what), lead="", lead_key="", url=_cut(where),
                outcome="refused", points=[], why=_cut(why),
            )
        )  # fmt: skip

    def shown(self, model: ScoringModel | None) -> list[ShownRequest]:
        """Newest first."""
        return [_shown(entry, model) for entry in reversed(self._entries)]


def _shown(entry: _Accepted | ShownRequest, model: ScoringModel | None) -> ShownRequest:
    if not isinstance(entry, _Accepted):
        return entry
    if entry.shown is not None:
        return entry.shown
    event = entry.event
    points, why = ([], "waiting for the model") if model is None else _scored(event, model)
    shown = ShownRequest(
        number=entry.number,
        at=entry.at,
        event=_cut(event["type"]),
        lead=_lead(event, entry.key),
        lead_key=entry.key.decode("utf-8", "replace"),
        url=_cut(event.get("url") or event.get("asset") or ""),
        outcome="waiting" if model is None else "scored" if points else "nothing",
        points=points,
        why=why,
    )
    if model is not None:
        entry.shown = shown
    return shown


def _scored(event: TrackedEvent, model: ScoringModel) -> tuple[list[Points], str]:
    """What the act is worth to a new visitor, or why it is worth nothing."""
    explained = explain_event(model, event)
    if explained["outcome"] == "late":
        return [], "older than 7 days: not scored"
    if explained["outcome"] == "bot":
        return [], "a crawler or an automated browser, by its user agent: never scored"
    told = _told(event)
    if explained["outcome"] == "foreign_host":
        return [], _foreign(event.get("url") or "", model) + told
    points = [
        Points(name=part["name"], points=part["points"]) for part in explained["receipt"] if part["kind"] == "rule"
    ]
    fits_none = "; ".join(each for each in ("fits no rule of the model", _cut(explained["hint"])) if each)
    return points, told.removeprefix("; ") if points else f"{fits_none}{told}"


def _foreign(url: str, model: ScoringModel) -> str:
    hosts = ", ".join(model.site_hosts)
    return f"{_cut(split_url(url).host)} is not one of the model's site.hosts ({_cut(hosts)}): add it there to score it"


def _told(event: TrackedEvent) -> str:
    names = sorted(event.get("traits") or {})
    return f"; learned of the lead: {_cut(', '.join(names))}" if names else ""


def _lead(event: TrackedEvent, key: bytes) -> str:
    email = (event.get("traits") or {}).get("email")
    ids = [email if isinstance(email, str) else None, event.get("user_id"), event.get("anonymous_id")]
    said = next((text for text in ids if text), "")
    if said:
        return _cut(said)
    plain = key.decode("utf-8", "replace")
    return "known by e-mail" if plain.startswith(EMAIL) else _cut(plain[1:])


def _cut(text: str) -> str:
    """Shortened, and what is not seen or turns the text around made visible."""
    short = text if len(text) <= _MAX_CHARACTERS else text[: _MAX_CHARACTERS - 1] + "…"
    return "".join(each if each.isprintable() else "�" for each in short)
