from dataclasses import replace

import pytest
from aiohttp import web

from streams.doctor.status_pages import check_status_pages
from streams.embedded.process import free_port
from streams.http_status import serve_status, status_app
from streams.metrics import PrometheusMetrics
from streams.settings.config import Collector, Settings, Sinks, Worker


async def problem() -> str | None:
    return "the destination does not answer: hooks.acme.example answered 500"


async def well() -> str | None:
    return None


NONE = Settings(collector=Collector(port=0))


async def test_without_ports_there_is_nothing_to_ask() -> None:
    assert await check_status_pages(NONE) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_parts_say_how_they_are(host: str) -> None:
    render = PrometheusMetrics().render
    async with (
        serve_status(status_app(render, {"worker": well})) as worker,
        serve_status(status_app(render, {"webhook": problem})) as sink,
    ):
        settings = replace(
            NONE, worker=Worker(status_host=host, status_port=worker), sinks=Sinks(status_host=host, status_port=sink)
        )
        first, second = await check_status_pages(settings)
    assert (first.level, first.what) == ("ok", f"worker: http://127.0.0.1:{worker} is ready")
    assert second.level == "fail"
    assert "is not ready: webhook the destination does not answer: hooks.acme.example answered 500" in second.what


async def collector_says(status: int, body: object) -> tuple[str, str]:
    async def answer(_: web.Request) -> web.Response:
        return (
            web.Response(text=body, status=status) if isinstance(body, str) else web.json_response(body, status=status)
        )

    app = web.Application()
    app.router.add_get("/readyz", answer)
    async with serve_status(app) as port:
        [finding] = await check_status_pages(Settings(collector=Collector(port=port)))
    return finding.level, finding.what


async def test_a_collector_that_spools_is_a_warning_and_one_without_broker_a_failure() -> None:
    assert (await collector_says(200, {"status": "ok"}))[0] == "ok"
    level, what = await collector_says(200, {"status": "spooling"})
    assert (level, "spools: the brokers do not take its records" in what) == ("warn", True)
    level, what = await collector_says(503, {"status": "broker_away"})
    assert (level, what.endswith("is not ready: broker_away")) == ("fail", True)


async def test_somebody_else_on_the_port_and_nobody_there_are_warnings() -> None:
    for body in ("<html>", [1]):
        level, what = await collector_says(200, body)
        assert (level, "something else answers" in what) == ("warn", True)
    [finding] = await check_status_pages(Settings(collector=Collector(port=free_port())))
    assert (finding.level, finding.away) == ("warn", False)  # it may run elsewhere
    assert finding.fix == "start it: leadstream collector; where it runs elsewhere, run this there"
