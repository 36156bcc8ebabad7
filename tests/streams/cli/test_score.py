"""`leadstream score`, as its user runs it."""

import gzip
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import cli
from tests.shared_material import shared

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:36.0) Gecko/20100101 Firefox/36.0"
LOG = "\n".join(
    f'{address} - - [{when} +0000] "{request}" {status} 100 "{referrer}" "{agent}"'
    for address, when, request, status, referrer, agent in [
        ("192.0.2.1", "17/May/2015:10:05:03", "GET /blog/metadata HTTP/1.1", 200, "http://www.google.com/search?q=x", BROWSER),
        ("192.0.2.1", "17/May/2015:10:06:03", "GET /en/pricing HTTP/1.1", 200, "-", BROWSER),
        ("192.0.2.1", "17/May/2015:10:06:04", "GET /logo.png HTTP/1.1", 200, "-", BROWSER),
        ("192.0.2.1", "17/May/2015:10:07:03", "GET /files/guide.pdf HTTP/1.1", 304, "-", BROWSER),
        ("192.0.2.2", "17/May/2015:11:00:00", "GET /pricing HTTP/1.1", 404, "-", BROWSER),
        ("192.0.2.3", "17/May/2015:12:00:00", "GET /blog/metadata HTTP/1.1", 200, "-", "Googlebot/2.1 (+http://www.google.com/bot.html)"),
        ("192.0.2.4", "17/May/2015:13:00:00", "GET / HTTP/1.1", 200, "-", BROWSER),
    ]
)  # fmt: skip


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["score", *arguments])


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "access.log"
    path.write_text(LOG + "\n")
    return str(path)


def test_leads_come_best_first_with_reasons_and_moves(log: str) -> None:
    result = run(log)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert "hot" in lines[1]
    assert "Looked at prices +14.9" in lines[1]
    assert "visitor > interested" in result.output
    assert (
        "7 lines: 4 acts of 2 leads, 1 act of crawlers, 0 repeats, 2 of images, errors and the like, " in result.output
    )


def test_json_gives_an_object_per_lead_whose_parts_add_up(log: str) -> None:
    leads = [json.loads(line) for line in run(log, "--json").output.splitlines()]
    assert [lead["stage"] for lead in leads] == ["hot", "visitor"]
    hot = leads[0]
    assert set(hot) == {
        "id", "score", "raw", "fit", "grade", "stage", "known", "rules", "groups", "dimensions", "tags", "rfm", "transitions",
    }  # fmt: skip
    assert sum(hot["dimensions"].values()) == pytest.approx(hot["raw"], abs=1e-5)
    assert hot["rules"]["pricing"] == pytest.approx(15, abs=0.1)  # three hours faded
    last = hot["transitions"][-1]
    assert sum(part["points"] for part in last["receipt"]) == pytest.approx(last["score"], abs=1e-5)


def test_a_score_read_later_has_faded(log: str) -> None:
    now, later = (
        json.loads(run(log, "--json", *more).output.splitlines()[0])
        for more in ([], ["--at", "2015-05-31T13:00+00:00"])
    )
    assert later["dimensions"]["interest"] == pytest.approx(now["dimensions"]["interest"] / 2, abs=0.01)


def test_a_time_before_the_end_leaves_later_records_out(log: str) -> None:
    result = run(log, "--at", "2015-05-17T10:05:30+00:00")
    assert "7 lines: 1 act of 1 lead, " in result.output
    assert "4 later records left out" in result.output


def test_gzip_and_json_lines_are_known_by_their_bytes(log: str, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(Path(log).read_bytes()))
    assert run(str(packed), "--json").output == run(log, "--json").output
    calls = tmp_path / "calls"
    calls.write_text(
        '{"type":"page","anonymousId":"a1","messageId":"m1","timestamp":"2026-03-02T09:00:00Z","properties":{"url":"https://x.example/pricing"}}\n'
        '{"event_id":"e2","type":"download","anonymous_id":"a1","occurred_at":1772442060000,"asset":"guide"}\n'
        '{"event_id":"e2","type":"download","anonymous_id":"a1","occurred_at":1772442060000,"asset":"guide"}\n'
    )
    lead = json.loads(run(str(calls), "--json").output)
    assert lead["id"] == "a1"
    assert set(lead["rules"]) == {"page", "day-on-site", "pricing", "download"}
    assert lead["rules"]["download"] == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("packed", [False, True])
