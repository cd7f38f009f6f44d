"""BentoML answering a constant."""

import bentoml


@bentoml.service(workers=1)
class Constant:
    """One endpoint."""

    @bentoml.api
    def decide(self, unit: str) -> str:
        """Nothing is decided."""
        return "a"
