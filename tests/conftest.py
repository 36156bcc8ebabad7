from tests.brokers import broker, prefix, redis_url

__all__ = ["broker", "prefix", "redis_url"]
