"""What one model file changes in another: key by key for rules, part by part for the rest, and when each takes effect."""

from dataclasses import dataclass
from typing import Any, Literal

from processors.model.change_text import differences
from processors.model.reader import model_tree

Tree = dict[str, Any]
Effect = Literal["at once", "from now on"]
"""`at once`: a row keeps units, and what prices them is asked on reading. `from now on`: it decides which units an act
makes, so for what is past the log would have to be folded again.
"""

_NAMES = {"id", "name", "was", "enabled"}
_PRICES_UNITS = {"points", "dimension", "group", "cap", "tag_weight"}  # keys of a rule
_PRICES_ROWS = {"score", "fit", "grade", "rfm", "inactivity", "stages", "alerts"}  # parts of a model
_OTHER_PARTS = {"timezone", "site", "touchpoints", "tags"}


@dataclass(frozen=True, slots=True)
class KeyChange:
    """`key`: `points`, or `when.event`. `before` and `after` are as the file would say them, shortened to what differs."""

    rule: str
    key: str
    before: str
    after: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class PartChange:
    """`part`: `stages.mql.enter.score`, or `touchpoints[0].weight` where entries have no ids."""

    part: str
    before: str
    after: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class ModelChanges:
    """Ids of rules that are enabled. `removed` have no heir: no rule of the new model says `was`."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    keys: tuple[KeyChange, ...]
    parts: tuple[PartChange, ...]


def model_changes(before: str, after: str) -> ModelChanges:
    """Compare the texts of two model files.

    Raises:
        ModelErrors: one of them is no model.
    """
    old_tree, new_tree = model_tree(before), model_tree(after)
    old, new = _rules(old_tree), _rules(new_tree)
    renamed = {rule["was"]: id_ for id_, rule in new.items() if rule["was"] in old and id_ not in old}
    kept = [(id_, id_) for id_ in new if id_ in old] + list(renamed.items())
    return ModelChanges(
        added=tuple(id_ for id_ in new if id_ not in old and id_ not in renamed.values()),
        removed=tuple(id_ for id_ in old if id_ not in new and id_ not in renamed),
        renamed=tuple(renamed.items()),
        keys=tuple(change for was, id_ in kept for change in _key_changes(old[was], new[id_])),
        parts=(*_reordered(list(old), list(new)), *_part_changes(old_tree, new_tree)),
    )


def _rules(tree: Tree) -> dict[str, Tree]:
    return {rule["id"]: rule for rule in tree["rules"] if rule["enabled"]}


def _reordered(old: list[str], new: list[str]) -> list[PartChange]:
    """The order of rules matters where a group picks the first."""
    before, after = [id_ for id_ in old if id_ in new], [id_ for id_ in new if id_ in old]
    return [] if before == after else _changes("order of rules", before, after, "from now on")


def _changes(path: str, old: Any, new: Any, effect: Effect) -> list[PartChange]:
    return [PartChange(*found, effect) for found in differences(path, old, new, path.rpartition(".")[2])]


def _key_changes(old: Tree, new: Tree) -> list[KeyChange]:
    return [
        KeyChange(new["id"], *found, effect="at once" if key in _PRICES_UNITS else "from now on")
        for key in new
        if key not in _NAMES and old[key] != new[key]
        for found in differences(key, old[key], new[key], key)
    ]


def _part_changes(old: Tree, new: Tree) -> list[PartChange]:
    changes: list[PartChange] = []
    for part in new:
        if part in _PRICES_ROWS:
            changes += _of_entries(part, old[part], new[part], "at once")
        elif part in _OTHER_PARTS:
            changes += _of_entries(part, old[part], new[part], "from now on")
        elif part == "groups":
            changes += _group_changes(old[part], new[part])
        elif part == "dimensions":  # its half-life is told by the rules that have it from there
            before, after = ({f"{name}.cap": each["cap"] for name, each in tree[part].items()} for tree in (old, new))
            changes += _of_entries(part, before, after, "at once")
    return changes


def _group_changes(old: Tree, new: Tree) -> list[PartChange]:
    def pick(groups: Tree, name: str) -> str:
        return str(groups[name]["pick"]) if name in groups else "all"

    return [
        change
        for name in {**old, **new}
        if old.get(name) != new.get(name)
        for change in _changes(
            f"groups.{name}",
            old.get(name),
            new.get(name),
            "at once" if pick(old, name) == pick(new, name) else "from now on",
        )
    ]


def _of_entries(part: str, old: Any, new: Any, effect: Effect) -> list[PartChange]:
    """By the ids of the entries, where they have any."""
    before, after = (entries if (entries := _by_id(tree)) is not None else tree for tree in map(_nameless, (old, new)))
    if before == after:
        moved = isinstance(before, dict) and list(before) != list(after)
        return _changes(f"order of {part}", list(before), list(after), effect) if moved else []
    return _changes(part, before, after, effect)


def _by_id(value: Any) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and all("id" in each for each in value):
        return {each["id"]: each for each in value}
    return None


def _nameless(value: Any) -> Any:
    """Names are for people and change nothing."""
    if isinstance(value, list):
        return [_nameless(each) for each in value]
    if isinstance(value, dict):
        return {key: _nameless(each) for key, each in value.items() if key != "name"}
    return value
