"""Real processes on real Kafka under faults: see README.md."""
