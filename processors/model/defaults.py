"""What a model that says nothing gets: defaults that depend on other parts of the file."""

from typing import Any

from processors.model.keys import MODEL, ROUTE
from processors.model.problems import Findings
from processors.model.yaml_nodes import read_nodes

Tree = dict[str, Any]
HALF_LIFE_MS = 30 * 86_400_000.0

# {enter} and {exit} are the two numbers of `mql`.
DEFAULT_STAGES = """
- {{id: visitor}}
- {{id: lead, enter: {{known: true}}}}
- {{id: recycled, feedback: [wrong_time, lost]}}
- id: mql
  enter: {{known: true, score: at least {enter}, fit: above -30}}
  exit: {{score: below {exit}}}
  min_dwell: 1d
  cooldown: 7d
- {{id: sal, owner: sales, feedback: [accepted], stuck_after: 2d}}
- {{id: sql, owner: sales, feedback: [qualified], stuck_after: 14d}}
- {{id: opportunity, owner: sales, feedback: [opportunity_opened], stuck_after: 30d}}
- {{id: poc, owner: sales, feedback: [poc_started], stuck_after: 45d}}
- {{id: customer, owner: sales, feedback: [won]}}
- {{id: disqualified, owner: sales, feedback: [invalid]}}
"""


def default_stages(enter: float, exit_: float) -> list[Tree]:
    findings = Findings("default stages")
    node = read_nodes(DEFAULT_STAGES.format(enter=f"{enter:f}", exit=f"{exit_:f}"), findings)
    assert node is not None
    stages: list[Tree] = MODEL.keys["stages"].shape.read(node, (), findings)
    assert not findings.errors
    return stages


def fill_in(tree: Tree) -> None:
    """Complete the tree in place. Wrong values (None) stay as they are."""
    mql = tree["mql"] or {"enter": 60.0, "exit": 40.0}
    if tree["stages"] is None:
        tree["stages"] = default_stages(mql["enter"] or 0.0, mql["exit"] or 0.0)
    for dimension in tree["dimensions"].values():
        _decay(dimension, HALF_LIFE_MS)
    for rule in tree["rules"]:
        home = tree["dimensions"].get(rule["dimension"])
        _decay(rule, home["half_life"] if home else HALF_LIFE_MS)
        if rule["activity"] is None:
            rule["activity"] = rule["points"] > 0
    _fill_in_routes(tree)


def _decay(tree: Tree, otherwise: float) -> None:
    """One half-life (ms) out of `half_life` and `keep`."""
    tree["half_life"] = next((value for value in (tree.pop("keep"), tree["half_life"]) if value is not None), otherwise)


def _fill_in_routes(tree: Tree) -> None:
    alerts = tree["alerts"]
    if alerts["routes"] is None:
        empty = ROUTE.harmless()
        has_mql = any(stage["id"] == "mql" for stage in tree["stages"])
        alerts["routes"] = [{**empty, "enters": "mql", "send_to": ["sales"]}] if has_mql else []
    for route in alerts["routes"]:
        if route["ack_within"] is None:
            route["ack_within"] = alerts["ack_within"]
