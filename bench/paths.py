"""Where things lie: task cards and baselines (wheel or checkout), results, cache."""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import BenchError

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Return the folder `tasks` or `baselines` that came with this installation.

    A wheel carries it inside the package, a checkout beside it. Raises BenchError if neither is there.
    """
    for place in (PACKAGE / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise BenchError(f"this installation has no {name}/ folder: install messybench again")


def _given(name: str, value: str | None) -> str | None:
    """Return an option's value. Raises BenchError for an empty one: it would be taken for none."""
    if value == "":
        raise BenchError(f"--{name} is empty: give it a value or leave it out")
    return value


def search_path(name: str, given: str | None = None) -> tuple[Path, ...]:
    """Return the folders to look in for `tasks` or `baselines`, the user's own first.

    The user's own is `given` (an option) or else the variable BENCH_TASKS / BENCH_BASELINES.
    """
    own = _given(name, given) or os.environ.get(f"BENCH_{name.upper()}")
    if not own:
        return (shipped(name),)
    folder = Path(own).expanduser()
    if not folder.is_dir():
        raise BenchError(f"{name} folder {own!r} does not exist")
    return (folder, shipped(name))


def results_dir(given: str | None = None) -> Path:
    """Return the results folder: the option, BENCH_RESULTS, or `results` in the current directory."""
    return Path(_given("results", given) or os.environ.get("BENCH_RESULTS") or "results").expanduser()


def cache_dir(given: str | None = None) -> Path:
    """Return the cache folder: the option, BENCH_CACHE, or messybench's place in the user's cache."""
    if chosen := _given("cache", given) or os.environ.get("BENCH_CACHE"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "messybench"
