"""The same fold in a stock Faust agent: public API only, event by event, with the settings a good user would set.

Settings that were measured to help (linger, batch size, Cython, log level) are set; the ones that hurt or do nothing
are not. Its state is a table with a changelog, in memory; a value is the packed row of the lead, and each event reads it, folds
and writes it back. What it sends goes through `topic.send`.
"""

import logging
import sys
from typing import Any

import faust

from processors.fold_partition import PartitionFold
from processors.play import PlayedRecord
from processors.row_store import RowStore
from schemas.keys import CONTROL_KEY
from streams.settings.config import Settings, topics_of
from tests.bench.catch_up import Cost
from tests.bench.setup import PARTITIONS


def work(settings: Settings, events: int, datadir: str, send_scores: bool, report: Any) -> None:
    """Fold the first `events` records; report the cost from the first one to the commit."""
    topics = topics_of(settings)
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes}
    app = faust.App(
        f"{topics.prefix}stock",
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        store="memory://",
        key_serializer="raw",
        value_serializer="raw",
        datadir=datadir,
        web_enabled=False,
        topic_disable_leader=True,
        cython_optimizations=True,
        producer_linger=0.05,
        producer_max_batch_size=1_048_576,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=2.0,
        broker_rebalance_timeout=6.0,
    )
    log = app.topic(topics.events, **raw)
    sends = {
        "StageTransition": app.topic(topics.transitions, **raw),
        "LeadSnapshot": app.topic(topics.scores, **raw),
        "ModelActivated": app.topic(topics.scores, **raw),
    }
    rows = app.Table("rows", partitions=PARTITIONS, **raw)
    folds = {number: PartitionFold(topics.events, number, PARTITIONS) for number in range(PARTITIONS)}

    @app.agent(log)
    async def folding(stream: Any) -> None:
        seen, start = 0, Cost.so_far(0)
        async for event in stream.events():
            message = event.message
            if seen == 0:
                start = Cost.so_far(0)
            record = PlayedRecord(message.offset, int(message.timestamp * 1000), event.key, event.value)
            for sent in _fold_one(folds[message.partition], record, rows, send_scores):
                await sends[sent.kind].send(key=sent.key, value=sent.value)
            seen += 1
            if seen == events:
                await app.producer.flush()
                await app.consumer.commit()
                report.put(Cost.so_far(seen) - start)

    logging.disable(logging.INFO)
    sys.argv = [sys.argv[0]]
    faust.Worker(app, loglevel="INFO", redirect_stdouts=False).execute_from_commandline()


def _fold_one(fold: PartitionFold, record: PlayedRecord, rows: Any, send_scores: bool) -> list[Any]:
    """Fold one record into the row that the table has; returns what is to be sent."""
    fold.leads.store = RowStore()
    packed = None if record.key == CONTROL_KEY else rows.get(record.key)
    if packed is not None:
        fold.restore(record.key, packed)
    sent = fold.fold([record])
    changed = fold.rows.packed(record.key)
    if changed is not None and changed is not packed:
        rows[record.key] = changed
    return sent + fold.take_snapshots() if send_scores else sent
