from dataclasses import replace
from pathlib import Path

import pytest

from processors.model_log import model_activated
from processors.models import load_shipped
from streams.activation import Activation
from streams.prepare import Prepared
from streams.settings.config import Collector, Kafka, Settings
from streams.stack import Stack, _model_step, _topics_step

FIRST, SECOND = model_activated(load_shipped("minimal"), 1), model_activated(load_shipped("site"), 2)


@pytest.mark.parametrize(
    ("created", "told"),
    [
        (0, "5 topics with 4 partitions are there"),
        (2, "5 topics with 4 partitions, 2 of them created"),
        (5, "5 topics with 4 partitions created"),
    ],
)
def test_it_is_told_which_topics_were_there(created: int, told: str) -> None:
    assert _topics_step(Prepared(5, 4, created, Activation(None, FIRST, ()))) == told


@pytest.mark.parametrize(
    ("activation", "told"),
    [
        (Activation(FIRST, FIRST, ()), "model in force already: {first}"),
        (Activation(None, FIRST, (0, 1)), "model activated: {first}"),
        (Activation(FIRST, FIRST, (1,)), "model activated: {first}"),
        (Activation(FIRST, SECOND, (0, 1)), "model activated: {second}, in place of {first}"),
    ],
)
def test_it_is_told_which_model_is_in_force_and_what_it_replaces(activation: Activation, told: str) -> None:
    first, second = (f"{each['name']}@{each['version']}" for each in (FIRST, SECOND))
    assert _model_step(Prepared(5, 4, 0, activation)) == told.format(first=first, second=second)


def test_the_secret_of_keys_is_told_only_where_it_ends_with_the_command() -> None:
    settings = Settings(kafka=Kafka("k:9092", embedded=True), collector=Collector(port=80, key_secret="thrown-away"))
    told = "export KAFKA_BOOTSTRAP_SERVERS=k:9092 REDIS_URL=redis://localhost:6379/0 LEADSTREAM_COLLECTOR_PORT=80"
    assert (
        Stack(settings, Path()).variables
        == f"{told} LEADSTREAM_COLLECTOR_KEY_SECRET=thrown-away LEADSTREAM_COLLECTOR_KEY_SECRET_FILE="
    )
    own = replace(settings, kafka=Kafka("k:9092"))
    assert Stack(own, Path()).variables == told
