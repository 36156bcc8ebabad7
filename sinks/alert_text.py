"""A transition as people read it: the last act in words first, then who, why now, where from, answer by when. Pure.

The same transition always gives the same text. Every field from outside goes through `plain`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from schemas.records import Part, StageTransition
from sinks.plain_text import plain
from sinks.touch_text import came_from, clock, day, moment

SHORT_LINES, LONG_LINES = 3, 12  # lines of a receipt in a chat line and in a mail
VERBS = {
    "page_view": "looked at",
    "download": "downloaded",
    "form_submitted": "sent the form",
    "event_attended": "came to",
    "webinar_attended": "attended the webinar",
    "stream_watched": "watched",
    "email_clicked": "clicked in the e-mail",
    "content_saved": "saved",
    "trial_started": "started a trial",
    "signed_up": "signed up",
}
UNDONE = {  # causes without an act
    "decay": "cooled down",
    "inactivity": "did nothing for long",
    "feedback": "moved by sales",
}
SPOKEN_STAGES = 3  # a stage id up to so long is an abbreviation: mql, sal, sql, poc
KEY_TAIL = 6  # characters of an id that are shown


@dataclass(frozen=True, slots=True)
class AlertText:
    """`lines` are for a terminal: the headline, then up to three more. `subject` and `body` for chat and mail."""

    lines: tuple[str, ...]
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class _Words:
    who: str
    deed: str
    facts: str
    origin: str
    ends: tuple[str, ...]


def alert_text(
    transition: StageTransition, shown: Collection[str], timezone: tzinfo, until: int | None = None
) -> AlertText:
    """`shown` names the traits that may leave in an alert. `until` (ms UTC): when the lead will leave its stage if
    nothing happens; None: never, or not known.
    """
    traits = _shown_traits(transition, shown)
    ends = [
        _answer(transition, timezone),
        "" if until is None else f"cools down {moment(until, timezone)} if nothing happens",
    ]
    words = _Words(
        who=_who(traits, transition["lead_key"]),
        deed=_deed(transition),
        facts=_facts(traits),
        origin=came_from(transition, timezone),
        ends=tuple(end for end in ends if end),
    )
    lines = [
        headline(transition, shown),
        _why(transition),
        _joined(" · ", [words.facts, f"came from {words.origin}" if words.origin else ""]),
        _joined(" · ", words.ends),
    ]
    return AlertText(
        lines=tuple(line for line in lines if line),
        subject=f"{_title(transition)}: {words.who}",
        body=_body(transition, words, timezone),
    )


def headline(transition: StageTransition, shown: Collection[str]) -> str:
    """`Ada Lovelace, CTO at Big Bank, came to "Data Summit" · new MQL, A2`."""
    who = _who(_shown_traits(transition, shown), transition["lead_key"])
    move = _move(transition)
    return f"{who}, {_deed(transition)} · {move[0].lower()}{move[1:]}"


def digest_text(headlines: Sequence[str]) -> AlertText:
    """What was over budget in an hour; `headlines` come best first."""
    subject = f"{len(headlines)} more, best first"
    return AlertText(lines=(subject, *headlines), subject=subject, body="\n".join([*headlines, ""]))


def _shown_traits(transition: StageTransition, shown: Collection[str]) -> dict[str, str]:
    return {name: text for name, value in transition["traits"].items() if name in shown and (text := _text(value))}


def _who(traits: dict[str, str], key: str) -> str:
    name = traits.get("name") or _joined(" ", [traits.get("first_name", ""), traits.get("last_name", "")])
    person = name or traits.get("email") or _visitor(key)
    role = _joined(" at ", [traits.get("title", ""), traits.get("company", "")])
    return _joined(", ", [person, role])


def _visitor(key: str) -> str:
    """`A visitor (…f2aaaa)`: the end of the id, without the digit that a key begins with."""
    id_ = key[1:]
    return f"A visitor ({'…' if len(id_) > KEY_TAIL else ''}{plain(id_[-KEY_TAIL:])})"


def _deed(transition: StageTransition) -> str:
    act = transition["act"]
    if act is None:
        return UNDONE.get(transition["cause"], "scored by a new model")
    verb = VERBS.get(act["type"], plain(act["type"].replace("_", " ")))
    subject = plain(act["subject"]) or plain(act["url"].partition("?")[0])  # a query may hold an e-mail address
    return f'{verb} "{subject}"' if subject else verb


def _move(transition: StageTransition) -> str:
    """`New MQL, A2` or `No longer MQL, now recycled`."""
    to = _stage(transition["to_stage"])
    if transition["direction"] == "down":
        return f"No longer {_stage(transition['from_stage'])}, now {to}"
    return f"New {to}, {plain(transition['grade'])}"


def _title(transition: StageTransition) -> str:
    """`New MQL (A2)` or `No longer MQL, now recycled`."""
    if transition["direction"] == "down":
        return _move(transition)
    return f"New {_stage(transition['to_stage'])} ({plain(transition['grade'])})"


def _stage(name: str) -> str:
    return plain(name.upper() if len(name) <= SPOKEN_STAGES else name.replace("-", " "))


def _why(transition: StageTransition) -> str:
    """What has added most; of a lead that has fallen, what was taken off."""
    if transition["direction"] == "down":
        taken = [
            part for part in transition["receipt"] if part["points"] < 0 and part["kind"] in ("rule", "inactivity")
        ]
        told, lines = "Why", [_penalty(part) for part in taken[:SHORT_LINES]] or ["its points have faded"]
    else:
        told, lines = "Why now", [_reason(part) for part in _largest(transition["receipt"], SHORT_LINES)]
    lines.append(f"score {transition['score']:.0f}, fit {transition['fit']:.0f}")
    return f"{told}: {' · '.join(lines)}"


def _penalty(part: Part) -> str:
    return f"no act for long {part['points']:+.0f}" if part["kind"] == "inactivity" else _reason(part)


def _reason(part: Part) -> str:
    subject = plain(part["subject"], 60)
    about = f' "{subject}"' if subject else ""
    return f"{plain(part['name'])}{about} {part['points']:+.0f}"


def _largest(receipt: list[Part], count: int) -> list[Part]:
    """The lines that added most, largest first."""
    return sorted((part for part in receipt if part["points"] > 0), key=lambda part: -part["points"])[:count]


def _facts(traits: dict[str, str]) -> str:
    people = traits.get("employees", "")
    size = f"{int(people):,} people" if people.isascii() and people.isdecimal() else ""
    firm = _joined(", ", [size, traits.get("industry", ""), traits.get("country", "")])
    return _joined(" · ", [firm, traits.get("email", ""), _masked(traits.get("phone", ""))])


def _masked(phone: str) -> str:
    """Enough to know which number; the whole one is in the CRM."""
    return f"{phone[:3]} ... {phone[-4:]}" if len(phone) > 8 else ""


def _answer(transition: StageTransition, timezone: tzinfo) -> str:
    alert = transition["alert"]
    if alert is None or alert["ack_within_ms"] <= 0 or transition["direction"] == "down":
        return ""
    began, until = transition["logged_at"], transition["logged_at"] + alert["ack_within_ms"]
    same_day = day(began, timezone) == day(until, timezone)
    then = f", then {plain(alert['escalate_to'])}" if alert["escalate_to"] else ""
    return f"Answer by {clock(until, timezone) if same_day else moment(until, timezone)}{then}"


def _body(transition: StageTransition, words: _Words, timezone: tzinfo) -> str:
    alert = transition["alert"]
    lines = [f"{words.who}, {words.deed}.", "", "Why now", *_receipt_lines(transition, timezone)]
    lines.append(
        f"  Score {transition['score']:.1f}, fit {transition['fit']:.1f}, grade {plain(transition['grade'])}. "
        f"Was {_stage(transition['from_stage'])}."
    )
    lines += [f"{title}: {text}" for title, text in (("Came from", words.origin), ("Who", words.facts)) if text]
    lines += ["", *(f"{end[0].upper()}{end[1:]}." for end in words.ends)]
    if alert is not None:
        route, channels = plain(alert["route"]), plain(", ".join(alert["send_to"]))
        lines.append(f'You get this because route "{route}" names {channels}.')
    return "\n".join(lines) + "\n"


def _receipt_lines(transition: StageTransition, timezone: tzinfo) -> list[str]:
    """Largest first, cuts and penalties too; what is not listed is summed up, so that the lines add up to the score."""
    parts = sorted(transition["receipt"], key=lambda part: -abs(part["points"]))
    lines = [_receipt_line(part, timezone) for part in parts[:LONG_LINES]]
    if rest := parts[LONG_LINES:]:
        lines.append(f"  {sum(part['points'] for part in rest):+.1f}  {len(rest)} more")
    return lines


def _receipt_line(part: Part, timezone: tzinfo) -> str:
    what = _joined(": ", [plain(part["name"] or part["id"]), plain(part["subject"])])
    when = "" if part["last_at"] is None else moment(part["last_at"], timezone)
    return f"  {part['points']:+.1f}  {_joined(', ', [what, when])}"


def _text(value: str | list[str]) -> str:
    return plain(", ".join(value) if isinstance(value, list) else value)


def _joined(separator: str, parts: Sequence[str]) -> str:
    return separator.join(part for part in parts if part)
