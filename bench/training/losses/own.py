"""A user's loss: any function of (y_true, y_pred), or a keras.losses.Loss, of one class per row.

y_pred are logits (n, k), and y_true is (n, k) float32, one 1 in each row, or (n,) int32 classes. It
returns the loss of each row, (n,). `from_logits` is set where it is a parameter, unless the user gives it.
It must be written in operations that can be differentiated: of `keras.ops` or TensorFlow.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError

RESERVED = ("function", "labels", "source")
"""Arguments of the step that are not the loss's."""

Value = str | int | float | bool


def family_of(args: Mapping[str, Value]) -> str:
    """Return the name by which `bench.training.losses.families` knows a user's loss with its arguments."""
    own = {name: value for name, value in args.items() if name not in RESERVED}
    return f"{args['function']}?{json.dumps([args['labels'], own], sort_keys=True)}"


def own_loss(family: str) -> Callable[[Any, Any], Any]:
    """Return f(logits (n, k), labels (n,)) -> (n,) of a `family_of`."""
    path, _, rest = family.partition("?")
    labels_as, args = json.loads(rest)
    call = _callable(path, args)

    def loss(logits: Any, labels: Any) -> Any:
        from keras import ops

        truth = labels if labels_as == "index" else ops.one_hot(labels, logits.shape[-1])
        losses = ops.convert_to_tensor(call(truth, logits))
        if len(losses.shape) != 1:
            raise BenchError(
                f"the loss {path} gives a tensor of shape {tuple(losses.shape)}: one loss a row is wanted"
            )
        return ops.cast(losses, "float32")

    return loss


def source_of(path: str) -> str:
    """Return the first 16 digits of the SHA-256 of the file that defines a user's loss.

    Of an instance of a class it is the file of the module that is named, which makes it.
    """
    found = inspect.unwrap(_object(path))
    try:
        named = inspect.isroutine(found) or inspect.isclass(found)
        file = inspect.getsourcefile(found if named else sys.modules[path.partition(":")[0]])
        content = Path(file or "").read_bytes()
    except (TypeError, OSError):
        raise BenchError(f"the loss {path} has no source file: its results have no identity") from None
    return hashlib.sha256(content).hexdigest()[:16]


def check_own_loss(args: Mapping[str, Value], classes: int) -> None:
    """Raise BenchError, one line, unless a user's loss has the method's source and works on a few rows."""
    import numpy as np

    path = str(args["function"])
    if args["source"] not in ("", source_of(path)):
        raise BenchError(f"the loss {path} has changed since this method was written: leave out source=")
    logits = np.random.default_rng(0).normal(size=(4, classes)).astype(np.float32)
    labels = (np.arange(4) % classes).astype(np.int32)
    loss = own_loss(family_of(args))
    try:
        losses = np.asarray(loss(logits, labels))
    except BenchError:
        raise
    except Exception as error:
        raise BenchError(f"the loss {path} fails on a minibatch: {_line(error)}") from None
    if losses.shape != (4,):
        raise BenchError(f"the loss {path} gives {losses.shape} for 4 rows: one loss for each row is wanted")
    if not np.isfinite(losses).all():
        raise BenchError(f"the loss {path} gives {losses.tolist()} for logits near zero: not all are finite")


def _callable(path: str, args: Mapping[str, Value]) -> Callable[[Any, Any], Any]:
    """Return f(y_true, y_pred) with the arguments given."""
    import keras

    found = _object(path)
    if isinstance(found, keras.losses.Loss):
        if args:
            raise BenchError(f"the loss {path} is made already: it takes no arguments")
        if getattr(found, "from_logits", None) is False:
            raise BenchError(
                f"the loss {path} takes probabilities, but gets logits: make it with from_logits=True"
            )
        return found.call  # type: ignore[no-any-return]
    of_class = isinstance(found, type)
    if of_class and not issubclass(found, keras.losses.Loss):
        raise BenchError(f"the loss {path} is a class, but no keras.losses.Loss")
    try:
        takes_logits = "from_logits" in inspect.signature(found).parameters
    except (TypeError, ValueError):
        takes_logits = False
    own = {"from_logits": True, **args} if takes_logits else dict(args)
    try:
        if of_class:
            return found(**own).call  # type: ignore[no-any-return]
        inspect.signature(found).bind(None, None, **own)
    except (TypeError, ValueError) as error:
        raise BenchError(f"the loss {path} does not take these arguments: {_line(error)}") from None
    return lambda truth, logits: found(truth, logits, **own)


def _object(path: str) -> Any:
    """Import "package.module:name", also from the working directory, as `python -m` does."""
    module, _, name = path.partition(":")
    if not module or not name.isidentifier():
        raise BenchError(f"the loss {path!r} is not written package.module:name")
    here = os.getcwd()
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        found = getattr(import_module(module), name, None)
    except Exception as error:
        raise BenchError(f"cannot import {module} for the loss {path}: {_line(error)}") from None
    finally:
        if added:
            sys.path.remove(here)
    if not callable(found):
        raise BenchError(f"module {module} has no loss {name!r}: a function or a keras.losses.Loss is wanted")
    return found


def _line(error: BaseException) -> str:
    """Return an error's message in one line of at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
