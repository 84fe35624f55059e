"""The index of near duplicates: made once, read again, made anew where it is damaged; leaks by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data import near_duplicate_cache
from bench.data.duplicates import Leak, count_near_duplicates, find_leaks, has_near_duplicate
from bench.data.near_duplicate_cache import FOLDER, ensure_near_duplicates
from tests.data.test_near_duplicates import copies, written


def test_an_index_is_made_once_and_a_damaged_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = copies()
    # Identical files are not near duplicates of each other, but both are of what either is like.
    examples, _ = written(
        tmp_path, {"a": pictures["a"], "b": pictures["e"], "c": pictures["a"], "d": pictures["f"]}
    )
    cache = tmp_path / "cache"
    found = ensure_near_duplicates(examples, cache)
    assert found.tolist() == [[0, 3], [2, 3]]
    [file] = (cache / FOLDER).iterdir()
    whole = file.read_bytes()
    for damage in (b"", whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        file.write_bytes(damage)
        assert ensure_near_duplicates(examples, cache).tolist() == found.tolist()
        assert file.read_bytes() == whole
    monkeypatch.setattr(near_duplicate_cache, "near_duplicate_pairs", None)
    assert ensure_near_duplicates(examples, cache).tolist() == found.tolist(), "nothing is looked for again"


def test_an_index_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    examples, _ = written(tmp_path, {name: copies()[name] for name in "af"})
    cache = tmp_path / "cache"
    (cache / FOLDER).write_bytes(b"a file where the folder would be")
    assert ensure_near_duplicates(examples, cache).tolist() == [[0, 1]]


def test_leaks_by_hand() -> None:
    hashes, train = list("abacdefb"), np.array([1, 1, 0, 0, 1, 0, 0, 1], bool)
    # c and e are like d, f is like e, which tests too; b is like a and both train or are copies.
    near = np.array([[0, 1], [0, 7], [1, 2], [2, 7], [3, 4], [4, 5], [5, 6]])
    everything = np.arange(8)
    assert find_leaks(hashes, near, train, everything) == [
        Leak(2, 0, near=False, copies=3),
        Leak(3, 4, near=True, copies=1),
        Leak(5, 4, near=True, copies=1),
    ]
    assert find_leaks(hashes, near, train, np.array([2, 3, 5, 6])) == []
    counted = count_near_duplicates(near, np.zeros((8, 1), np.int64), train, everything)
    assert (counted.straddling, counted.leaked, counted.disagreeing) == (4, 3, 0)


@given(st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9))), st.sets(st.integers(0, 9)))
def test_rows_with_a_near_duplicate_against_sets(pairs: set[tuple[int, int]], others: set[int]) -> None:
    near = np.array(sorted((a, b) for a, b in pairs if a < b), np.int64).reshape(-1, 2)
    rows = np.array([row for row in range(10) if row not in others], np.int64)
    got = has_near_duplicate(rows, np.array(sorted(others), np.int64), near)
    either = {tuple(pair) for pair in near.tolist()}
    either |= {(b, a) for a, b in either}
    assert got.tolist() == [any((row, other) in either for other in others) for row in rows.tolist()]