def test_a_dash_is_stdin_gzip_or_not(log: str, packed: bool) -> None:
    content = Path(log).read_bytes()
    command = [sys.executable, "-m", "streams", "score", "-", "--json"]
    done = subprocess.run(command, input=gzip.compress(content) if packed else content, capture_output=True, check=True)
    assert done.stdout.decode() == run(log, "--json").output


def test_lines_that_cannot_be_read_are_counted_and_the_first_is_shown(log: str) -> None:
    with Path(log).open("a") as file:
        file.write("garbage\n")
    result = run(log)
    assert result.exit_code == 0
    assert "1 of 8 lines left out; the first: access.log:8: " in result.stderr


def test_what_a_lead_is_not_heard_with_is_counted_and_told(tmp_path: Path) -> None:
    flood = tmp_path / "flood"
    page = '{{"event_id":"e{0}","type":"page_view","anonymous_id":"a1","occurred_at":{1},"url":"https://x.example/"}}\n'
    flood.write_text("".join(page.format(n, 1772442000000 + n * 60_000) for n in range(2_600)))
    model = tmp_path / "model.yaml"
    rule = "{id: page, name: Read a page, points: 1, when: {event: page_view}}"
    model.write_text(f"leadstream: 1\nname: x\nrules:\n  - {rule}\n")
    assert (
        "2,600 lines: 2,000 acts of 1 lead, 0 acts of crawlers, 0 repeats, "
        "600 acts above what a lead is heard with in 8 days, " in run(str(flood), "--model", str(model)).output
    )
    result = run(str(flood), "--model", str(model), "--json")
    assert result.stderr == "leadstream: not counted: 600 acts above what a lead is heard with in 8 days\n"
    assert len(result.stdout.splitlines()) == 1


def test_every_line_is_accounted_for(log: str, tmp_path: Path) -> None:
    answer = (
        '{{"feedback":"{0}","anonymous_id":"a1","received_at":"2026-03-02T10:00:00Z","object":"o","version":{1}}}\n'
    )
    late = '{"event_id":"e1","type":"download","anonymous_id":"a1","occurred_at":"2026-02-20T09:00:00Z","received_at":"2026-03-02T10:00:00Z"}\n'
    lines = tmp_path / "lines"
    act = late.replace("02-20", "03-02").replace("e1", "e2")
    lines.write_text(act + late + answer.format("no-such-word", 2) + answer.format("no-such-word", 1) + "{\n")
    assert (
        "5 lines: 1 act of 1 lead, 0 acts of crawlers, 0 repeats, 1 act of more than 7 days before, "
        "1 answer of sales that a newer one has overtaken, 1 answer of sales that no stage knows, "
        "1 left out as said above, " in run(str(lines)).stdout
    )
    with Path(log).open("a") as file:
        file.write('192.0.2.1 - - [17/May/2015:14:00:00 +0000] "GET /a.png HTTP/1.1" 200 1 "-" "x"\n' * 2)
    assert "9 lines: 4 acts of 2 leads, 1 act of crawlers, 0 repeats, 4 of images" in run(log).output


def test_a_record_that_the_fold_refuses_is_told_with_its_reason(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("processors.fold_lead.fold_event", broken)
    assert (
        "7 lines: 0 acts of 0 leads, 0 acts of crawlers, 0 repeats, 5 records refused as fold_error, "
        in run(log).output
    )


def test_wrong_input_ends_with_2_and_one_line_that_helps(tmp_path: Path, log: str) -> None:
    (tmp_path / "bad").write_text("garbage\n\n")
    (tmp_path / "empty").write_text("\n\n")
    (tmp_path / "model.yaml").write_text("leadstream: 1\nname: x\nruls: []\n")
    for arguments, told in [
        ([str(tmp_path / "none")], "No such file"),
        ([str(tmp_path / "bad")], "no line of"),
        ([str(tmp_path / "empty")], "holds no record"),
        ([log, "--model", str(tmp_path / "model.yaml")], 'model.yaml:3:1: ruls: unknown key. Did you mean "rules"?'),
        ([log, "--at", "tomorrow"], "is no time"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "streams", "score", *arguments], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_the_log_of_a_real_site_is_scored() -> None:
    log = shared("data/access.log")
    done = subprocess.run(
        [sys.executable, "-m", "streams", "score", str(log), "--json"], capture_output=True, text=True, check=True
    )
    leads = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(leads) > 500
    assert leads[0]["stage"] == "hot"
    assert all(first["score"] >= second["score"] for first, second in itertools.pairwise(leads))
