"""What one model file changes in another: key by key for rules, part by part for the rest, and when each takes effect."""

from dataclasses import dataclass
from typing import Any, Literal

from processors.model.reader import model_tree
from processors.model.scalars import duration_text, number_text

Tree = dict[str, Any]
Effect = Literal["at once", "past: replay"]
"""`at once`: a row keeps units, and what prices them is asked on reading. `past: replay`: it decides which units an act
makes, so it holds from now on, and for what is past the log would have to be folded again.
"""

_NAMES = {"id", "name", "was", "enabled"}
_PRICES_UNITS = {"points", "dimension", "group", "cap", "tag_weight"}  # keys of a rule
_PRICES_ROWS = {"score", "fit", "grade", "rfm", "inactivity", "stages", "alerts"}  # parts of a model
_OTHER_PARTS = {"timezone", "site", "touchpoints", "tags"}


@dataclass(frozen=True, slots=True)
class KeyChange:
    """`before` and `after` as the file would say them; None: too long to show, such as a condition."""

    rule: str
    key: str
    before: str | None
    after: str | None
    effect: Effect


@dataclass(frozen=True, slots=True)
class PartChange:
    """`part`: `stages.mql`, or `alerts` where its entries have no ids."""

    part: str
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
    moved = [id_ for id_ in old if id_ in new] != [id_ for id_ in new if id_ in old]
    return [PartChange("order of rules", "past: replay")] if moved else []


def _key_changes(old: Tree, new: Tree) -> list[KeyChange]:
    return [
        KeyChange(
            rule=new["id"],
            key=key,
            before=_shown(key, old[key]),
            after=_shown(key, new[key]),
            effect="at once" if key in _PRICES_UNITS else "past: replay",
        )
        for key in new
        if key not in _NAMES and old[key] != new[key]
    ]


def _shown(key: str, value: Any) -> str | None:
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case float() | int():
            return duration_text(value) if key == "half_life" else number_text(value)
        case str():
            return value
        case {"times": times, "per": per, "by": by}:
            return f"{times} per {per}" + (f" by {by}" if by else "")
        case (str(first), str(last)) if key == "valid":
            return f"{first} to {last}"
        case list() if key == "tags":
            return ", ".join(value)
        case _:
            return None


def _part_changes(old: Tree, new: Tree) -> list[PartChange]:
    changes: list[PartChange] = []
    for part in new:
        if part in _PRICES_ROWS:
            changes += [PartChange(name, "at once") for name in _differing(part, old[part], new[part])]
        elif part in _OTHER_PARTS:
            changes += [PartChange(name, "past: replay") for name in _differing(part, old[part], new[part])]
        elif part == "groups":
            changes += _group_changes(old[part], new[part])
        elif part == "dimensions":  # its half-life is told by the rules that have it from there
            caps = [{name: each["cap"] for name, each in tree[part].items()} for tree in (old, new)]
            changes += [PartChange(name, "at once") for name in _differing(part, *caps)]
    return changes


def _group_changes(old: Tree, new: Tree) -> list[PartChange]:
    def pick(groups: Tree, name: str) -> str:
        return str(groups[name]["pick"]) if name in groups else "all"

    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [
        PartChange(f"groups.{name}", "at once" if pick(old, name) == pick(new, name) else "past: replay")
        for name in names
    ]


def _differing(part: str, old: Any, new: Any) -> list[str]:
    """The entries that differ, where they have ids, else the part itself if it differs."""
    old_entries, new_entries = _by_id(old), _by_id(new)
    if old_entries is None or new_entries is None:
        return [part] if _nameless(old) != _nameless(new) else []
    names = [
        name
        for name in {**old_entries, **new_entries}
        if _nameless(old_entries.get(name)) != _nameless(new_entries.get(name))
    ]
    if not names and list(old_entries) != list(new_entries):
        return [f"order of {part}"]
    return [f"{part}.{name}" for name in names]


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
