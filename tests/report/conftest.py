"""Stored cells made by hand, and the comparison with committed tables."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.data.synthetic.fashion import fashion_sample
from bench.report.html import INDEX
from bench.store.write import Store
from tests.grids import answers, attributes, grid, put, reseal
from tests.report.pages import EVIL, NAMES, report

GOLDEN = Path(__file__).parent / "golden"

Golden = Callable[[str, str], None]


@pytest.fixture
def golden() -> Golden:
    """Compare a text with a file of `golden/`; `UPDATE_GOLDEN=1 pytest tests/report` writes them anew."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("UPDATE_GOLDEN"):
            path.write_text(text + "\n", encoding="utf-8", newline="")
        assert text + "\n" == path.read_bytes().decode("utf-8")

    return check


MakeRecord = Callable[..., dict[str, Any]]


@pytest.fixture
def record() -> MakeRecord:
    """Make a stored cell: identity from keywords, test top-1 `test` (others follow it), val top-1 `val`."""

    def make(
        method: str = "none",
        seed: int = 0,
        test: float | None = 0.5,
        val: float | None = 0.5,
        status: str = "ok",
        reason: str | None = None,
        **identity: Any,
    ) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "task": "fashion",
            "task_version": 1,
            "kind": "multiclass",
            "stage": "top20",
            "regime": "frozen",
            "backbone": "mobilenet_025",
            "weights": "imagenet",
            "protocol": (("epochs", 40), ("lr", 1e-3)),
            "data": DataId("drawn-small", "0123456789abcdef"),
            **identity,
        }
        steps = () if method == "none" else (Step(method),)
        cell = Cell(method=MethodSpec(steps, method), seed=seed, **fields)
        return {
            "id": cell.id,
            "cell": {**cell.identity(), "method_text": method},
            "status": status,
            "reason": reason,
            "metrics": metrics(test, val) if status == "ok" else {},
            "counts": {"train": 1751, "val": 300, "test": 5312, "not_scored": 12},
            "choices": {"best_epoch": 17, "threshold": {"tau": 0.5, "tried": [0.25, 0.5]}},
            "timings": {"inputs": 1.25, "seconds": 12.345678},
            "environment": {"python": "3.11.9", "packages": {"numpy": "2.4.0"}},
            "command": "bench run --task fashion",
        }

    return make


def metrics(test: float | None, val: float | None) -> dict[str, dict[str, Any]]:
    def row(top1: float | None) -> dict[str, Any]:
        if top1 is None:
            return {"n": 0, "classes_scored": 0}
        return {
            "top1_micro": top1,
            "top1_macro": top1 - 0.05,
            "top5_micro": 0.9 + top1 / 10,
            "top5_macro": None,
            "f1_macro": top1 - 0.06,
            "auc_macro": 0.95,
            "auc_weighted": 0.96,
            "f1_micro": top1,
            "f1_weighted": top1 - 0.01,
            "precision_macro": top1 - 0.04,
            "precision_weighted": top1 + 0.01,
            "recall_macro": top1 - 0.05,
            "recall_weighted": top1,
            "balanced_accuracy": top1 - 0.05,
            "many_top1": top1 + 0.01,
            "medium_top1": top1 - 0.1,
            "few_top1": None,
            "log_loss": 1.5 - top1,
            "ece": 0.03,
            "n": 5312,
            "classes_scored": 3,
        }

    return {"test": row(test), "val": row(val), "trivial": row(0.2)}


HOSTILE = (
    "Tops",
    '=HYPERLINK("http://evil","x")',
    "+1-1",
    "-2",
    "@SUM(A1)",
    "\tTab",
    "\rReturn",
    "Two\nlines",
    'a,b;"c"',
    "pipe|`tick`*star*_low_",
    "<script>alert(1)</script>&amp;",
    "[link](javascript:x)",
    "red \x1b[31malert\x1b[0m \x07",
    "\x1b]0;title\x07",
    "日本語シャツ",
    "e\u0301te\u0301",
    "\u0301mark first",
    "👗 dress",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "lone \ud800 surrogate",
    "private \ue000 \U000f0000",
    "sep\u2028arator",
    "",
    "nan",
    "1e999",
    "0x10",
    "class_weight",
    "x" * 100,
)
"""Class names that try to break a terminal, a spreadsheet, Markdown, or a table's columns."""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a report with hostile classes, holes, a failed and a corrupt cell."""
    root, out = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("out")
    drawn = fashion_sample("tiny")
    given: dict[str, Any] = {"items": drawn.items[:120], "classes": NAMES, "fingerprint": drawn.fingerprint}
    backbones = ("lenet", "mobilenet_025")
    grid(root, {"none": 0.5, "focal": 0.8}, (0, 1), backbones, n=120, source=drawn.source, **given)
    same: dict[str, Any] = {"fingerprint": drawn.fingerprint, "source": drawn.source}
    put(root, answers(80, 5, 0.6, 1), 7, status="failed", reason=f"no {EVIL}", **same)
    bad = put(root, answers(80, 5, 0.6, 1), 3, **same)
    stored = next(s for s in Store(root).load()[0] if s.id == bad)
    (stored.folder / "result.json").write_text("{", encoding="utf-8")
    done = report(root, out)
    assert done.return_value == 4
    assert str(stored.folder) in done.stderr and done.stderr.count("\n") == 1
    return out


@pytest.fixture(scope="session")
def text(made: Path) -> str:
    return (made / INDEX).read_text(encoding="utf-8")


def _with(more: dict[str, Any], record: dict[str, Any]) -> None:
    record.update(more)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a report of attributes that one of two methods tells no better than chance, and return its text.

    Every cell has a permutation test and scores on hidden training labels stored.
    """
    root, out = tmp_path_factory.mktemp("attributes"), tmp_path_factory.mktemp("page")
    like = attributes(150, len(NAMES) + 1, 0.5, 0, classes=(*NAMES, "hat"))
    for method, skill in (("none", 0.0), ("focal", 0.6)):
        for seed in (0, 1):
            pred = attributes(150, len(like.classes), skill, 5 + seed, like, classes=like.classes)
            put(root, pred, seed, method=method, kind="multilabel", task="multilabel", stage="all")
    chance = {
        "auc": 0.51,
        "chance_mean": 0.5,
        "chance_high": 0.53,
        "p": 0.25,
        "rows": 150,
        "permutations": 199,
    }
    signal = {**chance, "attributes": {EVIL: {"auc": 0.7, "p": 0.001}, "hat": {"auc": 0.5, "p": 0.6}}}
    for stored in Store(root).load()[0]:
        imputed = {**stored.record["metrics"]["test"], "auc_macro": 0.625, "cells": 321}
        more = {"checks": {"signal": signal}, "metrics": {**stored.record["metrics"], "imputed": imputed}}
        reseal(stored.folder, partial(_with, more))
    assert report(root, out).return_value == 0
    return (out / INDEX).read_text(encoding="utf-8")
