"""The collector's own settings, from those of the deployment."""

from sources.config import CollectorSettings, Limits, WriteKey
from streams.settings.config import Settings, topics_of


def collector_settings(settings: Settings) -> CollectorSettings:
    topics = topics_of(settings)
    return CollectorSettings(
        secret=settings.collector.key_secret.encode(),
        write_keys=tuple(WriteKey(key.name, key.key) for key in settings.write_keys),
        origins=tuple(settings.collector.origins),
        allow_loopback_origins=settings.collector.allow_loopback_origins,
        trusted_proxies=tuple(settings.collector.trusted_proxies),
        limits=Limits(
            requests_per_second_per_key=settings.collector.requests_per_second_per_key,
            events_per_second_per_visitor=settings.collector.events_per_second_per_visitor,
        ),
        events_topic=topics.events,
        dead_letters_topic=topics.dead_letters,
    )
