from __future__ import annotations

from collections import Counter

from bench.data.drawn.dice import Dice


def test_the_stream_is_pinned() -> None:
    """Every picture follows from it: with another stream GARMENTS_VERSION must rise."""
    d = Dice("key", 1)
    assert [d.between(0, 999) for _ in range(6)] == [332, 664, 687, 319, 307, 848]
    assert d.noise(4).hex() == Dice("key", 1).noise(4).hex() == "afa8bbbb"


def test_another_key_is_another_stream() -> None:
    streams = {
        tuple(Dice(*key).between(0, 10**6) for _ in range(2)) for key in (("a",), ("b",), ("a", 1), ("a1",))
    }
    assert len(streams) == 4


def test_a_long_stream_does_not_come_round() -> None:
    d = Dice("long")
    assert len({tuple(d.between(0, 999) for _ in range(5)) for _ in range(200)}) == 200


def test_bounds_and_weights() -> None:
    d = Dice("weights")
    assert {d.between(-2, 2) for _ in range(300)} == {-2, -1, 0, 1, 2}
    assert not any(d.chance(0) for _ in range(100))
    assert all(d.chance(100) for _ in range(100))
    assert {d.one_of("xyz") for _ in range(100)} == set("xyz")
    picked = Counter(d.pick({"often": 90, "seldom": 10, "never": 0}) for _ in range(2000))
    assert set(picked) == {"often", "seldom"}
    assert 120 < picked["seldom"] < 280


def test_shuffle_keeps_what_there_is() -> None:
    items = list(range(50))
    Dice("shuffle").shuffle(items)
    assert items != list(range(50))
    assert sorted(items) == list(range(50))
