"""Random small models and random logs for the laws of the fold.

A model has few rules, so that caps, limits, penalties and stages meet often; a log has few leads, so that records do.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import yaml
from hypothesis import settings
from hypothesis import strategies as st

from processors.model import event_from_fields
from schemas.codec import encode
from schemas.keys import CONTROL_KEY
from tests.processors.history import Logged, model_record

START_MS = 1_772_442_000_000  # 2026-03-02T09:00Z
MINUTE_MS, DAY_MS = 60_000, 86_400_000
LEADS = (b"1ada", b"3bob")
EVENTS = ("a", "b", "c", "bad")
TICK = encode("Tick", {})

# The same examples in every run; FOLD_EXAMPLES=2000 looks at that many others instead.
_EXAMPLES = int(os.environ.get("FOLD_EXAMPLES", "0"))
settings.register_profile("fold", deadline=None, derandomize=not _EXAMPLES, max_examples=_EXAMPLES or 30)
LAWS = settings.get_profile("fold")

half_lives = st.sampled_from(["1h", "5h", "1d", "10d"])
numbers = st.sampled_from([5, 10, 20, 35])


@st.composite
def rules(draw: st.DrawFn, event: str, *, penalty: bool) -> dict[str, Any]:
    points = draw(numbers)
    rule: dict[str, Any] = {"id": f"r-{event}", "points": -points if penalty else points, "when": {"event": event}}
    rule |= draw(st.fixed_dictionaries({}, optional={"half_life": half_lives, "cap": st.sampled_from([15, 40])}))
    if draw(st.booleans()):
        unit = draw(st.sampled_from(["hour", "day", "lifetime"]))
        rule["limit"] = {"times": draw(st.integers(1, 2)), "per": unit}
        if draw(st.booleans()):
            rule["limit"]["by"] = "asset"
    if draw(st.integers(0, 3)) == 0:
        rule |= {"per": "seconds", "per_max": 3}
    place = draw(st.sampled_from(["", "group", "dimension"]))
    if place == "group":
        rule["group"] = "g"
    elif place == "dimension":
        rule["dimension"] = "second"
    return rule


exit_terms = st.one_of(
    st.sampled_from([5, 10, 15]).map(lambda bound: {"score": f"below {bound}"}),
    st.sampled_from([3, 5]).map(lambda bound: {"dimensions": {"second": f"below {bound}"}}),
    st.sampled_from(["20h", "2d"]).map(lambda bound: {"idle": f"at least {bound}"}),
)


def _exit(terms: list[dict[str, Any]]) -> Any:
    flat = [
        {f"dimensions.{k}": v for k, v in term["dimensions"].items()} if "dimensions" in term else term
        for term in terms
    ]
    return flat[0] if len(flat) == 1 else {"any": flat}


@st.composite
def stages(draw: st.DrawFn) -> list[dict[str, Any]]:
    dwell, cooldown = st.sampled_from(["0s", "3h", "1d"]), st.sampled_from(["0s", "6h", "2d"])
    exits = st.lists(exit_terms, min_size=1, max_size=2).map(_exit)
    return [
        {"id": "visitor"},
        {"id": "warm", "enter": {"score": "at least 15"}, "exit": draw(exits), "min_dwell": draw(dwell),
         "cooldown": draw(cooldown), "feedback": ["lost"]},
        {"id": "hot", "enter": {"score": "at least 30"}, "exit": draw(exits), "min_dwell": draw(dwell),
         "cooldown": draw(cooldown)},
        {"id": "sal", "owner": "sales", "feedback": ["accepted"]},
    ]  # fmt: skip


inactivity = st.lists(
    st.fixed_dictionaries(
        {"after": st.sampled_from(["10h", "1d", "3d"]), "points": st.sampled_from([-5, -10])},
        optional={"repeat": st.booleans()},
    ),
    max_size=2,
)


@st.composite
def model_trees(draw: st.DrawFn, *, penalties: bool = True) -> dict[str, Any]:
    return {
        "leadstream": 1,
        "name": "random",
        "score": draw(st.sampled_from([{"floor": 0}, {"floor": -100, "cap": 60}, {"floor": 0, "cap": 40}])),
        "dimensions": {
            "engagement": {"half_life": draw(half_lives)},
            "second": {"half_life": draw(half_lives)} | draw(st.sampled_from([{}, {"cap": 25}])),
        },
        "groups": {"g": draw(st.sampled_from([{}, {"cap": 30}, {"cap": 50, "floor": -20}]))},
        "tags": [{"id": "t", "match": {"asset": "x"}}],
        "touchpoints": [{"asset": "y", "weight": 0.5}],
        "rules": [draw(rules(event, penalty=event == "bad")) for event in EVENTS if penalties or event != "bad"],
        "inactivity": draw(inactivity),
        "stages": draw(stages()),
        "alerts": {"routes": [{"enters": "hot", "send_to": ["sales"]}]},
    }


def _text(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, sort_keys=False)


def models(*, penalties: bool = True) -> st.SearchStrategy[str]:
    """Model files. The rules `r-a`, `r-b`, `r-c` pay for acts of that name; `r-bad` takes points off."""
    return model_trees(penalties=penalties).map(_text)


@dataclass(frozen=True)
class Told:
    """What one record of a log tells. `ago_ms`: how long before its record the act happened."""

    kind: str  # act, tick, feedback, line, model, epoch
    wait_ms: int
    lead: bytes
    event: str
    event_id: int
    ago_ms: int
    asset: str
    word: str
    bot: bool


# Time stands still, goes back a little, or jumps.
waits = st.sampled_from([0, 0, 1, -500, -90_000, 700, 30 * MINUTE_MS, 3 * 60 * MINUTE_MS, DAY_MS, 4 * DAY_MS])
ages = st.sampled_from([0, 0, 0, -1000, 1000, 5 * 60 * MINUTE_MS, 2 * DAY_MS, 6 * DAY_MS, 8 * DAY_MS])
words = st.sampled_from(["accepted", "lost", "unheard-of"])


def told(kinds: tuple[str, ...]) -> st.SearchStrategy[Told]:
    return st.builds(
        Told,
        kind=st.sampled_from(kinds),
        wait_ms=waits,
        lead=st.sampled_from(LEADS),
        event=st.sampled_from((*EVENTS, "a", "b", "c")),
        event_id=st.integers(0, 12),
        ago_ms=ages,
        asset=st.sampled_from(["x", "y", "z", ""]),
        word=words,
        bot=st.sampled_from([False] * 9 + [True]),
    )


ALL_KINDS = ("act",) * 8 + ("tick",) * 4 + ("feedback", "line", "garbage", "epoch")


def stories(kinds: tuple[str, ...] = ALL_KINDS, *, least: int = 5, most: int = 30) -> st.SearchStrategy[list[Told]]:
    return st.lists(told(kinds), min_size=least, max_size=most)


def event_of(each: Told, at: int) -> dict[str, Any]:
    fields = {"event": each.event, "seconds": each.event_id % 5, "traits.n": str(each.event_id)}
    if each.asset:
        fields["asset"] = each.asset
    tracked: dict[str, Any] = {**event_from_fields(fields, at - each.ago_ms)}
    tracked["event_id"] = f"e{each.event_id}" if each.event_id else ""
    tracked["flags"] = {"bot": each.bot, "late": False, "clamped": False}
    return tracked


def _value(each: Told, at: int, number: int) -> tuple[bytes, bytes]:
    match each.kind:
        case "tick":
            return CONTROL_KEY, TICK
        case "epoch":
            return CONTROL_KEY, encode("Epoch", {"epoch": 1 + each.event_id // 6})
        case "garbage":
            return each.lead, b"\xc3garbage"
        case "feedback":
            answer = {"word": each.word, "system": "crm", "object": "o", "version": each.event_id, "silent": each.bot,
                      "user": None, "reason": None}  # fmt: skip
            return each.lead, encode("Feedback", answer)
        case "line":
            event = event_of(replace(each, ago_ms=each.ago_ms * 30), at)
            return each.lead, encode("ImportedLine", {"import_id": "i", "line": number // 2, "event": event})
        case _:
            return each.lead, encode("TrackedEvent", event_of(each, at))


def log_of(model_texts: list[str], story: list[Told]) -> list[Logged]:
    """The log of a story: epoch 1, the first model, then each telling; a telling of kind `model` activates the next."""
    log = [
        Logged(0, START_MS, CONTROL_KEY, encode("Epoch", {"epoch": 1})),
        Logged(1, START_MS, CONTROL_KEY, model_record(model_texts[0], 1)),
    ]
    at, active = START_MS, 1
    for each in story:
        at += each.wait_ms
        if each.kind == "model":
            active += 1
            key, value = CONTROL_KEY, model_record(model_texts[(active - 1) % len(model_texts)], active)
        else:
            key, value = _value(each, at, len(log))
        log.append(Logged(len(log), at, key, value))
    return log


def logs(
    kinds: tuple[str, ...] = ALL_KINDS, *, activations: int = 1, make: Callable[[], st.SearchStrategy[str]] = models
) -> st.SearchStrategy[list[Logged]]:
    return st.builds(log_of, st.lists(make(), min_size=activations, max_size=activations), stories(kinds))
