"""Readers of published logs."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from foldline.errors import InputError
from foldline.simulation.readers.logged import LoggedEvents
from foldline.simulation.readers.open_bandit import OpenBandit
from foldline.simulation.readers.source import KEPT, LoggedSource, open_logged
from foldline.simulation.readers.yahoo_r6a import YahooR6A

_FEATURES = "2:0.1 3:0.2 4:0.3 5:0.3 6:0.1 1:1.0"
_HEADER = ",timestamp,item_id,position,click,propensity_score,user_feature_0"


def _r6a(shown: str, click: str = "0", pool: str = "a b c", time: str = "1241160901") -> str:
    articles = "".join(f" |{name} {_FEATURES}" for name in pool.split())
    return f"{time} {shown} {click} |user {_FEATURES}{articles}"


def _obd(item: str, click: str = "0", propensity: str = "0.5", position: str = "1") -> str:
    return f"0,2019-11-24 00:00:01.500999+00:00,{item},{position},{click},{propensity},x"


def _source(tmp_path: Path, *lines: str, **options: object) -> LoggedSource:
    path = tmp_path / "log"
    path.write_text("".join(f"{line}\n" for line in lines))
    return open_logged(path, **options)  # type: ignore[arg-type]  # options by name


def _only(source: LoggedSource) -> LoggedEvents:
    (chunk,) = source.events()
    return chunk


def test_r6a_columns_and_pools_that_change(tmp_path: Path) -> None:
    """Actions and pools are numbered by first appearance, a pool that returns keeps its number."""
    source = _source(tmp_path, _r6a("b", "1"), _r6a("d", pool="a d"), _r6a("a"))
    events = _only(source)
    assert (source.format, source.vocabulary.actions) == ("r6a", ["a", "b", "c", "d"])
    assert source.vocabulary.pools == [(0, 1, 2), (0, 3)]
    assert (events.action.tolist(), events.pool.tolist()) == ([1, 3, 0], [0, 1, 0])
    assert (events.reward.tolist(), events.time.tolist()) == ([1.0, 0.0, 0.0], [1_241_160_901_000] * 3)
    assert np.isnan(events.propensity).all()
    assert events.position.tolist() == [0, 0, 0]


def test_obd_columns(tmp_path: Path) -> None:
    """Items of the whole file are the pool; times are whole milliseconds, positions count from 1."""
    source = _source(tmp_path, _HEADER, _obd("10", "1"), _obd("2", propensity="0.25", position="3"))
    events = _only(source)
    assert (source.format, source.vocabulary.actions) == ("obd", ["2", "10"])
    assert (events.action.tolist(), events.pool.tolist()) == ([1, 0], [0, 0])
    assert (events.reward.tolist(), events.propensity.tolist()) == ([1.0, 0.0], [0.5, 0.25])
    assert (events.time.tolist(), events.position.tolist()) == ([1_574_553_601_500] * 2, [1, 3])


def test_obd_columns_in_another_order_and_quoted(tmp_path: Path) -> None:
    """The header names the columns; quoted fields may hold commas."""
    header = "click,propensity_score,note,position,item_id,timestamp"
    events = _only(_source(tmp_path, header, '1,0.5,"a, ""b""",2,7,2019-11-24 00:00:01'))
    assert (events.reward.tolist(), events.position.tolist()) == ([1.0], [2])
    assert events.time.tolist() == [1_574_553_601_000]


def test_r6a_conformance_lines(shared_data: Path) -> None:
    """Valid lines parse to the published fields, invalid ones are refused with a reason."""
    cases = json.loads((shared_data / "news20" / "r6a_lines.json").read_text())["cases"]
    for case in cases:
        parser = YahooR6A()
        line = case["line"].encode()
        if not case["valid"]:
            with pytest.raises(ValueError, match=r"\w"):
                parser.parse(line)
            continue
        time, action, reward, pool, _, _ = parser.parse(line)
        names = parser.vocabulary.actions
        assert (time, names[action], reward) == (
            case["parsed"]["timestamp"] * 1000,
            str(case["parsed"]["article"]),
            case["parsed"]["click"],
        )
        expected = case["parsed"].get("pool")
        assert expected is None or [int(names[i]) for i in parser.vocabulary.pools[pool]] == expected
    assert len(cases) == 10


