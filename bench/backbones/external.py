"""External backbones: files of models or features, presets, Python functions."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.backbones.info import ANY_SIZE, JOIN, NO_WEIGHTS, OWN_WEIGHTS, UNSPECIFIED, BackboneInfo, Origin
from bench.backbones.keras_config import Unsupported, read_config
from bench.backbones.onnx_file import read_onnx
from bench.backbones.presets import HUB, NEEDS, is_preset, preset_name, read_preset
from bench.backbones.weights import file_hash
from bench.core.errors import BenchError, WeightsError
from bench.core.paths import user_path
from bench.core.regular_files import Refused, open_file

FUNCTION = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)
"""`package.module:function`."""

_MOST_CONFIG = 64 * 2**20
_LONGEST = 60

REFUSED_ENDINGS = {
    ".h5": "HDF5 files may run code when they are loaded: open it where you trust it and save it as .keras",
    ".hdf5": "HDF5 files may run code when they are loaded: open it where you trust it and save it as .keras",
    ".pt": "a PyTorch file: export it as .onnx, or write the features of your images to a .npz file",
    ".pth": "a PyTorch file: export it as .onnx, or write the features of your images to a .npz file",
    ".safetensors": "weights without a model: write the features of your images to a .npz file",
    ".pkl": "a pickle runs code when it is loaded: write the features of your images to a .npz file",
    ".pb": "a TensorFlow graph: save the model as .keras",
    ".tflite": "a model for devices: save the model that it was made from as .keras or .onnx",
}
"""Endings of unsupported files, and the remedy."""


def is_external(name: str) -> bool:
    """Return whether a name, typed or stored, is of an external backbone."""
    return is_preset(name) or is_function(name) or _ending(name) in (*READERS, *REFUSED_ENDINGS)


def is_function(name: str) -> bool:
    """Return whether a name, typed or stored, is of a Python function.

    >>> is_function("nets:build"), is_function("hub:vit"), is_function("a:net.keras")
    (True, False, False)
    """
    return not is_preset(name) and _ending(name) not in READERS and FUNCTION.fullmatch(name) is not None


def external_reads(name: str) -> str:
    """Return the input of an external backbone: `pixels` or `vectors`."""
    return "vectors" if READERS.get(_ending(name)) is _features_file else "pixels"


def split_names(text: str, separator: str) -> list[str]:
    """Split a list of names, except at separators inside the path of an existing file.

    >>> split_names("lenet, hog", ",")
    ['lenet', 'hog']
    """
    pieces, names = text.split(separator), []
    while pieces:
        # The longest run of pieces that is the path of a file, else one piece.
        for count in range(len(pieces), 0, -1):
            name = separator.join(pieces[:count]).strip()
            if count == 1 or _is_whole(name, separator):
                break
        names.append(name)
        del pieces[:count]
    return names


def functions_in(texts: Sequence[str]) -> list[str]:
    """Return the Python functions in lists of backbones, joined ones included.

    >>> functions_in(["lenet, nets:build+hog"])
    ['nets:build']
    """
    names = [part for text in texts for name in split_names(text, ",") for part in split_names(name, JOIN)]
    return [name for name in names if is_function(name)]


def _is_whole(name: str, separator: str) -> bool:
    """Return whether every separator in a name is inside the path of an existing file."""
    if is_preset(name):
        return user_path(name.removeprefix(HUB)).is_dir()
    if is_external(name) and user_path(name).is_file():
        return True
    if separator == JOIN:
        return False
    return all(separator not in part or _is_whole(part, JOIN) for part in split_names(name, JOIN))


def external_backbone(text: str, allow_code: bool = False) -> BackboneInfo:
    """Return the backbone that a path, a preset or `package.module:function` names. Imports nothing heavy.

    allow_code: whether code in the file may run. Raises BenchError for anything else.
    """
    if is_preset(text):
        return _preset(text)
    ending = _ending(text)
    if ending in REFUSED_ENDINGS:
        raise BenchError(f"--backbone {text!r}: {REFUSED_ENDINGS[ending]}")
    if ending in READERS:
        return READERS[ending](user_path(text), allow_code)
    return _function(text)


def safe_name(path: Path) -> str:
    """Return a file's name, safe for tables, folders and lists of backbones.

    >>> safe_name(Path("nets/my net, new+.keras"))
    'my_net__new_.keras'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", path.name)[-_LONGEST:]


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _digest(path: Path) -> str:
    try:
        return file_hash(path)
    except WeightsError:
        try:
            open_file(path).close()
        except Refused as why:
            raise BenchError(f"--backbone {str(path)!r}: {why}") from None
        raise


