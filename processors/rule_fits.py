"""Which rules of a model none of some acts fits, and why that may be. Pure: asks the matcher alone, folds nothing."""

from collections import Counter
from collections.abc import Iterator

from processors.match_rules import Matcher
from processors.model.model import Rule, ScoringModel
from schemas.event_names import normal_event_name
from schemas.nearest import nearest
from schemas.records import TrackedEvent


class RuleFits:
    """Sees acts one by one; tells at the end which rules no act has fitted."""

    def __init__(self, model: ScoringModel) -> None:
        self._rules = model.rules
        self._matcher = Matcher(model)
        self._fitted: set[str] = set()
        self._types: Counter[str] = Counter()

    def see(self, event: TrackedEvent, at: int) -> None:
        """`at`: the effective time of the act (ms UTC). Those of bots fit nothing, as in the fold."""
        flags = event.get("flags")
        if flags is not None and flags["bot"]:
            return
        self._types[normal_event_name(event["type"])] += 1
        self._fitted.update(hit.rule.id for hit in self._matcher.match(event, at).hits)

    @property
    def seen(self) -> int:
        return self._types.total()

    def unfitted(self, since: int, until: int, span: str) -> Iterator[tuple[str, str]]:
        """(rule id, what to tell) of each rule without a fit, in their order.

        `since` and `until` (ms UTC) bound the acts that were seen; a rule that was not valid between them is left out.
        `span` is that time in words: `30 days`.
        """
        for rule in self._rules:
            if rule.id not in self._fitted and rule.valid_from_ms < until and rule.valid_until_ms > since:
                yield rule.id, self._told(rule, span)

    def _told(self, rule: Rule, span: str) -> str:
        wanted = sorted(rule.event_types or ())
        of_type = sum(self._types[name] for name in wanted)
        if not wanted:
            return f"no event of the last {span} fits ({self.seen:,} seen)."
        if of_type:
            return (
                f"no event {_quoted(wanted)} of the last {span} fits ({of_type:,} seen). Look at its other conditions."
            )
        near = next((name for each in wanted if (name := nearest(each, list(self._types)))), None)
        seen = f" Seen: {near} ({_times(self._types[near])})" if near else ""
        return f"no event {_quoted(wanted)} in the last {span}.{seen}"


def _quoted(names: list[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
