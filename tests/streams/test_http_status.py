import asyncio

import pytest
from aiohttp import ClientSession, web

from streams import http_status
from streams.http_status import serve_status, status_app
from streams.metrics import PrometheusMetrics


async def get(app: web.Application, path: str) -> tuple[int, str]:
    async with (
        serve_status(app) as port,
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.text()


def checked(answer: str | None) -> http_status.Check:
    async def check() -> str | None:
        return answer

    return check


@pytest.mark.parametrize("path", ["/readyz", "/health"])
async def test_a_part_is_ready_when_no_check_finds_anything(path: str) -> None:
    render = PrometheusMetrics().render
    assert await get(status_app(render, {"redis": checked(None)}), path) == (200, '{"status": "ready"}')
    status, text = await get(status_app(render, {"redis": checked(None), "sink": checked("lags")}), path)
    assert (status, text) == (503, '{"status": "not ready", "problems": {"sink": "lags"}}')


async def test_a_part_that_is_not_ready_is_alive() -> None:
    app = status_app(PrometheusMetrics().render, {"sink": checked("lags")})
    assert await get(app, "/livez") == (200, '{"status": "live"}')


async def test_a_check_that_hangs_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_status, "CHECK_SECONDS", 0.05)

    async def hang() -> str | None:
        await asyncio.Event().wait()
        return None

    status, text = await get(status_app(PrometheusMetrics().render, {"redis": hang}), "/readyz")
    assert status == 503
    assert "no answer within 0.05 s" in text


async def test_the_metrics_are_served() -> None:
    metrics = PrometheusMetrics()
    metrics.count("leadstream_sink_retries_total", sink="redis")
    status, page = await get(status_app(metrics.render, {}), "/metrics")
    assert status == 200
    assert 'leadstream_sink_retries_total{sink="redis"} 1.0' in page


async def test_a_port_in_use_is_an_error() -> None:
    app = status_app(PrometheusMetrics().render, {})
    async with serve_status(app) as port:
        with pytest.raises(OSError, match="address already in use"):
            async with serve_status(status_app(PrometheusMetrics().render, {}), port):
                pass
