"""Export of stored cells as MLflow runs: parameters, metrics, losses by epoch, and the cell's files."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, StoreError
from bench.core.paths import user_path
from bench.store.read import HISTORY, PER_CLASS, RESULT
from bench.store.write import Stored

CELL_TAG = "messybench.cell"
RECORD_TAG = "messybench.record"
"""Hash of the exported files; set last, so that a run without it is incomplete."""

NO_MLFLOW = "--mlflow needs a package that is not installed: pip install 'messybench[mlflow]'"

_BATCH = 500
"""Metrics sent at a time; MLflow takes 1,000."""


def store_uri(text: str) -> str:
    """Return the URI of a tracking store; a path without a scheme is an SQLite file.

    >>> store_uri("http://host:5000"), store_uri("sqlite:////data/runs.db")
    ('http://host:5000', 'sqlite:////data/runs.db')
    """
    if re.match(r"[a-z][a-z0-9+]*:", text):
        return text
    if not text.strip():
        raise BenchError("--mlflow is empty: give a file such as runs.db, or the URI of a tracking store")
    if odd := next((char for char in "?%" if char in text), None):
        raise BenchError(
            f"--mlflow {text!r}: {odd!r} has a special meaning in a URI; choose another file name"
        )
    path = user_path(text).absolute()
    if path.is_dir():
        raise BenchError(f"--mlflow {text!r} is a folder: name a file in it, for MLflow's database")
    return f"sqlite:///{path}"


def log_cells(cells: Sequence[Stored], uri: str) -> tuple[int, int]:
    """Log each cell as one finished run of the experiment `messybench <task>`.

    Returns the numbers of new and of unchanged runs. A cell that was trained again replaces its run. Raises
    BenchError if MLflow is not installed, StoreError if the store cannot be used.
    """
    # Must be set before the import: no telemetry.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise BenchError(NO_MLFLOW) from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    uri = store_uri(uri)
    try:
        client = MlflowClient(tracking_uri=uri)
        made = [_log_cell(client, _experiment(client, stored, uri), stored) for stored in cells]
    except (MlflowException, ImportError, OSError) as error:
        why = " ".join(str(error).split())[:200]
        raise StoreError(f"the MLflow store {uri!r} cannot be used: {why}") from None
    except Exception as error:
        # MLflow does not wrap the errors of SQLAlchemy, which depend on the database.
        if not type(error).__module__.startswith(("sqlalchemy", "alembic", "requests", "urllib3")):
            raise
        why = " ".join(str(error).split())[:200]
        raise StoreError(f"the MLflow store {uri!r} cannot be used: {why}") from None
    return sum(made), len(made) - sum(made)


def _experiment(client: Any, stored: Stored, uri: str) -> str:
    name = f"messybench {stored.record['cell']['task']}"
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    file = uri.removeprefix("sqlite:///")
    # Beside the SQLite file; MLflow's default is the current folder.
    place = Path(f"{file}.artifacts").absolute().as_uri() if uri.startswith("sqlite:///") else None
    return str(client.create_experiment(name, artifact_location=place))


def _log_cell(client: Any, experiment: str, stored: Stored) -> bool:
    """Log a cell unless a run of the same files exists; return whether it was logged."""
    digest = _digest(stored.folder)
    known = client.search_runs([experiment], f"tags.`{CELL_TAG}` = '{stored.id}'")
    if any(run.data.tags.get(RECORD_TAG) == digest for run in known):
        return False
    for run in known:
        client.delete_run(run.info.run_id)
    cell = stored.record["cell"]
    name = f"{cell['stage']} {cell['backbone']} {cell['method_text']} s{cell['seed']}"[:200]
    run_id = client.create_run(experiment, tags={CELL_TAG: stored.id}, run_name=name).info.run_id
    _log_numbers(client, run_id, stored)
    for file in (RESULT, PER_CLASS, HISTORY):
        if (stored.folder / file).is_file():
            client.log_artifact(run_id, str(stored.folder / file))
    client.set_tag(run_id, RECORD_TAG, digest)
    client.set_terminated(run_id, "FINISHED" if stored.ok else "FAILED")
    return True


def _log_numbers(client: Any, run_id: str, stored: Stored) -> None:
    from mlflow.entities import Metric, Param

    record = stored.record
    cell = record["cell"]
    names = ("task", "task_version", "kind", "stage", "regime", "backbone", "weights", "seed")
    params: dict[str, Any] = {name: cell[name] for name in names}
    params |= {"method": cell["method_text"], "status": record["status"], "reason": record.get("reason")}
    params |= {f"data.{key}": value for key, value in cell["data"].items()}
    params |= {f"protocol.{key}": value for key, value in cell["protocol"].items()}
    entries = [Param(_key(key), str(value)[:6000]) for key, value in params.items() if value is not None]
    for start in range(0, len(entries), 100):
        client.log_batch(run_id, params=entries[start : start + 100])
    found = [
        (f"{split}/{key}", value, 0)
        for split, part in record["metrics"].items()
        for key, value in part.items()
    ]
    found += [(f"seconds/{key}", value, 0) for key, value in record.get("timings", {}).items()]
    found += [
        (f"epoch/{key}", value, row["epoch"])
        for row in stored.history
        for key, value in row.items()
        if key != "epoch"
    ]
    metrics = [
        Metric(_key(key), float(value), 0, int(step)) for key, value, step in found if value is not None
    ]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])


def _key(text: str) -> str:
    """Return a name that MLflow accepts.

    >>> _key("val/top1 (best)")
    'val/top1 _best_'
    """
    return re.sub(r"[^\w\-. /]", "_", text, flags=re.ASCII)[:250]


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name in (RESULT, PER_CLASS, HISTORY):
        if (folder / name).is_file():
            digest.update(name.encode() + b"\0" + (folder / name).read_bytes() + b"\0")
    return digest.hexdigest()
