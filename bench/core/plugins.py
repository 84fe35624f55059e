"""Plug-ins: packages, modules and files that register backbones, steps, metrics and more.

Each table has a function `register` for plug-ins. A plug-in is an entry point of group GROUP in an installed
package, `name = module`; a file, FILE.py; or a module that registers something on import. The name, version
and source digest of a plug-in are part of the identity of the cells that use it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, in_one_line
from bench.core.paths import user_path
from bench.core.regular_files import read_regular

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "messybench"
"""Group of the entry points of installed plug-ins: `name = module`, or `name = module:function`."""

VARIABLE = "BENCH_PLUGINS"
"""Variable with files and modules to load in every command, separated as in PATH."""


@dataclass(frozen=True)
class Plugin:
    """A plug-in.

    source: the first 16 hex digits of the SHA-256 of its Python files, "" without any. place: the file or
    module to load in another process; "" for an installed one.
    """

    name: str
    version: str = ""
    source: str = ""
    place: str = ""

    def identity(self) -> dict[str, str]:
        """Return the fields that determine predictions."""
        return {"version": self.version, "source": self.source}

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


faults: list[str] = []
"""A message for each plug-in that could not be loaded."""

_loading: list[Plugin] = []
_owners: dict[tuple[str, str], Plugin] = {}
_tables: dict[tuple[str, str], MutableMapping[str, Any]] = {}
_files: dict[Path, Plugin] = {}


def register(what: str, table: MutableMapping[str, Any], name: str, value: Any) -> None:
    """Add an entry to a table. Call it from a function `register` only.

    Entries of the package have no owner, even if a plug-in imports them first; the owner of any other is the
    plug-in that is being loaded, or the module that called `register`. Raises ValueError if the name is
    taken.
    """
    if name in table:
        owner = _owners.get((what, name))
        raise ValueError(f"{what} {name!r} is registered twice" + (f" ({owner} has it)" if owner else ""))
    caller = sys._getframe(2).f_globals
    built_in = f"{caller.get('__name__')}.".startswith("bench.")
    owner = None if built_in else _loading[-1] if _loading else _of_module(caller)
    table[name] = value
    if owner is not None:
        _owners[what, name], _tables[what, name] = owner, table


def owner_of(what: str, name: str) -> Plugin | None:
    """Return the plug-in that registered an entry, None for the package's."""
    return _owners.get((what, name))


def loaded() -> dict[Plugin, list[tuple[str, str]]]:
    """Return the entries of each plug-in, as (what, name)."""
    found: dict[Plugin, list[tuple[str, str]]] = {}
    for thing, owner in _owners.items():
        found.setdefault(owner, []).append(thing)
    return found


def names_of(what: str) -> tuple[str, ...]:
    """Return the names of the plug-ins' entries of one sort."""
    return tuple(name for sort, name in _owners if sort == what)


def owners_of(things: Iterable[tuple[str, str]]) -> tuple[Plugin, ...]:
    """Return the plug-ins of these things (what, name), each once, by name.

    Raises BenchError for one that another process could not load.
    """
    found = {owner.name: owner for thing in things if (owner := _owners.get(thing)) is not None}
    for name, owner in found.items():
        if not owner.source:
            own = ", ".join(what for (_, what), plugin in _owners.items() if plugin == owner)
            raise BenchError(
                f"{own}: registered in {name}, which the training process cannot load; put it into a file, "
                "and name that with --plugin FILE.py (in Python: plugins=)"
            )
    return tuple(found[name] for name in sorted(found))


def registered_here() -> tuple[str, ...]:
    """Return the places of the plug-ins that registered something in this process and are not installed."""
    return tuple(dict.fromkeys(owner.place for owner in _owners.values() if owner.place))


def find(table: MutableMapping[str, Any], name: str) -> bool:
    """Return whether a table has a name; plug-ins, which load slowly, are searched last."""
    if name not in table:
        load_known()
    return name in table


@cache
def load_known() -> None:
    """Load every installed plug-in and those that VARIABLE names; one that fails is among `faults`."""
    from importlib.metadata import entry_points

    for place in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        try:
            load(place)
        except BenchError as error:
            faults.append(f"{error} ({VARIABLE} names it)")
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    for point in points:
        others = [other for other in points if other.name == point.name and _origin(other) != _origin(point)]
        if others:
            faults.append(
                f"two plug-ins are named {point.name!r}: {_origin(point)} is left out; uninstall it or "
                f"{_origin(others[0])}"
            )
            continue
        try:
            _load_installed(point)
        except BenchError as error:
            faults.append(f"{error}; it is left out: repair or uninstall {_origin(point)}")


