from streams.kafka.topics import DAY_MS, DEFAULT_HISTORY_MS, Topics


def test_the_names_are_those_of_the_contract() -> None:
    assert [topic.name for topic in Topics().table] == [
        "leadstream.events.v1",
        "leadstream.transitions.v1",
        "leadstream.scores.v1",
        "leadstream.dead-letters.v1",
        "leadstream.rows.v1",
    ]


def test_a_prefix_goes_before_every_name() -> None:
    topics = Topics(prefix="eu.")
    names = [topics.events, topics.transitions, topics.scores, topics.dead_letters, topics.rows]
    assert names == [topic.name for topic in topics.table]
    assert all(name.startswith("eu.leadstream.") for name in names)


def test_events_and_transitions_are_kept_equally_long() -> None:
    kept = {topic.name: topic.settings.get("retention.ms") for topic in Topics(history_ms=5 * DAY_MS).table}
    assert kept["leadstream.events.v1"] == kept["leadstream.transitions.v1"] == str(5 * DAY_MS)
    assert kept["leadstream.dead-letters.v1"] == str(30 * DAY_MS)
    assert kept["leadstream.rows.v1"] is None
    assert (
        str(DEFAULT_HISTORY_MS)
        == {topic.name: topic.settings for topic in Topics().table}["leadstream.events.v1"]["retention.ms"]
    )


def test_rows_are_compacted_only_and_not_before_a_day() -> None:
    rows = next(topic for topic in Topics().table if topic.name == "leadstream.rows.v1").settings
    assert rows["cleanup.policy"] == "compact"
    assert int(rows["min.compaction.lag.ms"]) >= DAY_MS
    assert int(rows["delete.retention.ms"]) >= DAY_MS


def test_the_broker_stamps_what_is_deleted_by_time() -> None:
    for topic in Topics().table:
        stamped = topic.settings.get("message.timestamp.type") == "LogAppendTime"
        assert stamped == (topic.settings["cleanup.policy"] == "delete"), topic.name


def test_a_sink_has_a_group_of_its_own() -> None:
    assert Topics().sink_group("redis") == "leadstream.sink.redis"
    assert Topics("eu.").sink_group("redis") == "eu.leadstream.sink.redis"
