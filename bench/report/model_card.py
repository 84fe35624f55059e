"""Model card of an exported model: use, data, split, metrics with intervals, warnings, check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.compare.paired_bootstrap import own_intervals
from bench.compare.warnings import warnings
from bench.core.kind import get_kind
from bench.core.safe_text import markdown
from bench.core.table import Column, Table
from bench.data.sources import sample_size
from bench.metrics.registry import METRICS, get_metric
from bench.report.cell_tables import class_table
from bench.report.render import render
from bench.store.settings import cell_title, rehearsal_notes
from bench.store.write import Stored


@dataclass(frozen=True)
class Checked:
    """Comparison with stored scores. largest: maximum difference of a probability on the test images."""

    images: int
    largest: float
    tolerance: float


RESIZES = {
    "squash": "to this size whatever its proportions",
    "crop": "so that its largest centre crop of these proportions fills this size",
    "pad": "to fit into this size; the rest has the mean colour of its border",
}
"""Description of each resize mode."""


def model_card(stored: Stored, contract: Mapping[str, Any], runtime: str, checked: Checked) -> str:
    """Return the card as Markdown. contract: see `bench.inference.export_model.contract_of`."""
    parts = [
        f"# {markdown(cell_title(stored.record))}",
        _use(contract, runtime),
        *_data(stored.record),
        "## Test metrics",
        render(_metrics(stored), "md"),
        render(replace(class_table(stored.result), title="Classes"), "md"),
        "## Warnings",
        _points(_warnings(stored)),
        "## Check",
        f"{checked.images} test images were read again and run by {runtime}: probabilities differ from the "
        f"stored ones by {checked.largest:.1e} at most ({checked.tolerance:g} is allowed).",
        "## Origin",
        _points(list(_origin(stored.record))),
    ]
    return "\n\n".join(parts) + "\n"


def _use(contract: Mapping[str, Any], runtime: str) -> str:
    asked, outputs = contract["input"], contract["outputs"]
    height, width = asked["shape"][1:3]
    crop = "" if asked["crop"] == 1.0 else f", after a centre crop to {asked['crop']:g} of each side"
    lines = [
        f"- **Input** `image`: uint8, (n, {height}, {width}, 3), RGB from 0 to 255, upright, transparency on "
        f"white. An image is resized {RESIZES[asked['resize']]}{crop}, by Pillow's bilinear filter; "
        "`read_image` of `predict.py` does so. The graph scales pixels itself.",
        f"- **Output** `probabilities`: float32, (n, {len(contract['classes'])}), in the order of `classes` "
        "in `model.json`.",
    ]
    if "decisions" in outputs:
        lines.append("- **Output** `decisions`: bool, whether a probability reaches its class's threshold.")
    if "sets" in outputs:
        lines.append("- **Output** `sets`: bool, whether a class is in the image's prediction set.")
    return "\n".join(
        [
            f"`{contract['file']}` runs with {runtime}. `python predict.py photo.jpg` is an example, "
            "which needs NumPy and Pillow too.",
            "",
            *lines,
        ]
    )


def _data(record: Mapping[str, Any]) -> Iterator[str]:
    cell, counts = record["cell"], record.get("counts", {})
    source = cell["data"]["source"]
    size = sample_size(source)
    yield "## Data and split"
    what = f"`{source}`" if size is None else f"the synthetic sample `{size}`: drawings, not photos"
    yield _points(
        [
            f"Task {markdown(str(cell['task']))}, stage {markdown(str(cell['stage']))}, on {what}; "
            f"fingerprint `{cell['data']['fingerprint'][:16]}`.",
            *(f"{name.replace('_', ' ')}: {number}" for name, number in counts.items() if number is not None),
        ]
    )


def _metrics(stored: Stored) -> Table:
    kind = get_kind(stored.record["cell"]["kind"])
    test, trivial = stored.record["metrics"]["test"], stored.record["metrics"]
    asked = (*kind.headline, kind.selection, *(info.name for info in METRICS.values() if info.sets))
    names = [name for name in dict.fromkeys(asked) if test.get(name) is not None]
    found = own_intervals(kind.name, stored.predictions("test"), names)
    split = next((name for name in kind.trivial_notes if name in trivial), None)
    rows = [
        {
            "metric": get_metric(name).title,
            "value": test[name],
            "low": found[name].low,
            "high": found[name].high,
            "trivial": None if split is None else trivial[split].get(name),
        }
        for name in names
    ]
    columns = [
        Column("metric", "metric"),
        Column("value", "value", "ratio"),
        Column("low", "low", "ratio"),
        Column("high", "high", "ratio"),
        Column("trivial", "trivial answer", "ratio"),
    ]
    notes = [
        "low, high: the 95% interval by a bootstrap over test items; one seed, so no variation between seeds."
    ]
    if split is not None:
        notes.append(f"trivial answer: {kind.trivial_notes[split]}")
    return Table("", columns, rows, notes)


def _warnings(stored: Stored) -> list[str]:
    cell = stored.record["cell"]
    lines = [*warnings([stored], reassuring=False), *rehearsal_notes([cell])]
    if sample_size(cell["data"]["source"]) is not None:
        lines.insert(0, "Trained on a synthetic sample: use it to try the export, not on photos.")
    return [markdown(line) for line in lines] or ["None found."]


def _origin(record: Mapping[str, Any]) -> Iterator[str]:
    cell, environment = record["cell"], record.get("environment", {})
    yield f"cell `{record['id']}`"
    named = ("backbone", "weights", "regime", "method_text", "seed")
    for key in named:
        yield f"{key.removesuffix('_text')}: {markdown(str(cell[key]))}"
    if record.get("command"):
        yield f"command: {markdown(str(record['command']))}"
    versions = [f"{name} {version}" for name, version in environment.get("packages", {}).items()]
    if versions:
        yield f"trained with {markdown(', '.join(versions))}"


def _points(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
