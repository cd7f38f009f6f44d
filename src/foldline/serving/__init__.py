"""The HTTP service: the decision path, reports, definitions, bundles, health and metrics."""
