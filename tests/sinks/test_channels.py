import io
import logging
import threading
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from sinks.alert_text import AlertText
from sinks.base import RetryLater
from sinks.channels import AppriseChannel, TerminalChannel, open_channels
from streams.embedded.process import free_port

# Apprise 2.2 loads a plugin that imports a module which Python 3.13 removed, behind a guard.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

TEXT = AlertText(("Ada [red]came[/red]", "Why now: +50 " + "x" * 200), "New MQL (A2): Ada", "Ada came.\n")


async def test_off_a_terminal_the_lines_are_plain_whole_and_unread() -> None:
    out = io.StringIO()
    await TerminalChannel(Console(file=out)).send(TEXT)
    assert out.getvalue() == f"Ada [red]came[/red]\n  {TEXT.lines[1]}\n"


async def test_on_a_terminal_the_headline_stands_out() -> None:
    out = io.StringIO()
    await TerminalChannel(Console(file=out, force_terminal=True, color_system="standard")).send(TEXT)
    assert out.getvalue().startswith("\x1b[1mAda [red]came[/red]\x1b[0m\n")


async def test_apprise_sends_subject_and_body() -> None:
    got: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    await AppriseChannel("inbox", f"json://127.0.0.1:{server.port}/hook").send(TEXT)
    await server.close()
    assert (got[0]["title"], got[0]["message"].strip()) == ("New MQL (A2): Ada", "Ada came.")


async def test_a_service_that_refuses_is_asked_again_and_no_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    channel = AppriseChannel("inbox", f"json://user:hunter2@127.0.0.1:{free_port()}/hook-token")
    with pytest.raises(RetryLater, match="channel inbox: the service did not take the message") as caught:
        await channel.send(TEXT)
    told = caplog.text + str(caught.value) + repr(channel)
    assert "hunter2" not in told
    assert "hook-token" not in told


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_where_a_service_redirects_to_is_not_called(status: int) -> None:
    got: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        got.append(request.path)
        return web.Response(status=status if request.path == "/hook" else 200, headers={"Location": "/metadata"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    async with TestServer(app, host="127.0.0.1") as server:
        with pytest.raises(RetryLater, match="did not take the message"):
            await AppriseChannel("inbox", f"json://127.0.0.1:{server.port}/hook").send(TEXT)
    assert set(got) == {"/hook"}


async def test_a_service_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.channels.SEND_SECONDS", 0.05)
    answer = threading.Event()
    channel = AppriseChannel("inbox", "json://127.0.0.1/")
    monkeypatch.setattr(channel, "_notify", lambda _: answer.wait(10))
    with pytest.raises(RetryLater, match=r"no answer within 0\.05 s"):
        await channel.send(TEXT)
    answer.set()


def test_a_url_that_apprise_does_not_know_is_refused_without_showing_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ValueError, match="channel 'inbox'") as caught:
        open_channels({"inbox": "nosuch://hunter2"})
    assert "hunter2" not in str(caught.value) + caplog.text


def test_the_terminal_is_a_channel_by_name() -> None:
    assert isinstance(open_channels({"here": "terminal:"})["here"], TerminalChannel)
