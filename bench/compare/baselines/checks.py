"""Checks of the values in a baseline file; every error names the file and the place in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from bench.compare.baselines.packing import inflate, item_size
from bench.core.errors import BenchError, unknown
from bench.core.forms import MAX_INTEGER
from bench.metrics.registry import METRICS, is_metric

_TYPES = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}


class FileChecks:
    """Checks of the file named `file`. All of them raise BenchError."""

    def __init__(self, file: str) -> None:
        self.file = file

    def packed(self, text: str, n: int, k: int, where: str) -> None:
        """Check the length of packed data, without numpy."""
        try:
            inflate(text, n * item_size(k))
        except ValueError as error:
            self.fail(where, str(error))

    def metric(self, name: str, where: str) -> None:
        """Check that a metric is known."""
        if not is_metric(name):
            raise unknown("metric", name, METRICS, f"{self.file}: {where}")

    def record(
        self, raw: Any, required: Mapping[str, type], optional: Mapping[str, type], where: str
    ) -> dict[str, Any]:
        """Return an object whose keys are known and whose values have their types."""
        table = self.typed(raw, dict, where)
        self.keys(table, required, optional, where)
        kinds = {**required, **optional}
        return {key: self.typed(value, kinds[key], f"{where}.{key}") for key, value in table.items()}

    def keys(
        self, table: Mapping[str, Any], required: Iterable[str], optional: Iterable[str], where: str
    ) -> None:
        """Check that all required keys are present, and no unknown ones."""
        required = tuple(required)
        allowed = (*required, *optional)
        for key in table:
            if key not in allowed:
                raise unknown("key", key, allowed, f"{self.file}: in {where}")
        for key in required:
            if key not in table:
                self.fail(where, f"has no {key!r}")

    def count(self, value: Any, where: str, least: int = 0) -> int:
        """Return a whole number that is at least `least`."""
        if self.typed(value, int, where) < least:
            self.fail(where, f"at least {least}, not {value}")
        return int(value)

    def typed(self, value: Any, wanted: type, where: str) -> Any:
        """Return a value of a type; a whole number is a float too."""
        if type(value) is int and not -MAX_INTEGER < value < MAX_INTEGER:
            self.fail(where, "is too large a number")
        if type(value) is str and not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            self.fail(where, "holds half a character (a lone surrogate)")
        if wanted is float and type(value) is int:
            return float(value)
        if type(value) is not wanted or (type(value) is float and not math.isfinite(value)):
            shown = repr(value)
            self.fail(
                where, f"must be {_TYPES[wanted]}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
            )
        return value

    def fail(self, where: str, why: str) -> NoReturn:
        """Raise BenchError."""
        raise BenchError(f"{self.file}: {where}: {why}")
