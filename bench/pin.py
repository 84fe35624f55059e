"""Pins stored cells as a baseline: a small file that holds what each cell answered, item by item."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bench.baselines import check_name
from bench.errors import BenchError, NothingMeasured, StoreError
from bench.spec import Predictions, canonical_json, finite

if TYPE_CHECKING:
    import numpy as np


FORMAT_VERSION = 3
"""Of baseline files; a file with a higher one is refused."""


class StoredCell(Protocol):
    """A stored cell as comparing and pinning need it (`bench.store.Stored` is one)."""

    @property
    def result(self) -> Mapping[str, Any]:
        """The record: id, cell, status, reason, metrics, per_class, environment, command."""
        ...

    def predictions(self, split: str = "test") -> Predictions:
        """Read the predictions of `val` or `test`."""
        ...


def item_size(k: int) -> int:
    """Return the bytes that one of k classes takes when packed."""
    return 1 if k <= 256 else 2 if k <= 65536 else 4


def pack(indices: np.ndarray, k: int) -> str:
    """Return class indices, (n,), as text: little-endian, deflated, base64."""
    return _deflate(indices.astype(f"<u{item_size(k)}").tobytes())


def unpack(text: str, n: int, k: int) -> np.ndarray:
    """Return what `pack` was given, (n,) int32. Raises BenchError if it is not n of k classes."""
    import numpy as np

    try:
        out = np.frombuffer(inflate(text, n * item_size(k)), f"<u{item_size(k)}").astype(np.int32)
    except ValueError as error:
        raise BenchError(f"a pinned baseline is damaged: {error}; pin it again") from None
    if n and int(out.max()) >= k:
        raise BenchError(f"a pinned baseline is damaged: class {out.max()} of {k}; pin it again")
    return out


def pack_bits(bits: np.ndarray) -> str:
    """Return (n,) bool as text."""
    import numpy as np

    return _deflate(np.packbits(bits).tobytes())


def unpack_bits(text: str, n: int) -> np.ndarray:
    """Return what `pack_bits` was given, (n,) bool."""
    import numpy as np

    return np.unpackbits(np.frombuffer(inflate(text, (n + 7) // 8), np.uint8), count=n).astype(bool)


def pack_cells(truth: np.ndarray) -> str:
    """Return what is true of (n, k) cells, 1, 0 or -1, as text: one more than that, in a byte each."""
    import numpy as np

    return _deflate((truth + 1).astype(np.uint8).tobytes())


def unpack_cells(text: str, n: int, k: int) -> np.ndarray:
    """Return what `pack_cells` was given, (n, k) int32. Raises BenchError for anything else."""
    import numpy as np

    try:
        out = np.frombuffer(inflate(text, n * k), np.uint8).astype(np.int32).reshape(n, k) - 1
    except ValueError as error:
        raise BenchError(f"a pinned baseline is damaged: {error}; pin it again") from None
    if out.size and int(out.max()) > 1:
        raise BenchError(f"a pinned baseline is damaged: {out.max()} is no answer; pin it again")
    return out


def pack_scores(scores: np.ndarray) -> str:
    """Return (n, k) float32 as text, unrounded: little-endian, all first bytes, then all second ones, ...

    Bytes of one place resemble each other more than the four of one number do.
    """
    import numpy as np

    return _deflate(scores.astype("<f4").reshape(-1, 1).view(np.uint8).T.tobytes())


def unpack_scores(text: str, n: int, k: int) -> np.ndarray:
    """Return what `pack_scores` was given, (n, k) float32. Raises BenchError for anything else."""
    import numpy as np

    try:
        raw = np.frombuffer(inflate(text, 4 * n * k), np.uint8).reshape(4, n * k)
    except ValueError as error:
        raise BenchError(f"a pinned baseline is damaged: {error}; pin it again") from None
    out = np.ascontiguousarray(raw.T).view("<f4").reshape(n, k).astype(np.float32)
    if np.isnan(out).any():
        raise BenchError("a pinned baseline is damaged: a score is not a number; pin it again")
    return out


def _deflate(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def inflate(text: str, size: int) -> bytes:
    """Return the packed bytes. Raises ValueError unless there are exactly `size` of them."""
    try:
        # One byte more than expected at most: a small text must not become gigabytes.
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"not base64 of deflated bytes ({error})") from None
    if len(data) != size:
        raise ValueError(f"holds {'more' if len(data) > size else 'fewer'} than {size} bytes")
    return data


def by_item(pred: Predictions) -> np.ndarray:
    """Return the order that sorts the predictions' items by id, (n,) int64."""
    import numpy as np

    return np.array(sorted(range(len(pred.items)), key=pred.items.__getitem__), np.int64)


def items_hash(pred: Predictions) -> str:
    """Return `sha256:<hex>` over the classes, each item's id and what is true of it, whatever their order."""
    pairs = sorted(zip(pred.items, pred.truth.tolist(), strict=True))
    text = canonical_json([list(pred.classes), [list(pair) for pair in pairs]])
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()


