"""Errors that users can cause: one line each, with the fault, its place and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_DONE = 0
EXIT_FAULT = EXIT_FOUND = 1
EXIT_USAGE = 2
EXIT_REGRESSION = 3
EXIT_SOME_FAILED = 4
EXIT_NOTHING_MEASURED = 5
EXIT_INTERRUPTED = 130


class BenchError(Exception):
    """A mistake in the user's input; its text is shown as one line."""

    exit_code = EXIT_USAGE


class DataError(BenchError):
    """The data folder cannot be used."""


class WeightsError(BenchError):
    """Pretrained weights are not available."""


class StoreError(BenchError):
    """A results, baselines or cache folder cannot be read or written."""


class NothingMeasured(BenchError):
    """The request was valid, but none of its cells could be measured."""

    exit_code = EXIT_NOTHING_MEASURED


class Stopped(BaseException):
    """SIGTERM or SIGHUP was received; like KeyboardInterrupt, no error handler catches it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)


def in_one_line(error: BaseException) -> str:
    """Return an error's text on one line, with its type unless it is a BenchError."""
    text = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:1000]


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the closest of the known names, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def unknown(what: str, name: str, known: Iterable[str], hint: str = "") -> BenchError:
    """Build the error for an unknown name, which suggests the nearest known one.

    >>> str(unknown("backbone", "mobilnet", ["mobilenet", "lenet"]))
    "unknown backbone 'mobilnet'; did you mean 'mobilenet'?"
    """
    guess = nearest(name, known)
    return BenchError(f"unknown {what} {name!r}{guess}{f' ({hint})' if hint else ''}")
