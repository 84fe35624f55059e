from __future__ import annotations

from collections import Counter

from bench.data.synthetic.random_stream import RandomStream


def test_the_stream_is_pinned() -> None:
    """Every sample depends on it: with another stream VERSION must rise."""
    s = RandomStream("key", 1)
    assert [s.integer(0, 999) for _ in range(6)] == [332, 664, 687, 319, 307, 848]
    assert s.noise(4).hex() == RandomStream("key", 1).noise(4).hex() == "afa8bbbb"


def test_another_key_is_another_stream() -> None:
    streams = {
        tuple(RandomStream(*key).integer(0, 10**6) for _ in range(2))
        for key in (("a",), ("b",), ("a", 1), ("a1",))
    }
    assert len(streams) == 4


def test_a_long_stream_does_not_come_round() -> None:
    s = RandomStream("long")
    assert len({tuple(s.integer(0, 999) for _ in range(5)) for _ in range(200)}) == 200


def test_bounds_and_weights() -> None:
    s = RandomStream("weights")
    assert {s.integer(-2, 2) for _ in range(300)} == {-2, -1, 0, 1, 2}
    assert not any(s.chance(0) for _ in range(100))
    assert all(s.chance(100) for _ in range(100))
    assert {s.choice("xyz") for _ in range(100)} == set("xyz")
    picked = Counter(s.weighted({"often": 90, "seldom": 10, "never": 0}) for _ in range(2000))
    assert set(picked) == {"often", "seldom"}
    assert 120 < picked["seldom"] < 280


def test_shuffle_keeps_what_there_is() -> None:
    items = list(range(50))
    RandomStream("shuffle").shuffle(items)
    assert items != list(range(50))
    assert sorted(items) == list(range(50))
