"""Schemas of TOML files: types, keys, lists and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from bench.core.errors import BenchError, unknown

MAX_INTEGER = 2**63
"""Limit of integers; larger ones cannot be stored, printed or used as seeds everywhere."""

_TYPES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}

SCALARS = (str, int, float, bool)
"""The types of a protocol value."""


@dataclass(frozen=True)
class Each:
    """A list whose items share a schema."""

    form: Schema


@dataclass(frozen=True)
class Named:
    """A table with free keys whose values share a schema."""

    form: Schema


@dataclass(frozen=True)
class Keys:
    """A table with fixed keys."""

    required: Mapping[str, Schema]
    optional: Mapping[str, Schema] = field(default_factory=dict)


Schema = type | tuple["type | Named", ...] | Each | Named | Keys
"""A type, any of several, or a list or table of more."""


def check_form(value: Any, form: Schema, where: str, file: str) -> None:
    """Raise BenchError, naming file and place, unless the value matches. where: the value's name."""
    if isinstance(form, Each):
        if type(value) is not list:
            _fail(file, where, "a list", value)
        for index, item in enumerate(value):
            check_form(item, form.form, f"{where}[{index}]", file)
    elif isinstance(form, Named):
        for key, item in _table(value, where, file).items():
            check_form(item, form.form, f"{where}.{key[:80]}", file)
    elif isinstance(form, Keys):
        _check_keys(_table(value, where, file), form, where, file)
    else:
        _check_type(value, form if isinstance(form, tuple) else (form,), where, file)


def _check_type(value: Any, forms: tuple[type | Named, ...], where: str, file: str) -> None:
    if type(value) is int and not -MAX_INTEGER < value < MAX_INTEGER:
        raise BenchError(f"{file}: {where} is too large a number")
    if type(value) in forms:
        return
    for form in forms:
        if isinstance(form, Named) and type(value) is dict:
            check_form(value, form, where, file)
            return
    wanted = " or ".join("a table" if isinstance(form, Named) else _TYPES[form] for form in forms)
    _fail(file, where, wanted, value)


def _check_keys(table: Mapping[str, Any], form: Keys, where: str, file: str) -> None:
    known = {**form.required, **form.optional}
    for key, value in table.items():
        if key not in known:
            raise unknown("key", key[:80], known, f"in {where} of {file}")
        check_form(value, known[key], key if where == "the card" else f"{where}.{key}", file)
    for key in form.required:
        if key not in table:
            raise BenchError(f"{file}: {where} has no {key!r}")


def _table(value: Any, where: str, file: str) -> Mapping[str, Any]:
    if type(value) is not dict:
        _fail(file, where, "a table", value)
    return dict(value)


def _fail(file: str, where: str, wanted: str, value: Any) -> NoReturn:
    shown = "another table or list" if isinstance(value, (dict, list)) else repr(value)
    if isinstance(value, int) and value.bit_length() > 200:
        shown = "a number of many digits"
    raise BenchError(f"{file}: {where} must be {wanted}, not {shown[:60]}")
