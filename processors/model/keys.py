"""The keys of a model file: the one table behind the reader, its defaults and the JSON Schema."""

from math import inf
from typing import Any

from processors.model import scalars
from processors.model.act_fields import act_field_kind
from processors.model.condition_shapes import ACT_WORDS, DID, LEAD_WORDS, Condition
from processors.model.scalars import WrongValueError
from processors.model.shapes import Fields, Key, Many, Named, OneOrMore, Scalar
from processors.model.special_shapes import ExitTerms, GivenAct
from processors.model.zones import zone_names
from schemas.nearest import did_you_mean

MAX_RULES, MAX_DIMENSIONS, MAX_TAGS, MAX_ENTRIES = 500, 64, 200, 500


def _format(text: str) -> int:
    if text != "1":
        raise WrongValueError(f'format "{text}" is not known. Write 1.')
    return 1


def _zone(text: str) -> str:
    if text not in zone_names():
        raise WrongValueError(
            f'"{text}" is no time zone.{did_you_mean(text, sorted(zone_names()))} Write Europe/Berlin.'
        )
    return text


def _act_field(text: str) -> str:
    if act_field_kind(text) is None:
        known = ACT_WORDS.known()
        raise WrongValueError(f'"{text}" is no field of an act.{did_you_mean(text, known)} Known: {", ".join(known)}.')
    return text


def _numeric_field(text: str) -> str:
    if act_field_kind(text) not in ("number", "any"):
        raise WrongValueError(
            f'"{text}" is no numeric field of an act. Write seconds, webinar.attended_minutes, properties.<name>.'
        )
    return text


def _number(low: float = -scalars.MAX_NUMBER, high: float = scalars.MAX_NUMBER) -> Scalar:
    return Scalar(scalars.number(low, high), {"type": "number", "minimum": low, "maximum": high}, 0.0)


def _text(parse: Any = scalars.free_text, **json: Any) -> Scalar:
    return Scalar(parse, {"type": "string", **json})


def _choice(*words: str) -> Scalar:
    return Scalar(scalars.choice(*words), {"enum": list(words)})


_DURATION_JSON = {"type": "string", "pattern": "^([0-9]+([.][0-9]+)? ?[smhdw]|never)$"}
ID = _text(scalars.identifier, pattern="^[a-z0-9][a-z0-9-]*$", maxLength=64)
WORD = _text(scalars.word, pattern="^[a-z0-9][a-z0-9_-]*$", maxLength=64)
FREE = Scalar(scalars.free_text, {"type": ["string", "number", "boolean"]})
POINTS, NOT_NEGATIVE, NOT_POSITIVE = _number(), _number(low=0), _number(high=0)
WEIGHT = _number(0, 10)
BOOLEAN = Scalar(scalars.boolean, {"type": "boolean"})
DURATION = Scalar(scalars.duration(), _DURATION_JSON, 0.0)
HALF_LIFE = Scalar(scalars.duration(least_ms=1000.0), _DURATION_JSON, inf)
AFTER = Scalar(scalars.duration(least_ms=1000.0, never=False), _DURATION_JSON, 1000.0)
AT = Key(Scalar(scalars.duration(never=False), _DURATION_JSON, 0.0), "time since the start of the test", required=True)
KEEP = _text(scalars.keep, pattern="^[0-9.]+ ?% per ")
FORMAT = Scalar(_format, {"enum": [1, "1"]})
HOST = _text(scalars.pattern)
VALUE = Scalar(scalars.value, {"type": ["string", "number", "boolean"]})
TIMES = Scalar(scalars.whole(1, 100), {"type": "integer", "minimum": 1, "maximum": 100})
WINDOW = _choice("hour", "day", "week", "month", "lifetime")
DATES = _text(scalars.dates, pattern="^.{10} to .{10}$")
BUDGET = _text(scalars.budget, pattern="^[0-9]+ per (hour|day|week)$")
ACT, LEAD = Condition(ACT_WORDS), Condition(LEAD_WORDS)


def _bounds(shape: Scalar, defaults: dict[str, str]) -> Fields:
    return Fields({name: Key(shape, "", default) for name, default in defaults.items()})


