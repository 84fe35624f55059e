"""The errors a user can cause: each is one line that says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FAULT = 1
EXIT_USAGE = 2
EXIT_REGRESSION = 3
EXIT_SOME_FAILED = 4
EXIT_NOTHING_MEASURED = 5
EXIT_INTERRUPTED = 130


class BenchError(Exception):
    """A mistake in what was asked or given; its text is shown to the user as one line."""

    exit_code = EXIT_USAGE


class DataError(BenchError):
    """The data folder cannot be used as it is."""


class WeightsError(BenchError):
    """Pretrained weights that were asked for cannot be had."""


class StoreError(BenchError):
    """A results, baselines or cache folder cannot be read or written."""


class NothingMeasured(BenchError):
    """The request was legal, but no cell of it could be measured."""

    exit_code = EXIT_NOTHING_MEASURED


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest of the known names, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def unknown(what: str, name: str, known: Iterable[str], hint: str = "") -> BenchError:
    """Build the error for a name that is not registered, naming the nearest one that is.

    >>> str(unknown("backbone", "mobilnet", ["mobilenet", "lenet"]))
    "unknown backbone 'mobilnet'; did you mean 'mobilenet'?"
    """
    guess = nearest(name, known)
    return BenchError(f"unknown {what} {name!r}{guess}{f' ({hint})' if hint else ''}")