def load(place: str) -> Plugin:
    """Load a file (FILE.py) or a module (package.module), once; a file that has changed is loaded again.

    Raises BenchError if it cannot be imported or registers a name that is taken; none of its entries remain.
    """
    if place.endswith(".py") or os.sep in place:
        return _load_file(user_path(place).absolute())
    with _from_here():
        try:
            plugin = Plugin(place, "", digest(_sources(place)), place)
        except (OSError, ImportError, ValueError) as error:
            raise BenchError(f"plug-in {place!r} cannot be loaded ({in_one_line(error)[:300]})") from None
        with _registering(plugin):
            module = import_module(place)
    return _versioned(plugin, vars(module))


def _load_file(path: Path) -> Plugin:
    try:
        source = digest([path])
    except OSError as error:
        raise BenchError(f"plug-in {str(path)!r}: {error.strerror or error}") from None
    name, known = path.stem, _files.get(path)
    if known is not None and known.source == source:
        return known
    if not name.isidentifier():
        raise BenchError(f"plug-in {str(path)!r}: its name is not a module name; use letters, digits and _")
    if known is not None:
        unload(known)
        del sys.modules[name]
    elif name in sys.modules:
        if not _same(getattr(sys.modules[name], "__file__", None), path):
            raise _taken(path)
        return _of_module(vars(sys.modules[name]))
    elif (found := util.find_spec(name)) is not None and not _same(found.origin, path):
        raise _taken(path)
    spec = util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    plugin = Plugin(name, "", source, str(path))
    # Its functions are imported by their names, "module:function".
    sys.modules[name] = module
    try:
        with _registering(plugin):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    _files[path] = _versioned(plugin, vars(module))
    return _files[path]


def _same(file: str | None, path: Path) -> bool:
    return file is not None and Path(file).resolve() == path.resolve()


def _taken(path: Path) -> BenchError:
    return BenchError(f"plug-in {str(path)!r}: a module {path.stem} exists already; rename the file")


def _load_installed(point: EntryPoint) -> None:
    version = "" if point.dist is None else point.dist.version
    try:
        source = digest(_sources(point.module))
    except (OSError, ImportError, ValueError) as error:
        raise BenchError(f"plug-in {point.name!r} cannot be loaded ({in_one_line(error)})") from None
    with _registering(Plugin(point.name, version, source)):
        found = point.load()
        if point.attr:
            found()


@contextmanager
def _registering(plugin: Plugin) -> Iterator[None]:
    """Assign new entries to the plug-in. After an error, remove them and raise BenchError."""
    _loading.append(plugin)
    try:
        yield
    except (Exception, SystemExit) as error:
        unload(plugin)
        raise BenchError(f"plug-in {plugin.name!r} cannot be loaded ({in_one_line(error)[:300]})") from error
    finally:
        _loading.pop()


def unload(plugin: Plugin) -> None:
    """Remove everything that a plug-in has registered."""
    for what, name in [key for key, owner in _owners.items() if owner == plugin]:
        del _owners[what, name]
        del _tables.pop((what, name))[name]


def _versioned(plugin: Plugin, module: Mapping[str, Any]) -> Plugin:
    """Return a plug-in with the version of its loaded module, and give it the entries."""
    whole = replace(plugin, version=str(module.get("__version__", "")))
    _owners.update({key: whole for key, owner in _owners.items() if owner == plugin})
    return whole


def _of_module(module: Mapping[str, Any]) -> Plugin:
    """Return the plug-in of a module that called `register`."""
    name, file = str(module.get("__name__")), module.get("__file__")
    if name == "__main__" or not file:
        return Plugin("a notebook or script" if name == "__main__" else name)
    return _imported(name, str(module.get("__version__", "")), str(file))


@cache
def _imported(name: str, version: str, file: str) -> Plugin:
    """Return the plug-in of a module that the user imported: an installed one, or the module itself."""
    from importlib.metadata import entry_points

    try:
        source = digest(_sources(name))
    except (OSError, ImportError, ValueError):
        return Plugin(Path(file).stem, version, digest([Path(file)]), file)
    for point in entry_points(group=GROUP):
        if point.module.partition(".")[0] == name.partition(".")[0] and point.dist is not None:
            return Plugin(point.name, point.dist.version, source)
    return Plugin(name, version, source, name)


def _sources(module: str) -> list[Path]:
    """Return the Python files of the package that a module belongs to, or the module's own."""
    spec = util.find_spec(module.partition(".")[0])
    if spec is None:
        raise ModuleNotFoundError(f"No module named {module!r}")
    if spec.submodule_search_locations:
        return sorted(path for place in spec.submodule_search_locations for path in Path(place).rglob("*.py"))
    return [Path(spec.origin or "")]


def digest(files: Iterable[Path]) -> str:
    """Return the first 16 hex digits of the SHA-256 of files, whatever folder they are in. Raises OSError."""
    found = hashlib.sha256()
    for path in files:
        content = read_regular(path)
        found.update(f"{path.name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:16]


def _origin(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"


@contextmanager
def _from_here() -> Iterator[None]:
    """Let modules of the working directory be imported, as `python -m` does."""
    here = os.getcwd()
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)