# One line for each key: what it may hold, what it is for, and its default in the words of the file.
# fmt: off
DIMENSION = Fields({
    "half_life": Key(HALF_LIFE, "points are worth half after this time; 30d"),
    "keep": Key(KEEP, "the same as a percentage: 70% per 7d"),
    "cap": Key(NOT_NEGATIVE, "upper bound of the dimension"),
})
TOUCHPOINT = Condition(ACT_WORDS, {
    "name": Key(FREE, "for people"),
    "weight": Key(WEIGHT, "factor of every act at this place", required=True),
})
TAG = Fields({
    "id": Key(ID, "what the content is about", required=True),
    "match": Key(ACT, "which acts are about it", required=True),
})
GROUP = Fields({
    "cap": Key(NOT_NEGATIVE, "upper bound of the sum of its rules"),
    "floor": Key(NOT_POSITIVE, "lower bound of the sum of its rules"),
    "pick": Key(_choice("all", "first"), "first: an act fits only the first of its rules", "all"),
})
LIMIT = Fields({
    "times": Key(TIMES, "acts that pay in each window", "1"),
    "per": Key(WINDOW, "calendar window, by the time of the act", required=True),
    "by": Key(_text(_act_field), "for each value of this act field"),
})
RULE = Fields({
    "id": Key(ID, "owns the stored points; renamed only with `was`", required=True),
    "name": Key(FREE, "for people"),
    "when": Key(ACT, "which acts", required=True),
    "points": Key(POINTS, "per unit; may be negative", required=True),
    "dimension": Key(ID, "where the points go", "engagement"),
    "group": Key(ID, "a ceiling shared with other rules"),
    "half_life": Key(HALF_LIFE, "points are worth half after this time; that of the dimension"),
    "keep": Key(KEEP, "the same as a percentage: 70% per 7d"),
    "cap": Key(NOT_NEGATIVE, "bound of the size of the rule's sum"),
    "per": Key(_text(_numeric_field), "numeric act field that gives the units"),
    "per_max": Key(NOT_NEGATIVE, "most units of one act"),
    "limit": Key(LIMIT, "how many acts pay in a calendar window"),
    "tag_weight": Key(WEIGHT, "weight of the act for tags", "1"),
    "tags": Key(OneOrMore(ID), "tags besides those matched"),
    "valid": Key(DATES, "first to last day, both included"),
    "activity": Key(BOOLEAN, "does the act count as doing something? true if points are above 0"),
    "was": Key(ID, "former id of a renamed rule"),
    "enabled": Key(BOOLEAN, "false takes its points away at once", "true"),
})
FIT_CASE = Fields({
    "is": Key(OneOrMore(VALUE), "patterns or tests", required=True),
    "points": Key(POINTS, "what the case pays", required=True),
})
FIT_BLOCK = Fields({
    "id": Key(ID, "name of the block", required=True),
    "trait": Key(FREE, "name of the trait", required=True),
    "cases": Key(Many(FIT_CASE, MAX_ENTRIES), "the first that fits pays", required=True),
})
GRADE = Fields({
    "fit": Key(_bounds(POINTS, {"A": "60", "B": "40", "C": "20"}), "lowest fit that earns the letter", "{}"),
    "score": Key(_bounds(POINTS, {"1": "80", "2": "50", "3": "20"}), "lowest score that earns the digit", "{}"),
})
RFM = Fields({
    "recency": Key(_bounds(AFTER, {"4": "3d", "3": "14d", "2": "45d"}), "last act at most this long ago", "{}"),
    "frequency": Key(_bounds(NOT_NEGATIVE, {"4": "10", "3": "5", "2": "2"}), "active days, at least", "{}"),
    "depth": Key(_bounds(NOT_NEGATIVE, {"4": "60", "3": "30", "2": "10"}), "points before caps, at least", "{}"),
})
INACTIVITY = Fields({
    "after": Key(AFTER, "time without an act", required=True),
    "points": Key(NOT_POSITIVE, "taken off while it lasts", required=True),
    "repeat": Key(BOOLEAN, "once for each full `after`", "false"),
})
STAGE = Fields({
    "id": Key(ID, "name of the stage", required=True),
    "owner": Key(_choice("score", "sales"), "who moves a lead in and out", "score"),
    "enter": Key(LEAD, "what lifts a lead into the stage"),
    "exit": Key(ExitTerms(), "one of score: below, dimensions.<id>: below, idle: at least, any: a list of these"),
    "min_dwell": Key(DURATION, "stays at least this long", "0s"),
    "cooldown": Key(DURATION, "once out, no rise for this long", "0s"),
    "feedback": Key(OneOrMore(WORD), "answers of sales that move a lead here"),
    "stuck_after": Key(DURATION, "alert when a lead stays longer", "never"),
})
ROUTE = Fields({
    "name": Key(FREE, "for people"),
    "enters": Key(ID, "a lead enters this stage"),
    "leaves": Key(ID, "a lead leaves this stage"),
    "to": Key(ID, "with leaves: only to this stage"),
    "does": Key(DID, "an act fits one of these rules"),
    "in": Key(OneOrMore(ID), "with does: while in one of these stages"),
    "stuck_in": Key(OneOrMore(ID), "a lead stays too long in one of these stages"),
    "when": Key(LEAD, "only such leads"),
    "send_to": Key(OneOrMore(WORD), "channels of the settings file", required=True),
    "ack_within": Key(DURATION, "time to answer; that of alerts"),
})
ALERTS = Fields({
    "quiet_period": Key(DURATION, "the same lead and route at most once in this time", "24h"),
    "budget": Key(BUDGET, "most alerts for each channel; the rest comes as one digest", "50 per day"),
    "ack_within": Key(DURATION, "time to answer", "1h"),
    "escalate_to": Key(WORD, "channel for what nobody answered"),
    "routes": Key(Many(ROUTE, MAX_ENTRIES), "the first that fits wins; default: enters mql, send_to sales"),
})
TEST = Fields({
    "name": Key(FREE, "what it shows", required=True),
    "traits": Key(Named(FREE, OneOrMore(FREE), MAX_ENTRIES), "known from the start", "{}"),
    "given": Key(Many(GivenAct(AT), MAX_ENTRIES), "acts and answers", "[]"),
    "expect": Key(Many(Condition(LEAD_WORDS, {"at": AT}), MAX_ENTRIES), "what must hold", required=True),
})
MODEL = Fields({
    "leadstream": Key(FORMAT, "version of this file format", required=True),
    "name": Key(ID, "name of the model", required=True),
    "description": Key(FREE, "for people"),
    "timezone": Key(_text(_zone), "where days, weeks and months begin", "UTC"),
    "site": Key(Fields({"hosts": Key(OneOrMore(HOST), "pages on any other host never score")}), "the site", "{}"),
    "score": Key(Fields({"floor": Key(POINTS, "", "0"), "cap": Key(POINTS)}), "bounds of the total", "{}"),
    "dimensions": Key(Named(ID, DIMENSION, MAX_DIMENSIONS), "the separate scores", "{engagement: {half_life: 30d}}"),
    "touchpoints": Key(Many(TOUCHPOINT, MAX_ENTRIES), "where: the first that fits gives the weight", "[]"),
    "tags": Key(Many(TAG, MAX_TAGS, "id"), "about what: all that fit apply", "[]"),
    "groups": Key(Named(ID, GROUP, MAX_ENTRIES), "ceilings over rules of one dimension", "{}"),
    "rules": Key(Many(RULE, MAX_RULES, "id"), "what: every rule that fits pays", "[]"),
    "fit": Key(Many(FIT_BLOCK, MAX_ENTRIES, "id"), "is it the right person?", "[]"),
    "grade": Key(GRADE, "letter by fit, digit by score", "{}"),
    "rfm": Key(RFM, "4 (best) to 1", "{}"),
    "inactivity": Key(Many(INACTIVITY, MAX_ENTRIES), "taken off while nothing happens", "[]"),
    "mql": Key(_bounds(POINTS, {"enter": "60", "exit": "40"}), "two numbers of the default stages"),
    "stages": Key(Many(STAGE, MAX_ENTRIES, "id"), "low to high; replaces all default stages"),
    "alerts": Key(ALERTS, "who is told", "{}"),
    "tests": Key(Many(TEST, MAX_ENTRIES), "given these acts, expect this", "[]"),
})
# fmt: on
