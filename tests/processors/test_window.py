"""What a row remembers, and that it forgets in time."""

from hypothesis import example, given
from hypothesis import strategies as st

from processors.calendar import DAY_MS, LONGEST_MS
from processors.models import load_shipped
from processors.units import DAYS_RULE, KEPT_MS
from schemas.codec import encode
from tests.processors.history import LEAD, History
from tests.processors.strategies import LAWS

LIMITS = {"pricing-page": "day", "case-study": "day", "download": "week", "trial-started": "lifetime", DAYS_RULE: "day"}
PLAIN, PRICES = {"event": "page_view"}, {"event": "page_view", "url": "https://www.acme.example/pricing"}
ACTS = st.sampled_from(
    [
        {"event": "page_view", "url": "https://www.acme.example/customers/a"},
        {"event": "download", "asset": "paper"},
        {"event": "trial_started"},
        {"event": "content_saved"},
        PLAIN,
        PRICES,
    ]
)


@LAWS
@example(acts=[(PLAIN, 0, 0, False), (PLAIN, 20, 1, True), (PLAIN, 1, 0, False), (PLAIN, 20, 0, False)])
@example(acts=[(PLAIN, 0, 1, True), (PRICES, 1, 1, True), (PLAIN, 20, 1, True)])
@given(acts=st.lists(st.tuples(ACTS, st.floats(0, 12), st.floats(0, 6.9), st.booleans()), min_size=1, max_size=40))
def test_after_every_record_the_first_act_and_the_first_windows_are_still_needed(
    acts: list[tuple[dict[str, str], float, float, bool]],
) -> None:
    history, day = History(load_shipped("reference")), 0.0
    for number, (fields, pause, late, imported) in enumerate(acts):
        day += pause
        if imported:
            line = {"import_id": "i", "line": number + 1, "event": history.event(day - 50 * late, fields)}
            history.record(day, LEAD, encode("ImportedLine", line))
        else:
            history.record(day, LEAD, encode("TrackedEvent", history.event(day - late, fields)))
        opened = history.fold.rows.read(LEAD)
        assert opened is not None
        row = opened.row
        horizon = row.now // DAY_MS * DAY_MS - KEPT_MS
        assert next(iter(row.window.values()), horizon) >= horizon
        for rule, buckets in row.limited.items():
            key, bucket = next(iter(buckets.items()))
            longest_ms = LONGEST_MS.get(LIMITS[rule])  # type: ignore[call-overload]  # lifetime has none
            assert longest_ms is None or max(bucket.touched, (key >> 8) + longest_ms) >= horizon
        assert row.paid.keys() <= row.window.keys()
        assert row.entries == sum(1 + len(e[4]) for bs in row.limited.values() for b in bs.values() for e in b.entries)
        assert row.hits == sum(1 + len(tags) for hits in row.paid.values() for *_, tags in hits)
