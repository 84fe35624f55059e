"""Export of a saved model for serving: graph, contract, script and card, checked on stored scores."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.core import plugins
from bench.core.atomic_folders import new_folder, sync_all
from bench.core.errors import EXIT_REGRESSION, BenchError, DataError, StoreError
from bench.core.kind import get_kind
from bench.data.examples import Examples, ImageError
from bench.data.sources import sample_size
from bench.inference import serving_script
from bench.inference.predict import ImageModel, open_model, quiet
from bench.inference.serving_formats import FORMATS, check_installed, write_graph
from bench.inference.serving_graph import check_exportable, serving_graph
from bench.report.model_card import Checked, model_card
from bench.runs.reproduce import LocalPaths, open_data, request_of
from bench.store.write import Stored

TOLERANCE = 1e-4
"""Maximum difference of a probability from the stored one."""

CHECKED = 32
"""Maximum number of test images for checking an exported model."""

CARD, CONTRACT, SCRIPT = "README.md", "model.json", "predict.py"


class OtherScores(BenchError):
    """An exported model does not reproduce the stored scores."""

    exit_code = EXIT_REGRESSION


def export_model(
    stored: Stored, name: str, folder: Path, place: LocalPaths, cache: Path, options: Mapping[str, Any]
) -> Checked:
    """Write a cell's saved model into a folder, which is made, whole or not at all; return what was checked.

    name: of FORMATS. place, options: of the cell's data and weights, see `bench.runs.reproduce.request_of`.
    Raises BenchError for a model that cannot be exported and for data that is not the cell's, OtherScores if
    a checked score differs by more than TOLERANCE, StoreError for a folder that is not empty.
    """
    check_installed(name)
    check_free(folder)
    kind = get_kind(stored.record["cell"]["kind"])
    if not kind.predictor.thresholded:
        raise BenchError(
            f"cell {stored.id[:8]} cannot be exported: tasks of kind {kind.name} do not answer image by image"
        )
    for one in place.plugins:
        plugins.load(one)
    model = open_model(stored, place.weights, place.allow_code)
    check_exportable(model)
    contract = contract_of(stored, name, model, kind.predictor.thresholded)
    if place.data is not None and sample_size(stored.record["cell"]["data"]["source"]) is not None:
        raise BenchError(f"cell {stored.id[:8]} was run on the synthetic sample: leave out --data")
    _, examples = open_data(stored, request_of(stored, place, options), place.tasks, cache)
    images, scores = stored_answers(stored, examples, contract)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = new_folder(folder.parent, f".{folder.name}-")
        try:
            with quiet():
                graph = serving_graph(model, contract["thresholds"], kind.predictor.thresholded)
            write_graph(name, graph, work)
            checked = check(work, contract, images, scores)
            text = json.dumps(contract, indent=2, ensure_ascii=False)
            (work / CONTRACT).write_text(f"{text}\n", encoding="utf-8")
            shutil.copyfile(serving_script.__file__, work / SCRIPT)
            card = model_card(stored, contract, FORMATS[name].runtime, checked)
            (work / CARD).write_text(card, encoding="utf-8")
            sync_all(work)
            # An empty folder is replaced.
            work.rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"--out {str(folder)!r}: cannot be written ({error.strerror or error})") from None
    return checked


def check_free(folder: Path) -> None:
    """Raise StoreError unless a path is free, or an empty folder."""
    try:
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise StoreError(f"--out {str(folder)!r}: is there and not an empty folder; choose another")
    except OSError as error:
        raise StoreError(f"--out {str(folder)!r}: cannot be read ({error.strerror or error})") from None


def contract_of(stored: Stored, name: str, model: ImageModel, thresholded: str) -> dict[str, Any]:
    """Return what a program that serves the model must know, as `model.json` has it.

    thresholded: see `bench.core.facets.Predictor`.
    """
    head, cell = model.head, stored.record["cell"]
    thresholds = get_kind(cell["kind"]).predictor.thresholds(head)
    keras_cv = name == "keras" and any(info.source == "keras_cv" for info in model.parts)
    return {
        "format": name,
        "file": FORMATS[name].file,
        "task": cell["task"],
        "cell": stored.id,
        "input": {
            "name": "image",
            "dtype": "uint8",
            "shape": [None, *head.size, 3],
            "colours": "RGB",
            "resize": head.resize,
            "crop": head.crop,
        },
        # In the order of the graph's outputs: by name, as Keras sorts them.
        "outputs": sorted(["probabilities", *([] if thresholds is None else [thresholded])]),
        "classes": list(head.classes),
        "thresholds": thresholds,
        "imports": ["keras_cv"] if keras_cv else [],
    }


def stored_answers(
    stored: Stored, examples: Examples, contract: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return up to CHECKED test images, spread over all, and their stored scores.

    (m, h, w, 3) uint8, resized by the exported script, and (m, k) float32. Raises DataError for an image that
    cannot be read any more.
    """
    test = stored.predictions("test")
    rows = np.unique(np.linspace(0, len(test.items) - 1, CHECKED).round().astype(int))
    places = {item: index for index, item in enumerate(examples.items)}
    images = []
    for row in rows.tolist():
        item = test.items[row]
        if item not in places:
            raise DataError(f"cell {stored.id[:8]}: the data has no image {item!r}, which it was tested on")
        try:
            image = examples.images.read(places[item])
        except ImageError as error:
            raise DataError(f"image {item!r}, which the cell was tested on: {error}") from None
        images.append(serving_script.resize(image, contract))
    return np.stack(images), test.scores[rows]


def check(folder: Path, contract: Mapping[str, Any], images: np.ndarray, scores: np.ndarray) -> Checked:
    """Run the written model by its own runtime, as the exported script does, and compare with stored scores.

    Raises OtherScores for a difference beyond TOLERANCE, BenchError if the file cannot be run.
    """
    name = contract["format"]
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outputs = serving_script.load(folder, contract)(images)
    except Exception as error:
        # Runtimes raise exceptions of any type.
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BenchError(
            f"the exported {name} model cannot be run ({why}): choose another --format"
        ) from None
    found = outputs["probabilities"]
    if found.shape != scores.shape:
        raise OtherScores(
            f"the exported {name} model gives scores of shape {found.shape}, not {scores.shape}"
        )
    gaps = np.abs(found.astype(np.float64) - scores)
    largest = float(gaps.max()) if np.isfinite(gaps).all() else float("nan")
    above = next((outputs[one] for one in contract["outputs"] if one != "probabilities"), None)
    other = 0 if above is None else _other_decisions(above, contract["thresholds"], scores)
    if not largest <= TOLERANCE or other:
        what = f"{other} decisions and " if other else ""
        raise OtherScores(
            f"the exported {name} model does not give the stored answers ({what}scores differ by up to "
            f"{largest:.2g}, more than {TOLERANCE:g}): nothing is written"
        )
    return Checked(len(images), largest, TOLERANCE)


def _other_decisions(above: np.ndarray, thresholds: Sequence[float], scores: np.ndarray) -> int:
    """Return the number of different decisions, except within rounding of a threshold."""
    margins = scores - np.asarray(thresholds, np.float32)
    clear = np.abs(margins) > TOLERANCE
    return int(((above.astype(bool) != (margins >= 0)) & clear).sum())
