from math import inf
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.model import ModelErrors, Problem, check_model, read_model
from processors.model.model import Alerts, Dimension, ExitTerm, Group, Inactivity, Limit, Route
from processors.models import SHIPPED_MODELS, load_shipped

DAY = 86_400_000.0
HEAD = "leadstream: 1\nname: m\n"
RULE = "  - {id: a, points: 5, when: {event: download}}\n"


def problems(text: str) -> list[Problem]:
    with pytest.raises(ModelErrors) as caught:
        read_model(text)
    return caught.value.problems


def problems_of(text: str) -> list[Problem] | None:
    """None: it is a model."""
    try:
        read_model(text)
    except ModelErrors as errors:
        return errors.problems
    return None


def only(text: str) -> str:
    found = problems(text)
    assert len(found) == 1, [str(problem) for problem in found]
    return str(found[0])


def test_ten_errors_are_ten_problems_with_their_places() -> None:
    text = dedent("""\
        leadstream: 1
        name: My Model
        timezone: Europe/Berlim
        dimensions:
          engagement: {half_life: 30}
        groups:
          web: {cap: -1}
        rules:
          - {id: pricing-page, poinst: 15, when: {event: page_view, url: "*/pricing*"}}
          - {id: download, points: ten, when: {event: download}, group: wep}
          - {id: download, points: 3, when: {seconds: at least a minute}}
        stages:
          - {id: visitor}
          - id: mql
            enter: {score: at least 60}
            exit: {score: below 70}
        """)
    assert [(problem.line, problem.column, problem.key) for problem in problems(text)] == [
        (2, 7, "name"),
        (3, 11, "timezone"),
        (5, 27, "dimensions.engagement.half_life"),
        (7, 14, "groups.web.cap"),
        (9, 24, "rules[0].poinst"),
        (10, 28, "rules[1].points"),
        (10, 65, "rules[1].group"),
        (11, 10, "rules[2].id"),
        (11, 47, "rules[2].when.seconds"),
        (16, 11, "stages[1].exit"),
    ]


def test_a_problem_reads_file_line_column_key_and_what_to_write() -> None:
    text = HEAD + "rules:\n" + RULE.replace("points", "poinst")
    assert only(text) == (
        'model.yaml:4:13: rules[0].poinst: unknown key. Did you mean "points"? Known here: id, name, when, points, '
        "dimension, group, half_life, keep, cap, per, per_max, limit, tag_weight, tags, valid, activity, was, enabled."
    )
    assert only(HEAD + "score: 5") == (
        "model.yaml:3:8: score: expected a mapping, found a single value. Write keys such as floor:."
    )


YAML_ERRORS = [
    ("", 1, 1, "the file is empty"),
    ("# only a comment\n", 1, 1, "the file is empty"),
    ("name: [a, b\nx: 1", 2, 2, 'a "," or "]" is missing'),
    ("name: a: b", 1, 8, "a colon that cannot stand here"),
    ("rules:\n\t- a", 2, 1, "(a tab, @, % or `)"),
    ("url: */pricing*", 1, 7, 'Write "*/pricing*"'),
    ('name: "x', 1, 9, "a quote is not closed"),
    ("a: 1\n---\nb: 2", 2, 1, "a second document"),
    ("? [a]\n: b", 1, 3, "a key must be one word"),
    ("a: \x07", 1, 4, "the character U+0007"),
    ("[" * 500, 1, 22, "nested more than 20 levels"),
    ("a" * (1 << 20) + "a", 1, 1, "larger than 1 MiB"),
]


@pytest.mark.parametrize(("text", "line", "column", "words"), YAML_ERRORS, ids=[case[3] for case in YAML_ERRORS])
def test_what_is_no_yaml_is_said_in_plain_words(text: str, line: int, column: int, words: str) -> None:
    [problem] = problems(text)
    assert (problem.line, problem.column) == (line, column)
    assert words in problem.message


def test_nesting_without_end_is_said_in_plain_words_wherever_the_parser_gives_up() -> None:
    [problem] = problems("[" * 50_000)
    assert "nested more than 20 levels" in problem.message


