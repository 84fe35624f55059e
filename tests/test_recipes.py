"""Recipes of CONTRIBUTING, followed word for word in a copy of the tree: the contract suites pass there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = re.findall(r'```python\n# (\S+), (?:at the end|below "([^\n]*)")\n(.*?)```', PAGE, re.DOTALL)
"""File, the line that comes before (empty for the last one) and code of every recipe."""

BACKBONE = "mobilenet_025"
"""The one example that the tree has already; it is taken out of the copy first."""

CHECKS = """
import numpy as np
from sklearn.metrics import jaccard_score
from bench.core.predictions import Predictions
from bench.kinds.multiclass.metrics import summary, weighted_summary
from tests.grids import answers

pred = answers(60, 4, 0.6, 0)
truth, best = pred.truth, pred.scores.argmax(axis=1)
expected = jaccard_score(truth, best, labels=np.unique(truth), average="macro", zero_division=0)
found = summary(pred)["jaccard_macro"]
assert abs(found - expected) < 1e-12 < found < 1, (found, expected)
assert weighted_summary(pred, np.ones((1, 60), int))["jaccard_macro"] == [found]
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is after every recipe was followed."""
    home = tmp_path_factory.mktemp("recipes")
    for name in ("bench", "tests", "tasks", "baselines", "benchmarks"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__", "corpus"))
    for name in ("setup.cfg", "pyproject.toml", "ruff.toml"):
        shutil.copy(ROOT / name, home)
    table = home / "bench/backbones/keras_table.py"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    table.write_text("".join(line for line in lines if f'"{BACKBONE}"' not in line), encoding="utf-8")
    plan = ("plan", "--task", "fashion", "--backbone", BACKBONE)
    assert f"unknown backbone '{BACKBONE}'" in _run(home, "-m", "bench", *plan).stderr
    for file, before, code in RECIPES:
        path = home / file
        text = path.read_text(encoding="utf-8")
        if before:
            assert text.count(f"\n{before}\n") == 1, f"{file} has one line {before!r}"
            text = text.replace(f"\n{before}\n", f"\n{before}\n{code}")
        else:
            text += code
        path.write_text(text, encoding="utf-8")
    return home


def _run(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(home), "BENCH_RESULTS": "results", "BENCH_CACHE": "cache"}
    return subprocess.run(
        [sys.executable, *args], cwd=home, env=env, capture_output=True, text=True, timeout=600
    )


def test_every_kind_of_recipe_has_code() -> None:
    assert len(RECIPES) == PAGE.count("```python") == 5


def test_the_contract_suites_accept_what_the_recipes_add(copy: Path) -> None:
    suites = (
        "bench/testing/test_steps.py",
        "bench/testing/test_attribute_steps.py",
        "bench/testing/test_backbones.py",
        "tests/metrics/test_registry.py",
        "bench/testing/test_metrics.py",
    )
    chosen = f"soften or jaccard or {BACKBONE} and (test_contract or entry)"
    done = _run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *suites, "-k", chosen)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 20


def test_the_new_metric_is_scikit_learns_and_the_code_is_laid_out_and_typed(copy: Path) -> None:
    done = _run(copy, "-c", CHECKS)
    assert done.returncode == 0, done.stderr
    files = sorted({file for file, _, _ in RECIPES})
    for command in (("check",), ("format", "--check")):
        done = _run(copy, "-m", "ruff", *command, *files)
        assert done.returncode == 0, done.stdout


def test_a_run_has_the_method_the_metric_and_the_backbone(copy: Path) -> None:
    grid = f"--task fashion --sample tiny --seed 0 --regime frozen --backbone {BACKBONE} --weights random"
    quick = "--set epochs=1 --set input_size=32 --method none,soften(t=3)"
    done = _run(copy, "-m", "bench", "run", *grid.split(), *quick.split())
    assert done.returncode == 0, done.stderr
    rows = _run(copy, "-m", "bench", "results", "--format", "csv").stdout.splitlines()
    assert "jaccard_macro" in rows[0] and sum("soften(t=3)" in row for row in rows) > 0
