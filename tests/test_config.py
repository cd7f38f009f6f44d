"""The configuration file: what is right is taken, what is wrong is named with file and field."""

from pathlib import Path

import pytest

from foldline.config import Config, read_config
from foldline.engine.learner import Pace
from foldline.errors import InputError
from foldline.serving.settings import ServiceSettings

WHOLE = """
log = "sqlite:///news.db"

[service]
host = "127.0.0.1"
port = 9000
durability = "fast"
max_body_bytes = 2000
body_timeout_s = 5

[learning]
max_records = 500
publish_every_ms = 10
lease_s = 2

[loops.news]
actions = ["a", "b"]
policy = { kind = "epsilon_greedy", epsilon = 0.2 }
reward_wait_s = 5

[loops.posts]
reward = "click"
"""


def _written(folder: Path, text: str | bytes) -> Path:
    path = folder / "foldline.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    """Every section arrives; what is left out has its default."""
    config = read_config(_written(tmp_path, WHOLE))
    assert config.log == "sqlite:///news.db"
    assert config.service == ServiceSettings(
        port=9000, durability="fast", max_body_bytes=2_000, body_timeout_s=5.0
    )
    assert config.learning.pace() == Pace(max_records=500, publish_every_ms=10, lease_s=2.0)
    assert set(config.loops) == {"news", "posts"}
    assert config.loops["news"].policy == {"kind": "epsilon_greedy", "epsilon": 0.2}
    assert config.loops["posts"].actions is None


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """As no file at all; the pace is the engine's own."""
    assert read_config(_written(tmp_path, "")) == Config()
    assert Config().learning.pace() == Pace()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("prot = 1", "prot"),
        ("log = 1", "log"),
        ("service = 1", "service"),
        ("[service]\nprot = 1", "service.prot"),
        ("[service]\nport = '1'", "service.port"),
        ("[service]\nport = 70000", "service.port"),
        ("[service]\nport = -1", "service.port"),
        ("[service]\ndurability = 'slow'", "service.durability"),
        ("[service]\nbody_timeout_s = 0", "service.body_timeout_s"),
        ("[service]\nbody_timeout_s = nan", "service.body_timeout_s"),
        ("[service]\nbundle_timeout_s = inf", "service.bundle_timeout_s"),
        ("[service]\nmax_items = 0", "service.max_items"),
        ("[learning]\npublish_evry_ms = 5", "learning.publish_evry_ms"),
        ("[learning]\nmax_records = 0", "learning.max_records"),
        ("[learning]\nlease_s = -1", "learning.lease_s"),
        ("[learning]\nroot_every_ms = 1.5", "learning.root_every_ms"),
        ("loops = 5", "loops"),
        ("loops.news = 5", "loops"),
        ("[loops.news]\ncolour = 1", "loops.news.colour"),
        ("[loops.news]\nactions = 'a'", "loops.news.actions"),
        ("[loops.news]\nactions = [1]", "loops.news.actions[...]"),
        ("[loops.news]\nactions = []", "loops.news.actions"),
        ("[loops.news]\nactions = ['a', 'a']", "loops.news.actions"),
        ("[loops.news]\npolicy = 'random'", "loops.news.policy"),
        ("[loops.news]\npolicy = {kind = 'magic'}", "loops.news"),
        ("[loops.news]\npolicy = {kind = 'epsilon_greedy', epsilon = 5}", "loops.news.epsilon"),
        ("[loops.news]\npartitions = 0", "loops.news.partitions"),
        ("[loops.news]\nreward_wait_s = -1", "loops.news.reward_wait_s"),
        ("[loops.news]\nlow = nan", "loops.news.low"),
        ("[loops.'bad name']\nactions = ['a']", "loops.bad name"),
    ],
)
def test_every_fault_names_file_and_field(tmp_path: Path, text: str, field: str) -> None:
    """Unknown settings, wrong types, wrong values, loops that cannot be."""
    path = _written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_config(path)
    error = caught.value
    assert (error.code, str(path) in str(error)) == ("input.invalid", True)
    assert (error.field or "").startswith(field.partition("[...]")[0])
    assert field.partition("[...]")[0].rpartition(".")[2] in str(error)


@pytest.mark.parametrize(
    "text", [b"\xff\xfe", b"port 8080", b"[service", b"a = 1\na = 2", b"x = " + b"[" * 5_000]
)
def test_what_is_no_toml_is_said_to_be_none(tmp_path: Path, text: bytes) -> None:
    """The file is named."""
    path = _written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert (caught.value.code, str(path) in str(caught.value)) == ("input.unreadable", True)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """One that is not there, and a folder."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InputError) as caught:
            read_config(path)
        assert (caught.value.code, caught.value.field) == ("input.unreadable", "config")
        assert str(path) in str(caught.value)
