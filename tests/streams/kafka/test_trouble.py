import errno
import socket

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import RequestTimedOutError

from streams.embedded.process import free_port
from streams.kafka.brokers import Brokers, are_servers
from streams.kafka.trouble import BrokersAwayError, start_client, why_away


@pytest.mark.parametrize("servers", ["localhost:9092", "a-1.b_c:1, 10.0.0.1:65535", "[::1]:9092,[fe80::1]:9093"])
def test_addresses_of_brokers_have_a_host_and_a_port(servers: str) -> None:
    assert are_servers(servers)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BrokersAwayError("nothing listens on a:1"), "nothing listens on a:1"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (TimeoutError(), "TimeoutError"),
        (RequestTimedOutError(), "RequestTimedOutError"),
    ],
)
def test_why_brokers_are_away_is_told_in_words_where_there_are_some(error: Exception, words: str) -> None:
    assert why_away(error) == words


async def why(servers: str) -> str:
    brokers = Brokers(servers)
    consumer = AIOKafkaConsumer(**brokers.client_arguments())
    try:
        with pytest.raises(BrokersAwayError) as error:
            await start_client(consumer, brokers)
    finally:
        await consumer.stop()
    return why_away(error.value)


async def test_a_name_that_is_not_known_is_told_apart_from_a_port_where_nothing_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, resolve = [], socket.getaddrinfo

    def resolver(host: str, *rest: object, **named: object) -> object:
        if host == "nohost":  # without a name server the machine's own answer would take its time
            asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *rest, **named)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    port = free_port()
    assert await why(f"127.0.0.1:{port}") == f"nothing listens on 127.0.0.1:{port}"
    assert await why(f"localhost:{port}") == f"nothing listens on localhost:{port}"
    assert (
        await why(f"nohost:9092,127.0.0.1:{port}")
        == f"no address is known for the name nohost, nothing listens on 127.0.0.1:{port}"
    )
    assert asked
