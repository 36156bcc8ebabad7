"""The version of a model: a digest of what it means, so nobody bumps a number."""

import json
from hashlib import sha256
from math import isinf
from typing import Any

Tree = dict[str, Any]


def version_of(tree: Tree) -> str:
    """First 8 hex digits of SHA-256 over the filled tree without names, descriptions and tests, as JSON with sorted
    keys and no spaces, durations in ms, numbers in shortest form.

    What is absent is left out, so a key that a later release adds changes no version.
    """
    meaning = {key: value for key, value in tree.items() if key not in ("name", "description", "tests", "mql")}
    for key in ("touchpoints", "rules"):
        meaning[key] = [_nameless(entry) for entry in meaning[key]]
    meaning["alerts"] = {**meaning["alerts"], "routes": [_nameless(route) for route in meaning["alerts"]["routes"]]}
    text = json.dumps(_plain(meaning), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(text.encode()).hexdigest()[:8]


def _nameless(tree: Tree) -> Tree:
    return {key: value for key, value in tree.items() if key != "name"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return _number(value)
    return value


def _number(value: float) -> int | float | str:
    if isinf(value):
        return "never"
    return int(value) if value.is_integer() else value
