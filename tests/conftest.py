from hypothesis import settings

from tests.brokers import broker, prefix, redis_url

__all__ = ["broker", "prefix", "redis_url"]

# How long an example takes is for tests/bench to say: on a busy machine any deadline fails some day.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
