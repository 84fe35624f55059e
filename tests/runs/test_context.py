"""State that all jobs of a run share: the search for near duplicates beside other work."""

from __future__ import annotations

from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import Any

import numpy as np
import pytest

from bench.core.errors import StoreError
from bench.data import near_duplicate_cache
from bench.runs.context import Context

PAIRS = np.array([[0, 1]])


def context(said: list[str] | None = None) -> Context:
    def emit(kind: str, **fields: Any) -> None:
        if said is not None:
            said.append(fields["what"])

    return Context(None, None, Path(), Path(), "", emit)  # type: ignore[arg-type]


def test_near_duplicates_are_searched_once_beside_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    go_on, said = Event(), list[str]()

    def ensure(*_: object) -> np.ndarray:
        asked.append(current_thread())
        assert go_on.wait(10)
        return PAIRS

    monkeypatch.setattr(near_duplicate_cache, "ensure_near_duplicates", ensure)
    own = context(said)
    own.start_duplicate_search()
    assert said == [], "the run goes on"
    go_on.set()
    for _ in range(2):
        own.start_duplicate_search()
        np.testing.assert_array_equal(own.near, PAIRS)
    assert len(asked) == 1 and asked[0] is not main_thread()


def test_waiting_for_near_duplicates_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    said, go_on = list[str](), Event()

    def ensure(*_: object) -> np.ndarray:
        assert go_on.wait(10)
        return PAIRS

    def progress(own: Context, done: int, total: int, what: str) -> None:
        said.append(what)
        go_on.set()

    monkeypatch.setattr(near_duplicate_cache, "ensure_near_duplicates", ensure)
    monkeypatch.setattr(Context, "progress", progress)
    own = context()
    own.start_duplicate_search()
    assert said == []
    np.testing.assert_array_equal(own.near, PAIRS)
    assert said == ["searching for near duplicates"]
    np.testing.assert_array_equal(own.near, PAIRS)
    assert len(said) == 1


def test_an_error_of_the_search_is_raised_where_its_result_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> np.ndarray:
        raise StoreError("the disk is full")

    monkeypatch.setattr(near_duplicate_cache, "ensure_near_duplicates", fail)
    own = context()
    own.start_duplicate_search()
    for _ in range(2):
        with pytest.raises(StoreError, match="the disk is full"):
            _ = own.near
