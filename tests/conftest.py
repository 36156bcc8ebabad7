import signal

from hypothesis import settings

from tests.brokers import broker, prefix, redis_url

__all__ = ["broker", "prefix", "redis_url"]

# How long an example takes is for tests/bench to say: on a busy machine any deadline fails some day.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# A shell in the background ignores Ctrl-C, and every process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
