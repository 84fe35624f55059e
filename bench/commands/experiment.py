"""Values of an experiment by key, in files and in Python, as the options of `bench run`.

Every option that describes a grid is a key of the same name; options that may be repeated are lists, with
plural names.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bench.core.cell import Value
from bench.core.errors import BenchError, unknown
from bench.core.forms import SCALARS, Each, Named, Schema, check_form
from bench.core.paths import user_path
from bench.core.stage_values import NAMED, check_value, parse_set
from bench.data.layout import parse_roles

ROLES = "columns"
"""The key of `--column`: a table of columns by role."""

SETTINGS = "settings"
"""The key of `--set`: a table of protocol values."""

_KEYS = {
    "backbone": "backbones",
    "method": "methods",
    "seed": "seeds",
    "stage": "stages",
    "sets": SETTINGS,
}
"""Keys that differ from the parameter of their option."""

_SETS, _FILE = "bench.settings", "bench.experiment"
"""Keys of a context's `meta`."""

ALLOW_CODE = "allow_code"
"""The option that allows code. Files cannot set it: they are not trusted."""

_FOLDERS = ("DIR",)
"""Metavars of options that name folders."""

_FILES = ("weights", "labels", "plugins", "backbone")
"""Options and protocol keys that take a word or the name of a file."""


def key_of(param: click.Parameter) -> str:
    """Return the key of an option."""
    return _KEYS.get(str(param.name), str(param.name))


def options_from(
    values: Mapping[str, Any], params: Sequence[click.Parameter], where: str, folder: Path | None = None
) -> dict[str, Any]:
    """Return values by key as values of options, by parameter.

    where: the file or the call, for messages. folder: of the file; relative paths in it start there. Raises
    BenchError for an unknown key, naming the nearest one, or a value of another type.
    """
    known = {key_of(param): param for param in params}
    found: dict[str, Any] = {}
    for key, value in values.items():
        if folder is not None and key == ALLOW_CODE:
            raise BenchError(
                f"{where}: a file cannot set {ALLOW_CODE}; give --allow-code yourself, if you trust it"
            )
        if key not in known:
            raise unknown("key", key[:80], known, f"in {where}")
        param = known[key]
        given = _settings(value, where) if key == SETTINGS else _value(param, key, value, where)
        if key != SETTINGS and given in ("", []):
            raise BenchError(f"{where}: {key} is empty: give it a value or leave it out")
        found[str(param.name)] = given if folder is None else _placed(param, given, folder)
    return found


def values_from(options: Mapping[str, Any], params: Sequence[click.Parameter]) -> dict[str, Any]:
    """Return the options that differ from their defaults as values by key; TOML can hold them.

    Folders become absolute, so that they hold wherever the file lies. ALLOW_CODE is left out.
    """
    values: dict[str, Any] = {}
    for param in params:
        value = options.get(str(param.name))
        if value is None or value in ((), [], False) or param.name == ALLOW_CODE:
            continue
        if param.name == "sets":
            own = dict(map(parse_set, value))
            values[SETTINGS] = {key: _with_file(key, one, Path.cwd()) for key, one in own.items()}
        elif param.name == ROLES:
            values[ROLES] = parse_roles(value)
        elif isinstance(value, (tuple, list)):
            values[key_of(param)] = _placed(param, list(value), Path.cwd())
        else:
            values[key_of(param)] = _placed(param, value, Path.cwd())
    return values


def arguments(options: Mapping[str, Any], params: Sequence[click.Parameter]) -> list[str]:
    """Return the command-line arguments that give these options."""
    words: list[str] = []
    for param in params:
        value = options.get(str(param.name))
        if value is None or value is False:
            continue
        name = next(name for name in param.opts if name.startswith("--"))
        if value is True:
            words.append(name)
            continue
        for one in value if isinstance(value, (tuple, list)) else [value]:
            text = str(one)
            # A value that begins with a dash would be parsed as an option.
            words += [f"{name}={text}"] if text.startswith("-") else [name, text]
    return words


def command_line(options: Mapping[str, Any], params: Sequence[click.Parameter]) -> str:
    """Return the `bench run ...` that gives these options."""
    return shlex.join(["bench", "run", *arguments(options, params)])


def set_defaults(ctx: click.Context, options: Mapping[str, Any], where: str) -> None:
    """Use options from `options_from` as defaults of the command line; settings are merged key by key.

    where: the file that gives them.
    """
    ctx.meta[_SETS], ctx.meta[_FILE] = tuple(options.get("sets", ())), where
    ctx.default_map = {name: value for name, value in options.items() if name != "sets"}


