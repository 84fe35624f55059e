"""Weights files: location, download, and a one-line error for missing ones."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench.backbones.info import BackboneInfo
from bench.core.download import CONNECT_SECONDS, algorithm_of, download, timed
from bench.core.errors import WeightsError, nearest
from bench.core.paths import kagglehub_cache, keras_models
from bench.core.regular_files import Refused, open_file

KAGGLE_FILE = "model.weights.h5"
WEIGHTS_ENDINGS = (".h5", ".hdf5", ".keras")
_KERAS_MEMBER = "model.weights.h5"
_CLAIM_FLOOR, _CLAIM_RATIO = 64 * 2**20, 16
"""Bytes that any file may unpack to, and how often its own size more: trained weights hardly shrink."""


def kaggle_models() -> Path:
    """Return the folder in which keras-cv looks for weights (KAGGLEHUB_CACHE moves it)."""
    return kagglehub_cache() / "models"


def imagenet_file(info: BackboneInfo, size: tuple[int, int]) -> Path | None:
    """Return the ImageNet file for images of this (height, width), present or not, or None."""
    if "imagenet" not in info.weights:
        return None
    if info.source == "keras_cv":
        return kaggle_models() / info.weights_file / KAGGLE_FILE
    rows = ""
    if info.weights_rows:
        fits = size[0] == size[1] and size[0] in info.weights_rows
        rows = str(size[0] if fits else info.weights_rows[-1])
    return keras_models() / info.weights_file.replace("{rows}", rows)


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Return the hex digest of a weights file. Raises WeightsError when it cannot be read."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except (Refused, OSError) as error:
        guess = nearest(str(path), ("imagenet", "random"))
        raise WeightsError(
            f"weights file {str(path)!r}: {error}{guess} (imagenet, random or the path of a file)"
        ) from None


def load_file(net: Any, path: Path, name: str) -> None:
    """Load a weights file (.weights.h5, .h5, .keras) into a net.

    Only the numbers are read: a `.keras` file's layers, Lambda layers included, are not built and no code
    in it runs. Raises WeightsError when the file is incomplete, not a weights file, of another net, or claims
    far more than it holds.
    """
    try:
        check_claims(path)
        net.load_weights(str(path))
    except Exception as error:
        raise WeightsError(f"weights file {str(path)!r} does not fit {name}: {_one_line(error)}") from None


def check_claims(path: Path) -> None:
    """Raise ValueError for a weights file whose numbers, unpacked, would be far larger than the file.

    Refused too: a name with another ending (Keras would take it for an index of more files, or for a folder),
    what cannot be opened as the format of its ending, and numbers that lie in other files: asking whether
    they are there opens such a file, and a pipe never answers. Raises Refused for what is no regular file.
    """
    import h5py

    if not path.name.lower().endswith(WEIGHTS_ENDINGS):
        raise ValueError(f"its name must end in {', '.join(WEIGHTS_ENDINGS)}")
    with open_file(path) as regular:
        limit = _CLAIM_FLOOR + _CLAIM_RATIO * os.fstat(regular.fileno()).st_size
    with ExitStack() as opened:
        file: Any = path
        if path.name.endswith(".keras"):
            archive = opened.enter_context(zipfile.ZipFile(path))
            if (claimed := archive.getinfo(_KERAS_MEMBER).file_size) > limit:
                raise ValueError(f"it claims {claimed / 2**20:,.0f} MiB of weights")
            file = opened.enter_context(archive.open(_KERAS_MEMBER))
        claimed = 0

        def add(name: str, link: Any) -> None:
            nonlocal claimed
            if not isinstance(link, h5py.HardLink):
                raise ValueError(f"{name[:80]} is a link")
            item = store[name]
            if isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ValueError(f"the numbers of {name[:80]} are in another file")
                claimed += math.prod(item.shape or ()) * item.dtype.itemsize

        store = opened.enter_context(h5py.File(file, "r"))
        store.visititems_links(add)
    if claimed > limit:
        raise ValueError(f"it claims {claimed / 2**20:,.0f} MiB of weights")


def check_count(path: Path, info: BackboneInfo) -> None:
    """Raise WeightsError for a file that is another net's by the count of its numbers. Imports no Keras.

    Refused are files with fewer numbers than the net, and whole models with more than the net and a linear
    layer on it. What passes may still not fit: only the net itself can say so.
    """
    import h5py

    count = 0

    def add(name: str, item: Any) -> None:
        nonlocal count
        if isinstance(item, h5py.Dataset) and not name.startswith(("optimizer", "_optimizer")):
            count += math.prod(item.shape or ())

    whole = path.name.lower().endswith(".keras")
    try:
        check_claims(path)
        with ExitStack() as opened:
            file: Any = path
            if whole:
                archive = opened.enter_context(zipfile.ZipFile(path))
                file = opened.enter_context(archive.open(_KERAS_MEMBER))
            opened.enter_context(h5py.File(file, "r")).visititems(add)
    except Exception as error:
        raise WeightsError(f"weights file {str(path)!r} cannot be read: {_one_line(error)}") from None
    more, width = count - info.parameters, info.features
    if more >= 0 and (not whole or more % (width + 1) == 0 or more % width == 0):
        return
    own = f"; as a backbone of its own: --backbone {path}" if whole else ""
    raise WeightsError(
        f"weights file {str(path)!r} is not of {info.name}: {count:,} numbers, not {info.parameters:,}{own}"
    )


@contextmanager
def keras_files(name: str) -> Iterator[None]:
    """Handle Keras's requests for files to download, timed this block.

    Asking Keras is the one sure way to know which file a net takes. A file that is there is used (also
    from a folder that cannot be written, which Keras itself would pass over); another is fetched, whole or
    not at all, without waiting for an absent network.
    Raises WeightsError naming the file, and the same when Keras cannot load it.
    """
    import keras

    module = sys.modules[keras.utils.get_file.__module__]
    original = module.get_file
    given: list[tuple[Path, str]] = []

    def get_file(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> str:
        path = keras_models() / fname
        _ensure(path, origin, file_hash, name)
        given.append((path, origin))
        return str(path)

    module.get_file = get_file  # type: ignore[attr-defined]
    try:
        yield
    except WeightsError:
        raise
    except Exception as error:
        if not given:
            raise
        path, origin = given[-1]
        raise _damaged(name, path, _one_line(error), origin) from None
    finally:
        module.get_file = original  # type: ignore[attr-defined]


def load_kaggle(net: Any, info: BackboneInfo) -> None:
    """Load the ImageNet weights of a keras-cv net. Raises WeightsError naming the file that is wanted."""
    path = kaggle_models() / info.weights_file / KAGGLE_FILE
    origin = f"https://www.kaggle.com/models/{info.weights_file}"
    if not path.is_file():
        try:
            path = Path(timed(4 * CONNECT_SECONDS, lambda: _from_kaggle(info.weights_file)))
        except Exception as error:
            raise _missing(info.name, path, origin, error) from None
    try:
        net.load_weights(str(path))
    except Exception as error:
        raise _damaged(info.name, path, _one_line(error), origin) from None


def fetch_preset(name: str, handle: str) -> Path:
    """Download all files of a preset; return their folder. Raises WeightsError naming both."""
    import kagglehub

    folder = kaggle_models() / handle
    try:
        # A first small file: an absent network is not waited for.
        timed(4 * CONNECT_SECONDS, lambda: kagglehub.model_download(handle, "config.json"))
        return Path(kagglehub.model_download(handle))
    except Exception as error:
        raise WeightsError(
            f"{name}: https://www.kaggle.com/models/{handle} cannot be fetched ({_one_line(error)}); put its "
            f"files into {folder}, or name their folder, hub:FOLDER"
        ) from None


def _from_kaggle(handle: str) -> str:
    import kagglehub

    return str(kagglehub.model_download(handle, KAGGLE_FILE))


def _ensure(path: Path, origin: str, digest: str | None, name: str) -> None:
    """Ensure that the file is present and is the published one."""
    if not path.is_file():
        try:
            download(origin, path, digest)
        except Exception as error:
            raise _missing(name, path, origin, error) from None
    elif digest and file_hash(path, algorithm_of(digest)) != digest:
        raise _damaged(name, path, "its checksum is not the published one", origin)


def _missing(name: str, path: Path, origin: str, error: Exception) -> WeightsError:
    why = _one_line(error)
    return WeightsError(
        f"no ImageNet weights for {name}: put {path.name} into {path.parent} "
        f"({origin} cannot be fetched: {why}), or choose --weights random or a file"
    )


def _damaged(name: str, path: Path, why: str, origin: str) -> WeightsError:
    return WeightsError(
        f"ImageNet weights of {name}: {path} cannot be used ({why}); delete it and fetch {origin} again"
    )


def _one_line(error: object) -> str:
    """Return the first informative line of an error's text, with what its colon announces; shortened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    if text.endswith(":") and len(lines) > 1:
        text = f"{text} {lines[1].rstrip('.')}"
    return text if len(text) <= 160 else f"{text[:160]}..."
