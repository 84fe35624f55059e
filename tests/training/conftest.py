"""Heads of these tests train in groups, however small their grids are."""

from __future__ import annotations

import pytest

from bench.training import trainer


@pytest.fixture(autouse=True)
def grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "FEW", 0)
