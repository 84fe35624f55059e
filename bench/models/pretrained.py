"""Weights files: where they lie, how they are fetched, and one clear line when they cannot be had."""

from __future__ import annotations

import hashlib
import os
import queue
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.errors import WeightsError, nearest
from bench.models.backbone_info import BackboneInfo

KAGGLE_FILE = "model.weights.h5"
CONNECT_SECONDS = 20.0
"""How long a server may take to answer before the weights count as out of reach."""
READ_SECONDS = 30.0
_BLOCK = 1 << 20


def keras_models() -> Path:
    """Return the folder in which Keras looks for weights: KERAS_HOME/models or ~/.keras/models."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def kaggle_models() -> Path:
    """Return the folder in which keras-cv looks for weights (KAGGLEHUB_CACHE moves it)."""
    return Path(os.environ.get("KAGGLEHUB_CACHE") or "~/.cache/kagglehub").expanduser() / "models"


def imagenet_file(info: BackboneInfo, size: tuple[int, int]) -> Path | None:
    """Return the ImageNet file for images of this (height, width), there or not; None if there is none."""
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
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        guess = nearest(str(path), ("imagenet", "random"))
        raise WeightsError(
            f"weights file {str(path)!r}: {error.strerror}{guess} (imagenet, random or the path of a file)"
        ) from None


def load_file(net: Any, path: Path, name: str) -> None:
    """Load a weights file (.weights.h5, .h5, .keras) into a net.

    Raises WeightsError when the file is not whole, not a weights file, or of another net.
    """
    try:
        net.load_weights(str(path))
    except Exception as error:
        raise WeightsError(f"weights file {str(path)!r} does not fit {name}: {_one_line(error)}") from None


@contextmanager
def keras_files(name: str) -> Iterator[None]:
    """Answer for a while, in our way, when Keras asks for a file that it would download.

    Asking Keras is the one sure way to know which file a net takes. A file that is there is used (also
    from a folder that cannot be written, which Keras itself would pass over); another is fetched, whole or
    not at all, without ever waiting for a network that is not there.
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
            path = Path(_within(4 * CONNECT_SECONDS, lambda: _from_kaggle(info.weights_file)))
        except Exception as error:
            raise _missing(info.name, path, origin, error) from None
    try:
        net.load_weights(str(path))
    except Exception as error:
        raise _damaged(info.name, path, _one_line(error), origin) from None


def _from_kaggle(handle: str) -> str:
    import kagglehub  # type: ignore[import-untyped]

    return str(kagglehub.model_download(handle, KAGGLE_FILE))


def _ensure(path: Path, origin: str, digest: str | None, name: str) -> None:
    """Make sure that the file is there and is the one that was published."""
    if not path.is_file():
        try:
            _download(path, origin, digest)
        except Exception as error:
            raise _missing(name, path, origin, error) from None
    elif digest and file_hash(path, _algorithm(digest)) != digest:
        raise _damaged(name, path, "its checksum is not the published one", origin)


def _download(path: Path, origin: str, digest: str | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    answer = _within(CONNECT_SECONDS, lambda: urllib.request.urlopen(origin, timeout=READ_SECONDS))
    check = hashlib.new(_algorithm(digest)) if digest else None
    with answer, tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        part = Path(file.name)
        try:
            while block := answer.read(_BLOCK):
                file.write(block)
                if check:
                    check.update(block)
            if check and check.hexdigest() != digest:
                raise OSError("what came is not the published file")
            file.close()
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _algorithm(digest: str) -> str:
    return "sha256" if len(digest) == 64 else "md5"


def _within(seconds: float, call: Callable[[], Any]) -> Any:
    """Return what the call returns, or raise TimeoutError after so long (a look-up of a name may hang)."""
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:.0f} s") from None
    if error is not None:
        raise error
    return answer


def _missing(name: str, path: Path, origin: str, error: Exception) -> WeightsError:
    why = _one_line(getattr(error, "reason", None) or error)
    return WeightsError(
        f"no ImageNet weights for {name}: put {path.name} into {path.parent} "
        f"({origin} cannot be fetched: {why}), or choose --weights random or a file"
    )


def _damaged(name: str, path: Path, why: str, origin: str) -> WeightsError:
    return WeightsError(
        f"ImageNet weights of {name}: {path} cannot be used ({why}); delete it and fetch {origin} again"
    )


def _one_line(error: object) -> str:
    """Return the first line of an error's text that says something, short enough to read."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if len(text) <= 160 else f"{text[:160]}..."
