"""Requirements of a node: versions, and the user's code and files."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from bench.backbones.external import find_module, is_function
from bench.backbones.info import BackboneInfo
from bench.backbones.weights import file_hash, imagenet_file, kaggle_models
from bench.core import plugins
from bench.core.environment import record
from bench.core.errors import BenchError
from bench.core.paths import KERAS_HOME, PACKAGE, keras_models

Weights = tuple[BackboneInfo, str, tuple[int, int]]
"""A backbone, the user's text of its weights, and the (height, width) of its images."""


@dataclass(frozen=True)
class LocalFiles:
    """Files of this machine that nodes may lack.

    modules: sources by path below a folder of Python's search path. plugins: names of those to load. outside:
    digests and contents of models and weights by the user's path. library: contents of ImageNet weights by
    path below the folder of Keras or Kaggle (`keras/...`).
    """

    modules: Mapping[str, bytes]
    plugins: tuple[str, ...]
    outside: Mapping[str, tuple[str, bytes]]
    library: Mapping[str, bytes]

    @property
    def token(self) -> str:
        """Digest of all files."""
        found = hashlib.sha256()
        contents = {**self.modules, **self.library, **{name: one for name, (_, one) in self.outside.items()}}
        for name, content in sorted(contents.items()):
            found.update(f"{name}\n{len(content)}\n".encode())
            found.update(content)
        return found.hexdigest()[:16]


@cache
def versions() -> dict[str, str]:
    """Return the versions that must agree on all machines: Python, messybench's source, its libraries."""
    found = record()
    source = plugins.digest(sorted(PACKAGE.rglob("*.py")))
    return {
        "Python": platform.python_version(),
        "messybench": f"{found['messybench']} ({source})",
        **found["packages"],
    }


def check_versions(node: str, expected: Mapping[str, str]) -> None:
    """Raise BenchError if this machine and the driver have different versions."""
    local = versions()
    other = [name for name in {**expected, **local} if local.get(name) != expected.get(name)]
    if other:
        found = ", ".join(
            f"{name} {local.get(name, 'is missing')}, not {expected.get(name, 'installed here')}"
            for name in other[:3]
        )
        raise BenchError(
            f"node {node} has other versions than this machine: {found}; install the same on every machine"
        )


def required_files(places: Sequence[str], backbones: Sequence[str], weights: Sequence[Weights]) -> LocalFiles:
    """Read the files that a run needs beside the installed packages.

    places: plug-ins. backbones: names as typed; the sources of their functions are included. Raises
    WeightsError or OSError for a file that cannot be read.
    """
    modules: dict[str, bytes] = {}
    load: list[str] = []
    for place in places:
        if place.endswith(".py") or os.sep in place:
            modules[Path(place).name] = Path(place).read_bytes()
            load.append(Path(place).name)
        else:
            modules |= _package(place)
            load.append(place)
    outside: dict[str, tuple[str, bytes]] = {}
    for name in backbones:
        if is_function(name):
            modules |= _package(name.partition(":")[0])
    library: dict[str, bytes] = {}
    for info, text, size in weights:
        if info.origin is not None and info.origin.form == "preset":
            # A folder of gigabytes: nodes read it where it lies, and check that it is the same.
            continue
        named = text if text not in info.weights else ""
        if info.origin is not None and info.origin.form != "module":
            named = info.origin.place
        if named:
            outside[named] = file_hash(Path(named)), Path(named).read_bytes()
        elif text == "imagenet" and (path := imagenet_file(info, size)) is not None and path.is_file():
            kaggle = info.source == "keras_cv"
            kind, root = ("kaggle", kaggle_models()) if kaggle else ("keras", keras_models())
            library[f"{kind}/models/{path.relative_to(root)}"] = path.read_bytes()
    return LocalFiles(modules, tuple(load), outside, library)


def _package(module: str) -> dict[str, bytes]:
    """Return the sources of a module's package by path; none if it is installed, as nodes have it."""
    top = module.partition(".")[0]
    source = find_module(top, [str(Path.cwd()), *sys.path])
    if source is None or "site-packages" in source.parts:
        return {}
    if source.name != "__init__.py":
        return {source.name: source.read_bytes()}
    return {
        str(path.relative_to(source.parents[1])): path.read_bytes() for path in source.parent.rglob("*.py")
    }


def unpack_modules(sent: LocalFiles, folder: Path) -> tuple[str, ...]:
    """Make the sources importable, load the plug-ins among them, and return their local paths or names."""
    for name, content in sent.modules.items():
        _write(folder / name, content)
    if sent.modules and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    places = tuple(str(folder / name) if name.endswith(".py") else name for name in sent.plugins)
    for place in places:
        if place.endswith(".py") or find_spec(place.partition(".")[0]) is not None:
            plugins.load(place)
    return places


def unpack_files(sent: LocalFiles, folder: Path) -> dict[str, str]:
    """Write models and weights; return the local path of each by the user's path.

    The ImageNet weights replace those of this machine in this process and its children.
    """
    for name, content in sent.library.items():
        _write(folder / name, content)
    if sent.library:
        os.environ[KERAS_HOME] = str(folder / "keras")
        os.environ["KAGGLEHUB_CACHE"] = str(folder / "kaggle")
    placed: dict[str, str] = {}
    for name, (digest, content) in sent.outside.items():
        # A cell's identity contains the name, not the folder.
        path = folder / "outside" / digest[:16] / Path(name).name
        _write(path, content)
        placed[name] = str(path)
    return placed


def relocated(info: BackboneInfo, weights: str, placed: Mapping[str, str]) -> tuple[BackboneInfo, str]:
    """Return a backbone and its weights with local paths instead of the driver's."""
    if info.origin is not None and info.origin.place in placed:
        info = replace(info, origin=replace(info.origin, place=placed[info.origin.place]))
    return info, placed.get(weights, weights)


def _write(path: Path, content: bytes) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(content)
        part.rename(path)
