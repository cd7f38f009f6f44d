"""The catalogue of loops."""

import pytest

from foldline.errors import InputError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.loops.catalogue import Catalogue


def test_a_log_without_any_says_so() -> None:
    """A name that is not there is answered with those there are, or with what to do where there is none."""
    for catalogue in (Catalogue(), ExperimentCatalogue()):
        with pytest.raises(InputError, match=r"'news' stands on this log, nor any other: define it"):
            catalogue.one("news")