# What stands after the head of a model, and what the only problem says.
ERRORS = [
    ("name: x", "name: written twice, first in line 2. Keep one."),
    ("<<: {a: b}", "<<: merge keys are not read"),
    ("description: &x hello", "description: anchors (&) are not read"),
    ("description: *x", "description: a value that begins with * needs quotes"),
    ("description: !!str hello", "description: tags (!) are not read"),
    ("description: [a]", "description: expected one value, found a list"),
    ("description:", "description: is empty. Write a value, or leave the key out."),
    ("score: {cap: many}", 'score.cap: "many" is no number'),
    ("score: {cap: 1e7}", 'score.cap: "1e7" is no number'),
    ("score: {cap: 1000001}", "score.cap: 1000001 is out of range. Write -1000000 to 1000000."),
    ("score: {floor: 5, cap: 1}", "score.floor: is above cap"),
    ("site: {hosts: at least 5}", 'site.hosts: "at least 5" is a test of a number, but this is text'),
    ("dimensions: {engagement: {half_life: 30}}", '"30" has no unit. Write 30d, 12h or never.'),
    ("dimensions: {engagement: {half_life: soon}}", '"soon" is no duration'),
    ("dimensions: {engagement: {half_life: 0s}}", '"0s" is too short'),
    ("dimensions: {engagement: {half_life: 1d, keep: 70% per 7d}}", "keep: stands beside half_life"),
    ("dimensions: {engagement: {keep: 70%}}", '"70%" does not say what is kept. Write 70% per 7d.'),
    ("dimensions: {engagement: {keep: 100% per 7d}}", "100% is not between 0 and 100"),
    ("dimensions: {Big: {}}", 'dimensions.Big: "Big" is no id'),
    ("touchpoints: [{url: a}]", 'touchpoints[0]: the key "weight" is missing'),
    ("touchpoints: [{url: a, weight: 11}]", "weight: 11 is out of range. Write 0 to 10."),
    ("touchpoints: [{weight: 1}]", "touchpoints[0]: an empty condition would fit everything"),
    ("tags: [{id: a, match: {url: b}}, {id: a, match: {url: c}}]", '"a" is the id of tags[0] too'),
    ("tags: {id: a}", "tags: expected a list, found a mapping. Begin each entry with a dash."),
    ("groups: {web: {floor: 1}}", "groups.web.floor: 1 is out of range. Write -1000000 to 0."),
    ("groups: {web: {pick: frist}}", '"frist" is not known here. Write all or first.'),
    ("fit: [{id: a, trait: t, cases: [{is: at least x, points: 1}]}]", '"at least x" begins like a test'),
    ("grade: {fit: {A: 30}}", "grade.fit.A: B must be below A"),
    ("rfm: {recency: {3: 90d}}", "rfm.recency.3: 2 must be above 3"),
    ("inactivity: [{after: 30d, points: 5}]", "points: 5 is out of range"),
    ("inactivity: [{after: never, points: -5}]", '"never" is no duration'),
    ("timezone: Mars/Base", '"Mars/Base" is no time zone.'),
    ("mql: {enter: 30}", '"score: below 40" is above enter "score: at least 30", so the lead would flap. Lower exit.'),
    ("alerts: {budget: lots}", '"lots" is no budget. Write 50 per day'),
    ("alerts: {routes: [{send_to: a}]}", "this has none of them"),
    ("alerts: {routes: [{enters: mql, leaves: sal, send_to: a}]}", "this has enters and leaves"),
    ("alerts: {routes: [{enters: mqll, send_to: a}]}", 'there is no stage "mqll". Did you mean "mql"?'),
    ("alerts: {routes: [{enters: mql, to: sal, send_to: a}]}", '"to" belongs to "leaves"'),
    ("alerts: {routes: [{enters: mql, in: sal, send_to: a}]}", '"in" belongs to "does"'),
    ("alerts: {routes: [{does: nothing, send_to: a}]}", 'there is no rule "nothing". Declared: none.'),
    ("alerts: {routes: [{stuck_in: [sal, sqll], send_to: a}]}", 'stuck_in[1]: there is no stage "sqll"'),
    ("alerts: {routes: [{enters: mql, when: {stage: sall}, send_to: a}]}", 'there is no stage "sall"'),
    ("alerts: {routes: [{enters: mql, when: {within: 3d}, send_to: a}]}", '"within" belongs to "did"'),
    ("alerts: {routes: [{enters: mql, when: {score: high}, send_to: a}]}", '"high" can never fit a number'),
    ("alerts: {routes: [{enters: mql, when: {idle: 3d}, send_to: a}]}", "Write at least 30d or below 12h."),
    ("alerts: {routes: [{enters: mql, when: {idle: at least 3}, send_to: a}]}", '"3" has no unit'),
    ("alerts: {routes: [{enters: mql, when: {known: yes}, send_to: a}]}", "Write true or false."),
    ("alerts: {routes: [{enters: mql, when: {not: {tags.x: 1}}, send_to: a}]}", 'when.not.tags.x: there is no tag "x"'),
    ("alerts: {routes: [{enters: mql, when: {any: []}, send_to: a}]}", "expected a list of conditions, found an empty"),
    ("stages: []", "stages: names no stage"),
    ("stages: [{id: a, owner: sales}]", "every lead begins in the first stage"),
    ("stages: [{id: a, enter: {known: true}}]", 'the first stage is where every lead begins and has no "enter"'),
    ("stages: [{id: a}, {id: b, owner: sales, enter: {known: true}}]", "moved by feedback alone"),
    ("stages: [{id: a}, {id: b, owner: sales, exit: {score: below 1}}]", "moved by feedback alone"),
    ("stages: [{id: a, feedback: x}, {id: b, feedback: [y, x]}]", '"x" is a word of stage "a" too'),
    ("stages: [{id: a}, {id: b, exit: {score: at most 4}}]", "cannot end a stage. Write score: below 40."),
    ("stages: [{id: a}, {id: b, exit: {idle: below 4d}}]", "cannot end a stage. Write idle: at least 90d."),
    ("stages: [{id: a}, {id: b, exit: {fit: below 4}}]", "unknown key"),
    ("stages: [{id: a}, {id: b, exit: {dimensions.x: below 4}}]", 'there is no dimension "x"'),
    ("stages: [{id: a}, {id: b, exit: {score: below 4, idle: at least 1d}}]", "expected one of score, dimensions.<id>"),
    ("stages: [{id: a}]\nmql: {enter: 50}", "mql: stands beside stages"),
    ("tests: [{name: t}]", 'tests[0]: the key "expect" is missing'),
    ("tests: [{name: t, given: [{at: 0d}], expect: []}]", "neither one act nor one answer"),
    ("tests: [{name: t, given: [{at: 0d, feedback: hm}], expect: []}]", 'there is no feedback word "hm"'),
    ("tests: [{name: t, given: [{at: 0d, event: x, seconds: long}], expect: []}]", '"long" is no number'),
    ("tests: [{name: t, expect: [{at: 0d, socre: 3}]}]", 'Did you mean "score"?'),
    ("tests: [{name: t, expect: [{at: 0d}]}]", "an empty condition"),
]