def _keras_file(path: Path, allow_code: bool) -> BackboneInfo:
    digest = _digest(path)
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            if archive.getinfo("config.json").file_size > _MOST_CONFIG:
                raise Unsupported("has a configuration of more than 64 MiB")
            archive.getinfo("model.weights.h5")
            config = json.loads(archive.read("config.json"))
        found = read_config(config, allow_code)
    except Unsupported as why:
        raise BenchError(f"--backbone {str(path)!r} {why}") from None
    except (Refused, OSError, zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError,
            EOFError, RuntimeError) as error:  # fmt: skip
        raise BenchError(f"--backbone {str(path)!r}: {_no_model(path, error)}") from None
    own = Origin(
        "keras", str(path), digest, found.size is not None, found.classifies, found.before, allow_code
    )
    return _net(safe_name(path), "a saved Keras model", "keras_file", own, found.size, found.scales)


def _onnx_file(path: Path, allow_code: bool) -> BackboneInfo:
    digest = _digest(path)
    try:
        found = read_onnx(path)
    except Unsupported as why:
        raise BenchError(f"--backbone {str(path)!r} {why}") from None
    own = Origin("onnx", str(path), digest, found.size is not None)
    return _net(safe_name(path), "an ONNX model", "onnx", own, found.size, found.whole)


def _net(
    name: str,
    summary: str,
    source: str,
    origin: Origin,
    size: tuple[int, int] | None = None,
    scales: bool = False,
    **more: Any,
) -> BackboneInfo:
    """Return an external net. scales: whether it scales pixels of 0 to 255 itself."""
    return BackboneInfo(
        name=name,
        family="outside",
        summary=summary,
        source=source,
        builder="",
        input_size=size or ANY_SIZE,
        min_size=1,
        preprocess="none" if scales else UNSPECIFIED,
        features=0,
        parameters=0,
        weights=(OWN_WEIGHTS,),
        origin=origin,
        **more,
    )


def _no_model(path: Path, error: Exception) -> str:
    if isinstance(error, Refused):
        return str(error)
    with open_file(path) as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return f"an HDF5 file by content; {REFUSED_ENDINGS['.h5']}"
    return "not a model that Keras saved as .keras"


def _features_file(path: Path, allow_code: bool) -> BackboneInfo:
    return BackboneInfo(
        name=safe_name(path),
        family="outside",
        summary="a file of features",
        source="features",
        builder="read_vectors",
        # Images are decoded at this size to find unreadable ones.
        input_size=(32, 32),
        min_size=1,
        preprocess="none",
        features=0,
        parameters=0,
        weights=(NO_WEIGHTS,),
        reads="vectors",
        origin=Origin("features", str(path), _digest(path)),
    )


def _function(text: str) -> BackboneInfo:
    match = FUNCTION.fullmatch(text)
    if match is None:
        raise BenchError(f"--backbone {text!r}: write package.module:function")
    source = find_module(match[1], [*_places()])
    if source is None:
        raise BenchError(f"--backbone {text!r}: no module {match[1]} in this folder or among those installed")
    return _net(text, f"the model that {text} builds", "module", Origin("module", text, _digest(source)))


def _preset(text: str) -> BackboneInfo:
    preset = read_preset(text)
    folder = user_path(text.removeprefix(HUB))
    place = f"{HUB}{folder.absolute()}" if folder.is_dir() else text
    return _net(
        preset_name(text),
        "a preset of keras-hub",
        "preset",
        Origin("preset", place, preset.digest, not preset.any_size),
        preset.size,
        preset.scale is not None,
        multiple=preset.multiple,
        square=preset.interpolates,
        needs=NEEDS,
    )


def _places() -> Iterator[str]:
    """Yield the search path of modules: this folder, then Python's."""
    yield str(Path.cwd())
    yield from sys.path


def find_module(name: str, places: Sequence[str]) -> Path | None:
    """Return the source of a module without importing it or its package, or None."""
    for place in places:
        base = Path(place, *name.split("."))
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if path.is_file():
                return path
    return None


READERS: dict[str, Callable[[Path, bool], BackboneInfo]] = {
    ".keras": _keras_file,
    ".onnx": _onnx_file,
    ".npz": _features_file,
    ".parquet": _features_file,
}
"""Reader of backbone files by ending."""
