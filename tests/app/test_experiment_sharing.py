"""Several experiments on one loop: none takes units of another, and a slot of a layer has one owner."""

import pytest

import foldline as fl
from foldline.errors import DefinitionError
from tests.app.experiments import FAST, started_on


def _asked(loop: fl.Loop, units: int = 200) -> dict[str, str | None]:
    return {f"u{n}": loop.decide(f"u{n}").experiment for n in range(units)}


def test_one_that_starts_later_takes_no_unit_away() -> None:
    """Whoever runs first keeps its units, whatever the names; one for which none is left is refused."""
    with fl.open("memory://", pace=FAST) as app:
        news = app.loop("news", actions=["a", "b"])
        started_on(news, name="middle", coverage=0.5)
        before = _asked(news)
        assert set(before.values()) == {"middle", None}
        started_on(news, name="a-later-one", coverage=0.5, salt="another")
        after = _asked(news)
        assert {unit for unit, name in after.items() if name == "middle"} == {
            unit for unit, name in before.items() if name == "middle"
        }
        assert "a-later-one" in after.values()
        whole = app.loop("shop", actions=["a", "b"])
        running = started_on(whole, name="whole")
        with pytest.raises(
            DefinitionError, match=r"would get no unit: 'whole' runs on loop 'shop' with all of them"
        ):
            started_on(whole, name="none-left")
        running.pause()
        started_on(whole, name="none-left")


def test_a_slot_of_a_layer_has_one_owner() -> None:
    """On any loop; a paused experiment keeps its own, an ended one frees them."""
    with fl.open("memory://", pace=FAST) as app:
        news, shop = app.loop("news", actions=["a", "b"]), app.loop("shop", actions=["a", "b"])
        first = started_on(news, name="first", layer={"salt": "page", "slots": [[0, 6000]]})
        other = {"salt": "page", "slots": [[400, 1000]], "size": 1000}
        with pytest.raises(DefinitionError, match=r"'first', which is running, has \[\[0, 6000\]\] of 10000"):
            started_on(shop, name="second", layer=other)
        first.pause()
        with pytest.raises(DefinitionError, match="which is paused"):
            started_on(shop, name="third", layer=other)
        started_on(news, name="fourth", layer={"salt": "page", "slots": [[6000, 10000]]})
        first.stop()
        started_on(shop, name="fifth", layer={"salt": "page", "slots": [[400, 600]], "size": 1000})