def test_r6a_published_counts(shared_data: Path) -> None:
    """Displays and clicks per article of the published log."""
    folder = shared_data / "news20"
    expected = json.loads((folder / "r6a_format_log.reference.json").read_text())
    source = open_logged(folder / "r6a_format_log.txt.gz")
    chunks = list(source.events())
    action = np.concatenate([chunk.action for chunk in chunks])
    reward = np.concatenate([chunk.reward for chunk in chunks])
    shown = dict(zip(source.vocabulary.actions, np.bincount(action).tolist(), strict=True))
    clicks = dict(zip(source.vocabulary.actions, np.bincount(action, reward).tolist(), strict=True))
    assert shown == {name: counts["shown"] for name, counts in expected["articles"].items()}
    assert clicks == {name: counts["clicks"] for name, counts in expected["articles"].items()}
    assert len(source.vocabulary.pools) == 1 + len(expected["pool_changes_at_event_index"])
    assert (source.read, source.bad_lines) == (source.size, 0)


def test_obd_published_counts(shared_data: Path) -> None:
    """Displays, clicks and propensities of the published random log."""
    expected = json.loads((shared_data / "obd_men" / "reference.json").read_text())["log_random"]
    source = open_logged(shared_data / "obd_men" / "random.csv.gz")
    chunks = list(source.events())
    action = np.concatenate([chunk.action for chunk in chunks])
    reward = np.concatenate([chunk.reward for chunk in chunks])
    position = np.concatenate([chunk.position for chunk in chunks])
    assert source.vocabulary.actions == [str(item) for item in range(34)]
    assert np.bincount(action).tolist() == expected["rounds_by_item"]
    assert np.bincount(action, reward).tolist() == expected["clicks_by_item"]
    assert np.bincount(position)[1:].tolist() == expected["rounds_by_position"]
    assert {p for chunk in chunks for p in chunk.propensity.tolist()} == {1 / 34}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "starts with 0 fields"),
        ("1241160901 a", "starts with 2 fields"),
        (_r6a("a", time="-1"), "timestamp is '-1'"),
        (_r6a("a", time="1e9"), "timestamp is '1e9'"),
        (_r6a("a", "2"), "click is '2'"),
        (_r6a("z"), "'z', is not among"),
        (_r6a("a").replace("|user", "|uzer"), "no section |user"),
        (_r6a("a", pool="a a"), "an article twice"),
        (_r6a("a").replace("|b 2:0.1", "|b"), "section |b lacks"),
        (_r6a("a").replace("|b 2:0.1", "|b 2:nan"), "'2:nan'"),
        (_r6a("a").replace("|b 2:0.1", "|b 2:x"), "'2:x'"),
        (_r6a("a").replace("|b 2:0.1", "|b 2=0.1"), "'2=0.1'"),
        (_r6a("a").replace("user 2:0.1", "user 3:0.1"), "section |user lacks"),
        (_r6a("a", pool=""), "names an article ''"),
    ],
)
def test_bad_r6a_lines_are_refused_with_number_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    """The first bad line ends the reading; passing over it is asked for by name."""
    good = _r6a("a")
    with pytest.raises(InputError, match=r"line 2 .*skip") as caught:
        list(_source(tmp_path, good, line, good).events())
    assert (caught.value.code, reason in str(caught.value)) == ("input.unreadable", True)
    source = _source(tmp_path, good, line, good, skip_bad=True)
    assert len(_only(source)) == 2
    assert (source.bad_lines, source.bad[0].number) == (1, 2)
    assert reason in source.bad[0].reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "has 1 fields, the header has 7"),
        (_obd("1") + ",y", "has 8 fields"),
        (_obd("x"), "item_id is 'x'"),
        (_obd("01"), "item_id is '01'"),
        (_obd("1", "2"), "click is '2'"),
        (_obd("1", position="0"), "position is '0'"),
        (_obd("1", propensity="0"), "propensity_score is '0'"),
        (_obd("1", propensity="nan"), "propensity_score is 'nan'"),
        (_obd("1", propensity=""), "propensity_score is ''"),
        (_obd("1").replace("2019-11-24", "24.11."), "timestamp is '24.11."),
        (_obd('"1'), "not a CSV row"),
    ],
)
def test_bad_obd_rows_are_refused_with_number_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    """Rows are numbered as lines of the file, the header being line 1."""
    with pytest.raises(InputError, match="line 3 ") as caught:
        list(_source(tmp_path, _HEADER, _obd("1"), line).events())
    assert reason in str(caught.value)
    source = _source(tmp_path, _HEADER, _obd("1"), line, skip_bad=True)
    assert len(_only(source)) == 1
    assert [(bad.number, reason in bad.reason) for bad in source.bad] == [(3, True)]