def merge_settings(ctx: click.Context, param: click.Parameter, sets: tuple[str, ...]) -> tuple[str, ...]:
    """Add the settings of the file to those of the command line; callback of `--set`."""
    own = {_key(text) for text in sets}
    if ctx.get_parameter_source("tune") is ParameterSource.COMMANDLINE:
        own.add("tune")
    return (*(text for text in ctx.meta.get(_SETS, ()) if _key(text) not in own), *sets)


def refuse_code(ctx: click.Context, param: click.Parameter, allowed: bool) -> bool:
    """Callback of ALLOW_CODE. Raises BenchError if a file names code that the command line does not name."""
    if allowed or not ctx.default_map:
        return allowed
    from bench.backbones.external import functions_in
    from bench.methods.grammar import paths_in

    # Options of the command line are read first, whatever their order, and take precedence.
    below = {
        name: ctx.default_map.get(name, ())
        for name in ("plugins", "backbone", "method")
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE
    }
    named = functions_in(below.get("backbone", ())), paths_in(below.get("method", ()))
    if code := [*below.get("plugins", ()), *named[0], *named[1]]:
        raise BenchError(
            f"{ctx.meta[_FILE]} runs code, {code[0]!r}: give --allow-code, if you trust it, or name that "
            "yourself"
        )
    return allowed


def tune_below(ctx: click.Context, param: click.Parameter, count: int | None) -> int | None:
    """Drop the file's number of trials if the command line has `--set tune`; callback of `--tune`."""
    below = ctx.get_parameter_source("tune") is ParameterSource.DEFAULT_MAP
    given = ctx.get_parameter_source("sets") is ParameterSource.COMMANDLINE
    elsewhere = given and any(_key(text) == "tune" for text in ctx.params.get("sets", ()))
    return None if below and elsewhere else count


def given_without(other: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Return a callback that drops the file's value if the command line gives the `other` option."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        mine, theirs = (ctx.get_parameter_source(name) for name in (str(param.name), other))
        given = theirs is ParameterSource.COMMANDLINE
        return None if given and mine is ParameterSource.DEFAULT_MAP else value

    return callback


def _key(text: str) -> str:
    return text.partition("=")[0].strip()


def _value(param: click.Parameter, key: str, value: Any, where: str) -> Any:
    if key == "seeds":
        return _seeds(value, where)
    if key == ROLES and isinstance(value, dict):
        check_form(value, Named(str), key, where)
        return [f"{role}={column}" for role, column in value.items()]
    if getattr(param, "multiple", False):
        many = [value] if isinstance(value, str) else value
        check_form(many, Each(str), key, where)
        return many
    check_form(value, _form(param), key, where)
    return value


def _form(param: click.Parameter) -> Schema:
    """Return the type of an option's value in TOML."""
    if getattr(param, "is_flag", False):
        return bool
    if isinstance(param.type, (click.types.IntParamType, click.IntRange)):
        return int
    if isinstance(param.type, (click.types.FloatParamType, click.FloatRange)):
        return (int, float)
    return str


def _seeds(value: Any, where: str) -> str:
    """Return seeds as the option takes them: a number, a text such as 0-2, or a list of numbers."""
    if isinstance(value, list):
        check_form(value, Each(int), "seeds", where)
        return ",".join(map(str, value))
    check_form(value, (int, str), "seeds", where)
    return str(value)


def _settings(table: Any, where: str) -> list[str]:
    """Return protocol values as texts of `--set`; a table in the table holds values of one stage."""
    check_form(table, Named((*SCALARS, Named(SCALARS))), SETTINGS, where)
    flat: dict[str, Value] = {}
    for key, value in table.items():
        flat |= (
            {f"{key}.{name}": own for name, own in value.items()} if isinstance(value, dict) else {key: value}
        )
    return [f"{key}={_text(_checked(key, value, f'{SETTINGS} of {where}'))}" for key, value in flat.items()]


def _checked(key: str, value: Value, where: str) -> Value:
    return value if key == NAMED else check_value(key, value, where)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _placed(param: click.Parameter, value: Any, folder: Path) -> Any:
    """Return the value with a relative path resolved against a folder."""
    if param.metavar in _FOLDERS:
        return str(folder / user_path(value))
    if param.name == "sets":
        own = (text.partition("=") for text in value)
        return [f"{key}={_with_file(key, one, folder)}" for key, _, one in own]
    if isinstance(value, list):
        return [_with_file(str(param.name), one, folder) for one in value]
    return _with_file(str(param.name), value, folder)


def _with_file(key: str, value: Any, folder: Path) -> Any:
    """Return the value with the name of an existing file resolved against a folder, if the key takes one."""
    if key not in _FILES or not Path(value).suffix:
        return value
    path = folder / user_path(value)
    return str(path) if path.is_file() else value
