"""A place of their own for all tests, and fixtures for what only some machines have."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)

OURS = ("BENCH_TASKS", "BENCH_BASELINES", "BENCH_RESULTS", "BENCH_DEBUG")
"""Variables by which a user's own set-up would reach into the tests."""


def pytest_configure(config: pytest.Config) -> None:
    """Send every write to a folder that is gone afterwards; fix what output depends on.

    Set before anything of bench or Keras is imported, so that commands the tests start inherit it.
    Workers of pytest-xdist inherit the first process's folder.
    """
    settings.load_profile("ci" if os.environ.get("CI") else "default")
    # Tables are plain where nothing says how wide to be. Importing readline, as pytest does, sets the width
    # in the C environment, which os.environ of this process may not show and its children inherit.
    os.environ.pop("COLUMNS", None)
    os.unsetenv("COLUMNS")
    if hasattr(config, "workerinput"):
        return
    place = Path(tempfile.mkdtemp(prefix="messybench-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(place, ignore_errors=True))
    for name in OURS:
        os.environ.pop(name, None)
    os.environ.update(
        BENCH_CACHE=str(place / "cache"),
        TF_CPP_MIN_LOG_LEVEL="3",
        CUDA_VISIBLE_DEVICES="-1",
        NO_COLOR="1",
        TZ="UTC",
    )
    # One list of fonts for all commands, which have caches of their own.
    os.environ["MPLCONFIGDIR"] = str(place / "matplotlib")
    for name in ("KERAS_HOME", "KAGGLEHUB_CACHE"):
        os.environ.setdefault(name, str(place / name.lower()))


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the folder of a real data set by name (`real_data("fashion")`), or skip the test."""

    def find(name: str) -> Path:
        root = os.environ.get("BENCH_DATA")
        if not root:
            pytest.skip("BENCH_DATA names no folder with real data")
        folder = Path(root) / name
        if not folder.is_dir():
            pytest.skip(f"the folder BENCH_DATA names has no {name}/")
        return folder

    return find


@pytest.fixture(scope="session")
def imagenet() -> Callable[[str], Path]:
    """Give a weights file in Keras's home by its name, or skip the test."""

    def find(name: str) -> Path:
        path = Path(os.environ["KERAS_HOME"]) / "models" / name
        if not path.is_file():
            pytest.skip(f"no ImageNet weights: KERAS_HOME has no models/{name}")
        return path

    return find
