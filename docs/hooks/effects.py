"""Effects of methods in stored results, as the table that the page of methods shows.

Usage: python docs/hooks/effects.py RESULTS NETS

Writes effects.csv beside this file: for every method, what it adds on test to `none` (pairs of photos: to
`cosine`, or to `siamese`), by `bench leaderboard --effects`. The page says which commands fill the folder of
heads, RESULTS, and that of nets trained from scratch, NETS, which counts for steps that need a net.
"""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("effects.csv")

COMPANIONS = {"cosine", "euclidean", "pair_logistic", "siamese"}
"""Steps beside which another one is measured."""

METRICS = {
    "fashion": {"top1_micro": "top-1", "top1_macro": "top-1 macro", "log_loss": "log loss"},
    "marketplace": {"top1_micro": "top-1", "f1_macro": "F1 macro", "log_loss": "log loss"},
    "multilabel": {"auc_macro": "AUC macro", "f1_macro": "F1 macro", "log_loss": "log loss"},
    "faces": {"accuracy": "accuracy", "auc": "AUC"},
}
"""Metrics by task, with their titles."""


class Effect(NamedTuple):
    """One difference on test, with its 95% interval: empty texts where it has none. net: "" for heads."""

    method: str
    net: str
    task: str
    stage: str
    metric: str
    effect: str
    low: str
    high: str

    def shown(self) -> str:
        """Return metric, difference and interval as text."""
        value = f"{self.metric} {_signed(self.effect)}"
        return f"{value} [{_signed(self.low)}, {_signed(self.high)}]" if self.low else value


def read() -> dict[str, dict[str, list[Effect]]]:
    """Return the effects by step, then by task and stage."""
    found: dict[str, dict[str, list[Effect]]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            one = Effect(**row)
            place = one.task if one.stage == "all" else f"{one.task} {one.stage}"
            place += f", {one.net}" if one.net else ""
            found.setdefault(step_of(one.method), {}).setdefault(place, []).append(one)
    return found


def step_of(method: str) -> str:
    """Return the step that a method measures."""
    steps = method.split("+")
    return next((step for step in steps if step not in COMPANIONS), steps[0])


def _measured(results: Path, net: str = "") -> Iterator[Effect]:
    there = {task: metrics for task, metrics in METRICS.items() if (results / task).is_dir()}
    for task, metrics in there.items():
        for metric, title in metrics.items():
            command = ["bench", "leaderboard", "--task", task, "--results", str(results), "--effects"]
            command = [sys.executable, "-m", *command, "--metric", metric, "--format", "csv"]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            for row in csv.DictReader(io.StringIO(done.stdout)):
                if row["what"] == title:
                    numbers = (
                        f"{float(row[key]):.4f}" if row[key] else "" for key in ("effect", "low", "high")
                    )
                    yield Effect(row["method"], net, task, row["stage"], title, *numbers)


def _signed(number: str) -> str:
    text = f"{float(number):+.3f}"
    return text.replace("0.", ".", 1) if text[1] == "0" else text


def main(results: Path, nets: Path) -> None:
    """Write the table."""
    heads = list(_measured(results))
    known = {step_of(one.method) for one in heads}
    others = [one for one in _measured(nets, "LeNet from scratch") if step_of(one.method) not in known]
    rows = sorted([*heads, *others], key=lambda one: one.method)
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Effect._fields)
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
