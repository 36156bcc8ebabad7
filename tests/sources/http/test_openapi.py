"""What the collector answers is what `sources/http/openapi.yaml` says, whatever it is sent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import resources
from typing import Any, Final, get_args

import pytest
import requests
import schemathesis
import yaml
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from schemas.codec import SCHEMAS
from sources.config import CollectorSettings, Limits, WriteKey
from sources.http.answers import MAX_NAMED_PROBLEMS, Explained
from sources.http.requests import EVENTS_PATH, SEGMENT_PATHS
from sources.outcomes import Reason
from sources.segment import CALLS
from sources.spool.spool import SpoolStatus
from tests.sources.http.running import SETTINGS, Running, running_collector, with_limits

DESCRIPTION: Final[dict[str, Any]] = yaml.safe_load(
    resources.files("sources.http").joinpath("openapi.yaml").read_text("utf-8")
)
OBJECTS: Final[dict[str, Any]] = DESCRIPTION["components"]["schemas"]
AnyCase = schemathesis.Case[Any]
API: Final = schemathesis.openapi.from_dict(DESCRIPTION)
CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
# Not limited by rate, so that each request is judged by itself. A proxy is believed, so that its header is read.
OPEN: Final = replace(
    SETTINGS,
    trusted_proxies=("127.0.0.0/8",),
    limits=replace(SETTINGS.limits, requests_per_second_per_key=0, events_per_second_per_visitor=0),
)
LOCKED: Final = replace(OPEN, write_keys=(WriteKey("website", "web_1"),))


@contextmanager
def collector(taken: CollectorSettings, *, away: bool = False) -> Iterator[Running]:
    """A collector on a thread of its own: those who ask it block. `away`: its brokers are."""
    explained = Explained("folded", [{"rule": "pricing-page", "points": 1.0}], "no rule names it")
    spooled = SpoolStatus(records=2, bytes=300, oldest_ms=None)
    run = partial(running_collector, taken, explain=lambda _: explained, spool=lambda: spooled)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(run()) as running:
        running.producer.away = away
        yield running


@pytest.fixture(scope="module", params=["open", "locked"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, requests.Session, bool]]:
    """A collector that takes everything or one that asks for a write key: its address, a session, and whether origins
    stay in the requests. Most would end there.
    """
    with requests.Session() as session, collector(LOCKED if request.param == "locked" else OPEN) as running:
        yield running.url, session, request.param == "locked"


# Of the paths that are described by one and the same item, one stands for all.
@API.include(path=["/v1/track", "/v1/batch", EVENTS_PATH]).include(method="GET").parametrize()
@settings(max_examples=20, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_is_described(case: AnyCase, place: tuple[str, requests.Session, bool]) -> None:
    url, session, keeps_origin = place
    if not keeps_origin:
        case.headers.pop("Origin", None)
    answer = case.call_and_validate(base_url=url, session=session, checks=CHECKS)
    assert answer.status_code < 500


@dataclass(frozen=True)
class Way:
    """A request that gets a certain status, and the collector that gives it. `times`: it does at the last of so many."""

    body: bytes | None = None  # None: the example of the description
    headers: Mapping[str, str] = field(default_factory=dict)
    settings: CollectorSettings = OPEN
    away: bool = False
    times: int = 1


WAYS: Final[Mapping[int, Way]] = {
    200: Way(),
    400: Way(body=b"{"),
    401: Way(settings=LOCKED),
    403: Way(headers={"Origin": "https://elsewhere.example"}),
    408: Way(headers={"Content-Length": "1000", "Connection": "close"}, settings=with_limits(read_seconds=0.05)),
    413: Way(settings=with_limits(body_bytes=10)),
    429: Way(settings=with_limits(requests_per_second_per_key=0.001), times=2),
    503: Way(away=True),
}


def item_of(path: str) -> dict[str, Any]:
    """What is described for the path."""
    item: dict[str, Any] = DESCRIPTION["paths"][path]
    if "$ref" in item:
        item = DESCRIPTION["components"]["pathItems"][item["$ref"].rpartition("/")[2]]
    return item


@pytest.mark.parametrize("path", [*SEGMENT_PATHS, EVENTS_PATH])
def test_every_status_that_is_described_is_given(path: str) -> None:
    assert {int(status) for status in item_of(path)["post"]["responses"]} == set(WAYS)
    example = item_of(path)["post"]["requestBody"]["content"]["application/json"]["example"]
    for status, way in WAYS.items():
        with collector(way.settings, away=way.away) as running, requests.Session() as session:
            request = requests.Request("POST", running.url + path, data=way.body, json=example).prepare()
            request.headers.update(way.headers)
            answers = [session.send(request, timeout=10) for _ in range(way.times)]
            assert answers[-1].status_code == status
            API[path]["POST"].validate_response(answers[-1])


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/v1/batch", {"batch": [{"type": "page", "userId": "7"}, {}]}, {"index", "status", "reason", "detail"}),
        (
            EVENTS_PATH,
            [{"type": "x", "user_id": "7", "occurred_at": 1, "title": "t" * 2_000, "properties": {"p": "p" * 2_000}}],
            {"index", "status", "event_id", "type", "flags", "cut", "outcome", "rules", "hint"},
        ),
    ],
)
def test_what_an_answer_says_of_an_item_is_described(path: str, body: Any, names: set[str]) -> None:
    with collector(OPEN) as running:
        answer = requests.post(running.url + path, json=body, params={"explain": "1"}, timeout=10)
    assert (answer.status_code, set(answer.json()["items"][0])) == (200, names)
    API[path]["POST"].validate_response(answer)


def test_the_states_without_brokers_are_described() -> None:
    with collector(OPEN, away=True) as running:
        for path, status in (("/readyz", 503), ("/health", 200)):
            answer = requests.get(running.url + path, timeout=10)
            assert (answer.status_code, answer.json()["status"]) == (status, "broker_away")
            API[path]["GET"].validate_response(answer)


def test_what_is_described_is_an_openapi_document() -> None:
    API.validate()


async def test_every_route_is_described_and_no_other() -> None:
    async with running_collector() as running:
        routes = {
            (route.resource.canonical, route.method.lower())
            for route in running.collector.app().router.routes()
            if route.resource is not None and route.method != "HEAD"
        }
    described = {(path, method) for path in DESCRIPTION["paths"] for method in item_of(path)}
    assert described == routes


def test_every_name_and_bound_of_the_description_is_that_of_the_code() -> None:
    assert set(OBJECTS["Event"]["properties"]) == {each["name"] for each in SCHEMAS["TrackedEvent"]["fields"]}
    assert tuple(OBJECTS["Call"]["properties"]["type"]["enum"]) == CALLS
    assert tuple(OBJECTS["Problem"]["properties"]["reason"]["enum"]) == get_args(Reason)
    assert set(OBJECTS["Refusal"]["properties"]["reason"]["enum"]) >= set(get_args(Reason)) - {"no_lead_key"}
    assert OBJECTS["Batch"]["properties"]["batch"]["maxItems"] == Limits().events
    assert OBJECTS["Events"]["oneOf"][1]["maxItems"] == Limits().events
    assert OBJECTS["Taken"]["properties"]["items"]["maxItems"] == MAX_NAMED_PROBLEMS
