"""Folders of task cards, baselines, results and cache."""

from __future__ import annotations

import os
from pathlib import Path

from bench.core.errors import BenchError

PACKAGE = Path(__file__).resolve().parents[1]


def shipped(name: str) -> Path:
    """Return the folder `tasks` or `baselines` of this installation.

    A wheel has it inside the package, a checkout beside it. Raises BenchError if there is neither.
    """
    for place in (PACKAGE / name, PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise BenchError(f"this installation has no {name}/ folder: install messybench again")


def user_path(text: str | Path) -> Path:
    """Return the user's path, with `~` and `~name` expanded as in a shell."""
    return Path(os.path.expanduser(text))


def _option(name: str, value: str | None) -> str | None:
    """Return an option's value. Raises BenchError for an empty one."""
    if value == "":
        raise BenchError(f"--{name} is empty: give it a value or leave it out")
    return value


def search_path(name: str, given: str | None = None) -> tuple[Path, ...]:
    """Return the folders to search for `tasks` or `baselines`, the user's first.

    The user's folder is `given` (an option) or the variable BENCH_TASKS or BENCH_BASELINES.
    """
    chosen = _option(name, given) or os.environ.get(f"BENCH_{name.upper()}")
    if not chosen:
        return (shipped(name),)
    folder = user_path(chosen)
    if not folder.is_dir():
        raise BenchError(f"{name} folder {chosen!r} does not exist")
    return (folder, shipped(name))


def results_dir(given: str | None = None) -> Path:
    """Return the results folder: the option, BENCH_RESULTS, or `results` in the current directory."""
    return user_path(_option("results", given) or os.environ.get("BENCH_RESULTS") or "results")


def cache_dir(given: str | None = None) -> Path:
    """Return the cache folder: the option, BENCH_CACHE, or `messybench` in the user's cache."""
    if chosen := _option("cache", given) or os.environ.get("BENCH_CACHE"):
        return user_path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "messybench"


KERAS_HOME = "BENCH_KERAS_HOME"
"""The variable with the user's own KERAS_HOME, see `library_files`."""


def library_files() -> dict[str, str]:
    """Return variables that move the files of Keras and matplotlib to the cache.

    Both would write to the user's home folder, and read settings there that change results and pages.
    """
    try:
        place = cache_dir() / "libraries"
    except RuntimeError:
        # There is no home folder.
        return {}
    return {
        KERAS_HOME: os.environ.get(KERAS_HOME) or os.environ.get("KERAS_HOME") or "~/.keras",
        "KERAS_HOME": str(place / "keras"),
        "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(place / "matplotlib"),
    }


def keep_library_files() -> None:
    """Set `library_files` for this process; call before they are imported."""
    os.environ.update(library_files())


def keras_models() -> Path:
    """Return Keras's folder of weights: KERAS_HOME/models or ~/.keras/models."""
    home = os.environ.get(KERAS_HOME) or os.environ.get("KERAS_HOME") or "~/.keras"
    return user_path(home) / "models"


def kagglehub_cache() -> Path:
    """Return kagglehub's download folder: KAGGLEHUB_CACHE or ~/.cache/kagglehub."""
    return user_path(os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub")
