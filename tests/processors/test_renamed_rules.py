"""A rule that is renamed with `was` keeps its points; without it they are gone."""

import pytest

from processors.active_model import ActiveModel
from processors.model import read_model
from processors.price import price
from processors.snapshots import snapshot_of
from tests.processors.history import LEAD, History

OLD = """
leadstream: 1
name: renaming
tags: [{id: docs, match: {url: "*/docs*"}}]
rules:
  - {id: docs-page, points: 4, when: {url: "*/docs*"}}
  - {id: pricing, points: 10, when: {url: "*/pricing*"}, limit: {times: 1, per: day}}
"""
RENAMED = OLD.replace("id: docs-page", "id: documentation, was: docs-page").replace(
    "id: pricing", "id: prices, was: pricing"
)
DROPPED = OLD.replace("id: docs-page", "id: documentation").replace("id: pricing", "id: prices")


def told(model: str) -> History:
    history = History(OLD)
    history.act(0, url="https://x.example/docs/a")
    history.act(0, url="https://x.example/pricing")
    history.activate(1, model, n=2)
    return history


@pytest.mark.parametrize(("model", "score"), [(RENAMED, 24), (DROPPED, 10)])
def test_only_was_keeps_the_points(model: str, score: float) -> None:
    history = told(model)
    history.act(1, url="https://x.example/pricing")
    kept = sum(line.points for line in history.price(1).lines)
    assert kept == pytest.approx(10 + (score - 10) * 2 ** (-1 / 30))


def test_tags_counts_and_limits_go_along() -> None:
    history = told(RENAMED)
    history.act(1, url="https://x.example/pricing")
    opened = history.fold.rows.read(LEAD)
    assert opened is not None
    assert set(opened.row.tallies) == {"documentation", "documentation#docs", "prices", "#days"}
    assert opened.row.tallies["prices"].count == 2
    assert len(opened.row.limited["prices"]) == 2
    assert history.price(1).tag("docs") == pytest.approx(2 ** (-1 / 30), abs=1e-6)


def test_a_snapshot_from_before_the_renaming_is_priced_with_the_new_ids() -> None:
    history = History(OLD)
    history.act(0, url="https://x.example/docs/a")
    opened, active = history.fold.rows.read(LEAD), history.fold.models.newest
    assert opened is not None
    assert active is not None
    snapshot = snapshot_of(LEAD, opened.row, opened.version, active)
    newer = ActiveModel(read_model(RENAMED), n=2, at=history.at(1))
    assert [(line.id, line.points) for line in price(snapshot, newer, history.at(0)).lines] == [("documentation", 4.0)]