def test_many_bad_lines_are_counted_and_the_first_kept(tmp_path: Path) -> None:
    """A log full of bad lines does not fill the memory with reasons."""
    source = _source(tmp_path, _r6a("a"), *["x |"] * (KEPT + 5), skip_bad=True)
    assert len(_only(source)) == 1
    assert (source.bad_lines, len(source.bad)) == (KEPT + 5, KEPT)


def test_format_is_told_by_the_first_line_or_by_name(tmp_path: Path) -> None:
    """A damaged first line of a named format is a bad line like any other."""
    with pytest.raises(InputError, match="of no known format"):
        _source(tmp_path, "hello", _r6a("a"))
    source = _source(tmp_path, "hello", _r6a("a"), format="r6a", skip_bad=True)
    assert (len(_only(source)), source.bad_lines) == (1, 1)
    with pytest.raises(InputError, match="expected auto, r6a or obd"):
        _source(tmp_path, _r6a("a"), format="r6b")
    with pytest.raises(InputError, match=r"lacks the columns \['propensity_score'\]"):
        _source(tmp_path, _HEADER.replace("propensity_score", "p"), _obd("1"))


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """Missing, a folder, empty, binary, without an event, damaged or cut-off gzip."""
    with pytest.raises(InputError, match="No such file"):
        open_logged(tmp_path / "absent")
    with pytest.raises(InputError, match="directory"):
        open_logged(tmp_path)
    with pytest.raises(InputError, match="of no known format"):
        _source(tmp_path)
    with pytest.raises(InputError, match="no line of the file is an event"):
        list(_source(tmp_path, "x |", skip_bad=True).events())
    (tmp_path / "binary").write_bytes(b"\0" * 2_000_000)
    with pytest.raises(InputError, match="no line ends within"):
        open_logged(tmp_path / "binary")
    whole = gzip.compress((_r6a("a") + "\n").encode() * 2000)
    for damaged in (whole[:-20], whole[:200] + b"\xff" * 50 + whole[250:], b"\x1f\x8bnonsense"):
        (tmp_path / "damaged.gz").write_bytes(damaged)
        with pytest.raises(InputError, match="damaged or cut off"):
            list(open_logged(tmp_path / "damaged.gz").events())


def test_gzip_and_plain_read_alike(tmp_path: Path) -> None:
    """The first bytes tell gzip, not the name; line ends may be those of Windows."""
    text = "\r\n".join(_r6a("abc"[i % 3], str(i % 2)) for i in range(5000)) + "\r\n"
    (tmp_path / "plain").write_text(text, newline="")
    (tmp_path / "zipped").write_bytes(gzip.compress(text.encode()))
    plain, zipped = (list(open_logged(tmp_path / name).events()) for name in ("plain", "zipped"))
    assert [len(chunk) for chunk in plain] == [4096, 904]
    for left, right in zip(plain, zipped, strict=True):
        assert left.action.tolist() == right.action.tolist()
        assert left.reward.tolist() == right.reward.tolist()


def test_events_are_read_once(tmp_path: Path) -> None:
    """A second reading would number the events anew, so it is refused."""
    source = _source(tmp_path, _r6a("a"))
    assert len(_only(source)) == 1
    with pytest.raises(InputError, match="open it again"):
        list(source.events())


def test_obd_items_in_bad_rows_count_only_if_readable() -> None:
    """The first pass passes over what it cannot read; the second reports it."""
    parser = OpenBandit(_HEADER.encode(), [b"", b"\xff", _obd("x").encode(), _obd("3").encode()])
    assert parser.vocabulary.actions == ["3"]
