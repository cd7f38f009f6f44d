"""The log on Apache Kafka: the same protocol over a cluster, many machines."""
