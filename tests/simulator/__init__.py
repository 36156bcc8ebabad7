"""A seeded simulator of workers on Kafka: see README.md."""
