"""Export of stored cells as TensorBoard logs: losses, validation score and learning rate by epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.core.atomic_files import replacing
from bench.core.errors import BenchError, StoreError
from bench.core.paths import user_path
from bench.store.read import HISTORY, RESULT, FileFault, Stored
from bench.store.write import slug

EVENTS = "events.out.tfevents.0000000000.messybench"
"""The file of a cell's log; TensorBoard looks for `tfevents` in its name."""

NO_TENSORBOARD = "--tensorboard needs a package that is not installed: pip install 'messybench[tensorboard]'"


def logs_dir(text: str) -> Path:
    """Return the folder of logs, which need not exist.

    Raises BenchError for an empty path or a file, or if TensorBoard is not installed.
    """
    spec = find_spec("tensorboard")
    # A folder named tensorboard in the current one is found, too, but has no origin.
    if spec is None or spec.origin is None:
        raise BenchError(NO_TENSORBOARD)
    path = user_path(text)
    if not text.strip() or (path.exists() and not path.is_dir()):
        raise BenchError(f"--tensorboard {text!r}: give a folder; it is made if it does not exist")
    return path


def write_logs(cells: Sequence[Stored], folder: Path) -> int:
    """Write a log for each cell that has a history; return their number.

    A cell's log is in <folder>/<task>/<stage>/<backbone>/<method>/s<seed>-<id8> and replaces an older one.
    Tags are the columns of history.csv (`epoch/val_loss`), steps are epochs, and times are the result's.
    Raises StoreError if the folder cannot be written, FileFault for a history that cannot be read.
    """
    from tensorboard.summary.writer.record_writer import RecordWriter

    written = 0
    for stored in cells:
        if not stored.history:
            continue
        task, *rest = stored.folder.parts[-4:]
        home = folder.joinpath(task, slug(stored.record["cell"]["stage"]), *rest)
        try:
            home.mkdir(parents=True, exist_ok=True)
            with replacing(home / EVENTS) as fresh, fresh.open("wb") as file:
                log = RecordWriter(file)
                for event in _events(stored):
                    log.write(event.SerializeToString(deterministic=True))
        except OSError as error:
            why = error.strerror or error
            raise StoreError(f"--tensorboard {str(home)!r}: cannot be written ({why})") from None
        written += 1
    return written


def _events(stored: Stored) -> Iterator[Any]:
    """Yield the events of one cell: the version, then one per epoch."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    time = (stored.folder / RESULT).stat().st_mtime
    yield Event(wall_time=time, file_version="brain.Event:2")
    for row in stored.history:
        epoch = row["epoch"]
        if type(epoch) is not int or epoch < 0:
            raise FileFault(
                f"{stored.folder / HISTORY}: {epoch} is not an epoch; run the cell again with --rerun"
            )
        values = [
            Summary.Value(tag=f"epoch/{name}", simple_value=value)
            for name, value in row.items()
            if name != "epoch" and value is not None
        ]
        yield Event(wall_time=time, step=epoch, summary=Summary(value=values))
