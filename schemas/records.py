"""The records that cross a wire, as the Avro contracts in `schemas/avro` give them.

They are plain dictionaries: what fastavro and the projecting decoder return without another copy. Times are
milliseconds since 1970 in UTC and end in `_at`, durations end in their unit.
"""

from collections.abc import Sequence
from typing import NotRequired, Protocol, TypedDict

Scalar = None | bool | int | float | str | list[str]
Text = str | list[str]


class Campaign(TypedDict):
    source: str | None
    medium: str | None
    name: str | None
    term: str | None
    content: str | None
    id: str | None


class ClickId(TypedDict):
    kind: str
    value: str


class Webinar(TypedDict):
    id: str | None
    title: str | None
    attended_seconds: float | None
    length_seconds: float | None


class Source(TypedDict):
    library: str | None
    version: str | None
    key: str | None


class Flags(TypedDict):
    bot: bool
    late: bool
    clamped: bool


class TrackedEvent(TypedDict):
    """What somebody did, once. A projection leaves out what no reader asked for."""

    event_id: str
    type: str
    occurred_at: int | None
    received_at: NotRequired[int]
    flags: NotRequired[Flags]
    url: NotRequired[str | None]
    campaign: NotRequired[Campaign | None]
    click_id: NotRequired[ClickId | None]
    asset: NotRequired[str | None]
    duration_seconds: NotRequired[float | None]
    traits: NotRequired[dict[str, Scalar] | None]
    email_kind: NotRequired[str | None]
    email_domain: NotRequired[str | None]
    phone_kind: NotRequired[str | None]
    webinar: NotRequired[Webinar | None]
    properties: NotRequired[dict[str, Scalar] | None]
    referrer: NotRequired[str | None]
    title: NotRequired[str | None]
    anonymous_id: NotRequired[str | None]
    user_id: NotRequired[str | None]
    source: NotRequired[Source | None]
    ip: NotRequired[str | None]


class Feedback(TypedDict):
    word: str
    system: str
    object: str
    version: int
    silent: bool
    user: str | None
    reason: str | None


class ImportedLine(TypedDict):
    import_id: str
    line: int
    event: TrackedEvent


class Tick(TypedDict):
    pass


class Epoch(TypedDict):
    epoch: int


class ModelActivated(TypedDict):
    n: int
    version: str
    name: str
    fold_version: int
    notify: bool
    body: bytes


class ModelRef(TypedDict):
    n: int
    name: str
    version: str


class Touch(TypedDict):
    at: int
    url: str | None
    referrer: str | None
    source: str | None
    click_id: ClickId | None
    campaign: Campaign | None


class Part(TypedDict):
    """One line of a receipt; `points` of all lines add up to the score."""

    kind: str
    id: str
    name: str
    dimension: str
    group: str
    units: float
    per_unit: float
    points: float
    count: int
    last_at: int | None
    last_event_id: str
    subject: str


class FitPart(TypedDict):
    id: str
    trait: str
    value: str
    points: float


class Act(TypedDict):
    type: str
    subject: str
    url: str
    at: int
    rules: list[str]


class Alert(TypedDict):
    route: str
    send_to: list[str]
    quiet_period_ms: int
    budget: int
    budget_window_ms: int
    ack_within_ms: int
    escalate_to: str | None


class StageTransition(TypedDict):
    id: str
    prev: str
    lead_key: str
    seq: int
    epoch: int
    offset: int
    index: int
    from_stage: str
    to_stage: str
    direction: str
    at: int
    logged_at: int
    cause: str
    cause_event_id: str
    score: float
    raw: float
    fit: float
    grade: str
    model: ModelRef
    receipt: list[Part]
    fit_receipt: list[FitPart]
    traits: dict[str, Text]
    first_touch: Touch | None
    last_touch: Touch | None
    act: Act | None
    alert: Alert | None


class Units(TypedDict):
    rule: str
    half_life_ms: float | None
    units: float
    count: int
    last_at: int | None
    last_event_id: str
    subject: str


class LeadSnapshot(TypedDict):
    lead_key: str
    epoch: int
    offset: int
    at: int
    model: ModelRef
    stage: str
    entered_at: int
    cool_until: int
    seq: int
    prev: str
    score: float
    raw: float
    fit: float
    grade: str
    known: bool
    units: list[Units]
    traits: dict[str, Text]
    first_touch: Touch | None
    last_touch: Touch | None
    first_at: int | None
    last_at: int | None
    visits: int


class DeadLetter(TypedDict):
    id: str
    reason: str
    detail: str
    step: str
    seen_at: int
    topic: str | None
    partition: int | None
    offset: int | None
    key: bytes | None
    value: bytes | None
    context: dict[str, str]


class DeadLetterHandled(TypedDict):
    id: str
    outcome: str
    at: int
    detail: str


class LogRecord(Protocol):
    """A record of the events topic as it stands in the log, as aiokafka gives it."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds UTC: the time of the fold."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...