def pin(cells: Sequence[StoredCell], name: str, summary: str = "") -> dict[str, Any]:
    """Return the document of a pinned baseline that holds every measured cell given.

    Raises BenchError if they are not one grid: several tasks, task versions or data, one setting with several
    protocols, or a stage scored on different images; NothingMeasured if none was measured.
    """
    measured = [cell for cell in cells if cell.result["status"] == "ok"]
    if not measured:
        raise NothingMeasured(f"nothing to pin as {name!r}: no measured cell is stored")
    if (different := len({_shared(cell.result["cell"]) for cell in measured})) > 1:
        raise _not_one_grid(
            name, f"the stored cells are of {different} different tasks, versions or data sets"
        )
    first = measured[0].result["cell"]
    stages: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, Any]] = {}
    for cell in measured:
        identity, pred = cell.result["cell"], cell.predictions("test")
        seed, setting = str(identity["seed"]), _setting(identity)
        if identity["stage"] not in stages:
            stages[identity["stage"]] = _stage(pred, identity["kind"])
        if stages[identity["stage"]]["items"] != items_hash(pred):
            raise _not_one_grid(name, f"cells of stage {identity['stage']} scored different images")
        fresh = {**setting, "protocol": identity["protocol"], "seeds": {}}
        result = results.setdefault(canonical_json(setting), fresh)
        if seed in result["seeds"] or result["protocol"] != identity["protocol"]:
            who = f"{setting['backbone']}, {setting['method']}, stage {setting['stage']}"
            raise _not_one_grid(name, f"stored cells of {who} differ in protocol")
        result["seeds"][seed] = _run(cell.result, pred)
    document = {
        # The lowest that will do: it can be read by versions that know fewer kinds.
        "format_version": {"multiclass": 1, "multilabel": 2}.get(first["kind"], FORMAT_VERSION),
        "type": "pinned",
        "name": check_name(name),
        "task": check_name(first["task"], "task"),
        "summary": summary or f"{len(measured)} cells of messybench on {first['data']['source']}",
        "flags": [],
        "provenance": {
            "commands": _distinct(cell.result.get("command", "") for cell in measured),
            "environments": _distinct(cell.result.get("environment", {}) for cell in measured),
        },
        "task_version": first["task_version"],
        "data": first["data"],
        "stages": stages,
        "results": list(results.values()),
    }
    return dict(finite(document))


def write_baseline(document: Mapping[str, Any], folder: Path, force: bool = False) -> Path:
    """Write a document as <folder>/<task>/<name>.json, whole or not at all, and return the path.

    Raises BenchError if a baseline of this name is there and `force` is not given, or a published one is;
    StoreError if the folder cannot be written.
    """
    from bench.baseline_files import read_baseline

    path = folder / check_name(document["task"], "task") / f"{check_name(document['name'])}.json"
    if path.exists():
        if not force:
            raise BenchError(f"{path} is there already; --force replaces it")
        if read_baseline(path).type == "published":
            raise BenchError(f"{path} is a published baseline and is not replaced; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, suffix=".tmp", delete=False
        ) as file:
            try:
                json.dump(document, file, ensure_ascii=False, allow_nan=False, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); choose another folder with --baselines DIR"
        ) from None
    return path


def _not_one_grid(name: str, why: str) -> BenchError:
    return BenchError(
        f"cannot pin {name!r}: {why}; narrow them with --source, --backbone, --method or --results DIR"
    )


def _shared(identity: Mapping[str, Any]) -> str:
    return canonical_json([identity[key] for key in ("task", "task_version", "data")])


def _setting(identity: Mapping[str, Any]) -> dict[str, str]:
    fields = {key: identity[key] for key in ("stage", "regime", "backbone", "weights")}
    return {**fields, "method": identity["method_text"]}


def _stage(pred: Predictions, kind: str) -> dict[str, Any]:
    stage = {
        "classes": list(pred.classes),
        "train_support": [int(n) for n in pred.train_support],
        "items": items_hash(pred),
        "n": len(pred.items),
    }
    truth = pred.truth[by_item(pred)]
    if kind == "multiclass":
        return {**stage, "truth": pack(truth, len(pred.classes))}
    known = {} if pred.known is None else {"known": [int(n) for n in pred.known]}
    pairs = _pairs(pred) if pred.pairs is not None else {}
    return {**stage, "kind": kind, **known, "truth": pack_cells(truth), **pairs}


def _pairs(pred: Predictions) -> dict[str, Any]:
    """Return who is on pairs of photos, by number and not by name, and which fold tests them."""
    import numpy as np

    from bench.metrics.verification import facts
    from bench.people import People

    own = pred.take(by_item(pred))
    who, folds = People.of(own.groups or (), facts(own).partners), facts(own).folds
    _, folds = np.unique(folds, return_inverse=True)
    sides = {"first": pack(who.first, who.count), "second": pack(who.second, who.count)}
    count = int(folds.max()) + 1
    return {"people": {"count": who.count, **sides}, "folds": {"count": count, "of": pack(folds, count)}}


def _run(result: Mapping[str, Any], pred: Predictions) -> dict[str, Any]:
    from bench.metrics.registry import METRICS

    order = by_item(pred)
    metrics = {name: value for name, value in result["metrics"]["test"].items() if name in METRICS}
    run = {"cell": result["id"], "metrics": metrics}
    if pred.pairs is not None:
        own = pred.take(order)
        assert own.pairs is not None
        packed = {"pair_cuts": own.pairs.cuts[:, None], "scores": own.scores}
        return {**run, **{name: pack_scores(numbers) for name, numbers in packed.items()}}
    if pred.truth.ndim > 1:
        cuts = {} if pred.cuts is None else {"cuts": [float(cut) for cut in pred.cuts]}
        return {**run, **cuts, "scores": pack_scores(pred.scores[order])}
    from bench.metrics.multiclass import hits

    top5 = hits(pred)[1]
    run["answers"] = pack(pred.scores.argmax(axis=1)[order], len(pred.classes))
    return run if top5 is None else {**run, "top5": pack_bits(top5[order])}


def _distinct(values: Any) -> list[Any]:
    return list({canonical_json(value): value for value in values}.values())