@pytest.mark.parametrize(("text", "words"), ERRORS, ids=[case[0] for case in ERRORS])
def test_each_kind_of_error_is_found_alone(text: str, words: str) -> None:
    assert words in only(HEAD + text)


RULE_ERRORS = [
    ("dimension: engagment", 'there is no dimension "engagment". Did you mean "engagement"?'),
    ("group: web", 'there is no group "web"'),
    ("tags: [nope]", 'rules[0].tags[0]: there is no tag "nope"'),
    ("cap: -1", "out of range"),
    ("per: title", '"title" is no numeric field'),
    ("per_max: 5", '"per_max" belongs to "per"'),
    ("limit: {times: 0, per: day}", "0 is out of range. Write 1 to 100."),
    ("limit: {times: 1.5, per: day}", "1.5 is no whole number"),
    ("limit: {times: 1}", 'the key "per" is missing'),
    ("limit: {per: day, by: asseta}", 'Did you mean "asset"?'),
    ("valid: 2026-02-30 to 2026-03-01", "no such day"),
    ("valid: 2026-03-02 to 2026-03-01", "ends before it begins"),
    ("valid: spring", "is no span of days"),
    ("activity: maybe", "neither true nor false"),
    ("was: a", 'there is still a rule "a"'),
    ("half_life: 1d, keep: 50% per 1d", "stands beside half_life"),
    ("tag_weight: 11", "out of range"),
]


@pytest.mark.parametrize(("keys", "words"), RULE_ERRORS, ids=[case[0] for case in RULE_ERRORS])
def test_each_kind_of_error_in_a_rule_is_found_alone(keys: str, words: str) -> None:
    assert words in only(f"{HEAD}rules:\n{RULE.replace('}}', '}, ' + keys + '}')}")


def test_a_group_over_two_dimensions_is_refused() -> None:
    text = dedent("""
        dimensions: {one: {}, two: {}}
        groups: {web: {}}
        rules:
          - {id: a, points: 1, when: {event: x}, dimension: one, group: web}
          - {id: b, points: 1, when: {event: x}, dimension: two, group: web}
        """)
    assert 'group "web" would span two dimensions: "two" here and "one" in rule "a"' in only(HEAD + text)


def test_two_rules_cannot_take_over_the_points_of_one() -> None:
    rules = [f"{{id: {name}, points: 1, when: {{event: x}}, was: old}}" for name in "ab"]
    assert 'rules[1].was: rule "a" takes over the points of "old" already' in only(f"{HEAD}rules: [{', '.join(rules)}]")


