"""Ports of commands that listen on this machine."""

import socket

from streams.cli.exits import REFUSED, CommandError
from streams.embedded.process import LOOPBACK, free_port
from streams.program import program


def require_free(port: int, command: str) -> None:
    """Ask before anything starts; port 0 means any.

    Raises:
        CommandError: the port cannot be used; names `command` with one that can.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the collector: closed connections do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise CommandError(
                f"port {port} cannot be used: {error.strerror}",
                f"Take another: {program()} {command} --port {free_port()}",
                code=REFUSED,
            ) from error
