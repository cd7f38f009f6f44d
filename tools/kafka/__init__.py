"""A real Apache Kafka for tests, benchmarks and trying things out: `python -m tools.kafka --help`."""