def test_too_many_rules_are_refused() -> None:
    rules = "".join(f"  - {{id: r{number}, points: 1, when: {{event: x}}}}\n" for number in range(501))
    assert only(f"{HEAD}rules:\n{rules}").endswith("rules: 501 entries. At most 500 are read.")


def test_more_than_two_hundred_problems_are_cut_with_a_word_about_it() -> None:
    found = problems(HEAD + "".join(f"x{number}: 1\n" for number in range(300)))
    assert len(found) == 201
    assert "the rest is not listed" in "".join(problem.message for problem in found)


WARNINGS = [
    (
        "fit: [{id: a, trait: t, cases: [{is: '*director*', points: 1}, {is: managing director, points: 2}]}]",
        "fit[0].cases[1]",
    ),
    (
        "fit: [{id: a, trait: t, cases: [{is: at least 50, points: 1}, {is: at least 200, points: 2}]}]",
        "fit[0].cases[1]",
    ),
    (
        "fit: [{id: a, trait: t, cases: [{is: below 50, points: 1}, {is: [7, at most 10], points: 2}]}]",
        "fit[0].cases[1]",
    ),
    ("rules: [{id: a, points: 5, when: {event: x}, half_life: never}]", "rules[0].half_life"),
    ("rules: [{id: a, points: 5, cap: 50, when: {event: x}}]", "mql.enter"),
    ("rules: [{id: a, points: 50, when: {event: x}}]\nscore: {cap: 55}", "mql.enter"),
    ("rules: [{id: a, points: 5, when: {event: pageview}}]", "rules[0].when.event"),
    ("rules: [{id: a, points: 5, when: {event: [x, Form Submited]}}]", "rules[0].when.event[1]"),
    (
        "rules: [{id: a, points: 5, when: {any: [{utm.id: 1}, {not: {event: downloads}}]}}]",
        "rules[0].when.any[1].not.event",
    ),
]


@pytest.mark.parametrize(("text", "key"), WARNINGS, ids=[case[0] for case in WARNINGS])
def test_what_is_hardly_meant_is_warned_about_and_read(text: str, key: str) -> None:
    [warning] = check_model(HEAD + text).warnings
    assert (warning.key, warning.severity) == (key, "warning")


QUIET = [
    "fit: [{id: a, trait: t, cases: [{is: at least 200, points: 2}, {is: at least 50, points: 1}]}]",
    "fit: [{id: a, trait: t, cases: [{is: director, points: 1}, {is: '*director*', points: 2}]}]",
    "rules: [{id: a, points: 5, cap: 60, when: {event: x}}]",
    "rules: [{id: a, points: 5, when: {event: x}}]",
    "rules: [{id: a, points: 5, when: {event: [page_view, Form Submitted, pageview*, stream_started, page_visit]}}]",
]


@pytest.mark.parametrize("text", QUIET)
def test_no_warning_without_reason(text: str) -> None:
    rule = "" if "rules" in text else "\nrules: [{id: a, points: 5, when: {event: x}}]"
    assert check_model(HEAD + text + rule).warnings == []


def test_the_warning_of_a_mistyped_event_names_the_one_that_was_meant() -> None:
    [warning] = check_model(HEAD + "rules: [{id: a, points: 5, when: {event: Page Veiw}}]").warnings
    assert warning.message == 'only acts that are sent as "page_veiw" fit. Did you mean "page_view"?'


@pytest.mark.parametrize("name", SHIPPED_MODELS)
def test_the_shipped_models_are_read_without_a_warning(name: str) -> None:
    assert check_model(load_shipped(name)).warnings == []


