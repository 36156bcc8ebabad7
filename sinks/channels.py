"""Where an alert goes: the terminal, or any service that `apprise` knows."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import apprise
from rich.console import Console
from rich.text import Text

from sinks.alert_text import AlertText
from sinks.base import RetryLater

SEND_SECONDS = 30.0


class Channel(Protocol):
    async def send(self, text: AlertText) -> None:
        """Return when the service has taken it.

        Raises:
            RetryLater: it did not. Sending again may show it twice.
        """


class TerminalChannel:
    """The headline and up to three more lines; colours on a terminal, plain lines off it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()

    async def send(self, text: AlertText) -> None:
        # Text objects, not strings: rich reads no markup in them.
        self._console.print(Text(text.lines[0], style="bold"), soft_wrap=True)
        for line in text.lines[1:]:
            self._console.print(Text(f"  {line}"), soft_wrap=True)


class AppriseChannel:
    """One apprise URL, which is a secret: it shows in no log and no error. Where its service redirects to is not called,
    unless the URL says `redirect=yes`: the URL is the operator's, the answer is not.

    Raises:
        ValueError: apprise cannot read the URL.
    """

    def __init__(self, name: str, url: str) -> None:
        # Apprise writes URLs with their tokens into its log when something fails.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._name = name
        self._apprise = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False))
        if not self._apprise.add(url):
            raise ValueError(f"channel {name!r}: its URL is none that apprise knows (https://appriseit.com/services)")

    async def send(self, text: AlertText) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                # Apprise blocks, so it runs in a thread.
                sent = await asyncio.to_thread(self._notify, text)
        except TimeoutError as error:
            raise RetryLater(f"channel {self._name}: no answer within {SEND_SECONDS:g} s") from error
        if not sent:
            raise RetryLater(f"channel {self._name}: the service did not take the message")

    def _notify(self, text: AlertText) -> bool:
        return bool(self._apprise.notify(title=text.subject, body=text.body, body_format=apprise.NotifyFormat.TEXT))


def open_channels(urls: Mapping[str, str]) -> dict[str, Channel]:
    """A channel per name. `terminal:` is the terminal, anything else an apprise URL.

    Raises:
        ValueError: naming the channel, without its URL.
    """
    terminal = TerminalChannel()
    return {name: terminal if url == "terminal:" else AppriseChannel(name, url) for name, url in urls.items()}
