"""What a client is told."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiohttp import web

from schemas.records import TrackedEvent
from sources.http.requests import Refused
from sources.outcomes import Accepted, Outcome, Rejected


class Explained(NamedTuple):
    """`outcome`: folded, foreign_host, bot or late. `rules`: what of the model counts for it, as JSON objects. `hint`:
    why none does, where that is known.
    """

    outcome: str
    rules: Sequence[Mapping[str, Any]]
    hint: str = ""


# What an event scores by itself. Handed in by `streams`, which knows the model.
Explain = Callable[[TrackedEvent], Explained | None]
RETRY_AFTER_SECONDS: Final = 2
MAX_NAMED_PROBLEMS: Final = 20  # of one batch; all of them are in the dead letters


def segment_answer(outcomes: Sequence[Outcome]) -> web.Response:
    """`{"success": true}`, naming what was refused beside the rest; 400 if nothing could be used."""
    problems = [_problem(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)]
    if not problems:
        return answer({"success": True})
    named = {"rejected": len(problems), "items": problems[:MAX_NAMED_PROBLEMS]}
    if len(problems) < len(outcomes):
        return answer({"success": True, **named})
    return answer({"success": False, "error": "no event in the request can be used", **named}, status=400)


def events_answer(outcomes: Sequence[Outcome], explain: Explain | None, *, explained: bool) -> web.Response:
    """Counts and one line per item; 400 if nothing could be used."""
    items = [
        _accepted(index, outcome, explain, explained=explained)
        if isinstance(outcome, Accepted)
        else _problem(index, outcome)
        for index, outcome in enumerate(outcomes)
    ]
    accepted = sum(isinstance(outcome, Accepted) for outcome in outcomes)
    body: dict[str, Any] = {"accepted": accepted, "rejected": len(outcomes) - accepted, "items": items}
    if explained and (explain is None or any("rules" not in item for item in items if item["status"] == "accepted")):
        body["explain"] = "not available: no model is known here yet"
    return answer(body, status=200 if accepted else 400)


def _accepted(index: int, outcome: Accepted, explain: Explain | None, *, explained: bool) -> dict[str, Any]:
    event = outcome.event
    item: dict[str, Any] = {"index": index, "status": "accepted", "event_id": event["event_id"], "type": event["type"]}
    if outcome.cut:
        item["cut"] = outcome.cut
    if any(event["flags"].values()):
        item["flags"] = [name for name, on in event["flags"].items() if on]
    found = explain(event) if explained and explain is not None else None
    if found is not None:
        item["outcome"] = found.outcome
        item["rules"] = [dict(rule) for rule in found.rules]
        if found.hint:
            item["hint"] = found.hint
    return item


def _problem(index: int, outcome: Rejected) -> dict[str, Any]:
    return {"index": index, "status": "rejected", "reason": outcome.reason, "detail": outcome.detail}


def refusal(refused: Refused) -> web.Response:
    headers = {"WWW-Authenticate": 'Basic realm="write key"'} if refused.status == 401 else None
    return error(refused.status, refused.reason, refused.detail, headers)


def unavailable(detail: str) -> web.Response:
    """503: nothing is wrong with the request. SDKs keep it and come again."""
    return error(503, "unavailable", detail, {"Retry-After": str(RETRY_AFTER_SECONDS)})


def too_many(limit: str, wait_seconds: float) -> web.Response:
    """429: the same request passes later."""
    detail = f"too many requests or events: the limit of one {limit} is reached; none of this request was taken"
    return error(429, "rate_limit", detail, {"Retry-After": str(max(1, math.ceil(wait_seconds)))})


def error(status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return answer({"success": False, "error": detail, "reason": reason}, status=status, headers=headers)


def answer(body: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    # Escaped to ASCII: a detail may quote text of the client that UTF-8 cannot say.
    return web.Response(text=json.dumps(body) + "\n", status=status, headers=headers, content_type="application/json")