def test_the_reference_model_is_read_as_it_is_written() -> None:
    model = read_model(load_shipped("reference"))
    rules = {rule.id: rule for rule in model.rules}
    assert (model.name, model.timezone, model.score_floor, model.score_cap) == (
        "b2b-reference",
        "Asia/Shanghai",
        0,
        200,
    )
    assert model.dimensions["platform"] == Dimension("platform", 90 * DAY, 40)
    assert model.dimensions["content"].half_life_ms == pytest.approx(13.6036 * DAY, rel=1e-4)
    assert model.groups["campaign"] == Group("campaign", 10, -inf, pick_first=True)
    assert (len(rules), len(model.touchpoints), len(model.tags), len(model.fit)) == (17, 3, 3, 10)
    assert rules["download"].limit == Limit(1, "week", "asset")
    assert rules["download"].event_types == frozenset({"download"})
    assert rules["spring-campaign"].event_types is None
    assert rules["careers-page"].activity is False
    assert rules["pricing-page"].activity is True
    assert rules["product-page"].half_life_ms == 90 * DAY
    # 2026-03-01 to 2026-05-31 in Shanghai, both included
    assert rules["spring-campaign"].valid_from_ms == 1_772_294_400_000
    assert rules["spring-campaign"].valid_until_ms == 1_772_294_400_000 + 92 * DAY
    assert model.inactivity == (Inactivity(30 * DAY, -30),)
    mql = model.stages[3]
    assert (mql.id, mql.exit, mql.min_dwell_ms, mql.cooldown_ms) == ("mql", (ExitTerm("score", 40),), 3 * DAY, 7 * DAY)
    assert model.alerts.routes[0].ack_within_ms == 15 * 60_000
    assert model.alerts.routes[1].ack_within_ms == 60 * 60_000
    assert model.alerts.routes[5] == Route(
        "cooled down", ("marketing-digest",), 3_600_000, leaves="mql", leaves_to="recycled"
    )
    assert model.tests[1].traits == {
        "email": "ada@bigbank.example",
        "title": "CTO",
        "employees": "1200",
        "country": "CN",
    }
    assert [at for at, _ in model.tests[1].expect] == [0, 18 * DAY, 30 * DAY]
    assert list(model.tests[1].expect[0][1]) == ["score: 60", "grade: B2", "stage: mql"]


def test_what_a_model_does_not_say_has_its_default() -> None:
    model = read_model(HEAD)
    assert model.dimensions == {"engagement": Dimension("engagement", 30 * DAY)}
    assert [stage.id for stage in model.stages][:5] == ["visitor", "lead", "recycled", "mql", "sal"]
    assert len(model.stages) == 10
    assert model.stages[3].exit == (ExitTerm("score", 40),)
    assert (model.stages[3].min_dwell_ms, model.stages[3].cooldown_ms) == (DAY, 7 * DAY)
    assert model.grade.fit == (("A", 60), ("B", 40), ("C", 20))
    assert model.rfm.recency_ms == ((4, 3 * DAY), (3, 14 * DAY), (2, 45 * DAY))
    assert model.alerts == Alerts(DAY, 50, DAY, None, (Route("enters mql", ("sales",), 3_600_000, enters="mql"),))
    assert model.inactivity == ()


def test_own_stages_without_an_mql_have_no_default_route() -> None:
    assert read_model(HEAD + "stages: [{id: a}, {id: b}]").alerts.routes == ()


def test_a_disabled_rule_is_no_rule_but_may_be_named() -> None:
    text = "rules: [{id: a, points: 1, when: {event: x}, enabled: false}]\nalerts: {routes: [{does: a, send_to: s}]}"
    assert read_model(HEAD + text).rules == ()


def test_reading_twice_gives_the_same_version() -> None:
    assert read_model(HEAD).version == read_model(HEAD).version == read_model(HEAD + "mql: {enter: 60}").version


SAME = [
    "description: another",
    "rules: []",
    "timezone: UTC",
    "dimensions: {engagement: {half_life: 720h}}",
    "dimensions: {engagement: {keep: 50% per 30d}}",
    "tests: [{name: t, expect: [{at: 0d, score: 0}]}]",
    "alerts: {routes: [{name: whatever, enters: mql, send_to: [sales], ack_within: 60m}]}",
]


@pytest.mark.parametrize("text", SAME)
def test_the_version_does_not_depend_on_how_the_same_is_said(text: str) -> None:
    assert read_model(HEAD + text).version == read_model(HEAD).version


@pytest.mark.parametrize("text", ["mql: {enter: 61}", "rules:\n" + RULE, "timezone: Asia/Shanghai", "score: {cap: 9}"])
def test_the_version_changes_with_the_meaning(text: str) -> None:
    assert read_model(HEAD + text).version != read_model(HEAD).version


def test_versions_are_stable_over_releases() -> None:
    assert read_model(load_shipped("reference")).version == "c64b251e"


REFERENCE = load_shipped("reference")


@given(
    st.integers(0, len(REFERENCE)),
    st.integers(0, 40),
    st.sampled_from(["", "x", "[", "{a: b}", "\n", ": ", "*", "-5", "é"]),
)
def test_a_damaged_model_is_read_or_refused_with_places(start: int, length: int, patch: str) -> None:
    text = REFERENCE[:start] + patch + REFERENCE[start + length :]
    found = problems_of(text)
    if found is not None:
        assert found
        assert all(1 <= problem.line <= text.count("\n") + 2 and problem.column >= 1 for problem in found)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    assert problems_of(text) != []
