"""Compiled code is thrown away when any source it holds changes."""

from typing import Any

from foldline.records import scanner


def test_the_stamp_of_a_kernel_names_every_file_it_is_made_of() -> None:
    """The scanner's compiled code holds that of grammar, tokens, hashes, decimals and words, compiled as one says."""
    loop: Any = scanner.scan
    names = {entry[0].rpartition(".")[2] for entry in loop.compiled()._cache._cache_file._source_stamp}
    assert {"kernels", "scanner", "grammar", "tokens", "dictionary", "hashing", "decimals", "words"} <= names
