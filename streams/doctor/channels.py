"""Channels of alerts: can their URLs be read? No message is sent."""

from collections.abc import Mapping

from sinks.channels import open_channels
from streams.finding import Finding
from streams.settings.config import Channel


def check_channels(channels: Mapping[str, Channel]) -> list[Finding]:
    """A line for each that cannot be used, and one for the others. Never a URL: it holds a token."""
    findings, usable = [], []
    for name, channel in channels.items():
        try:
            open_channels({name: channel.url})
        except ValueError as error:
            findings.append(Finding("fail", f"alerts: {error}", f"channels.{name}.url, or url_file"))
        else:
            usable.append(name)
    if usable:
        findings.append(
            Finding("ok", f"alerts: {', '.join(usable)} can be used, as far as the URL tells; nothing was sent")
        )
    return findings
