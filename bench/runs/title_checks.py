"""Checks of tasks, protocols and methods with backbones that read titles. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.backbones.info import BackboneInfo
from bench.core.cell import MethodSpec, Value
from bench.core.errors import BenchError, DataError, nearest
from bench.data.examples import Examples
from bench.data.task_card import TaskCard
from bench.methods.grammar import stage_of
from bench.methods.registry import STEPS


def check_titles(
    card: TaskCard, parts: Sequence[BackboneInfo], setting: Mapping[str, Value], examples: Examples
) -> None:
    """Raise BenchError if the task has no titles to read, DataError if the data has none."""
    name = next((info.name for info in parts if info.reads == "titles"), None)
    if name is None:
        if setting["mask_class_words"]:
            alone = "+".join(info.name for info in parts)
            raise BenchError(f"--set mask_class_words=true is for titles, which {alone} does not read")
        return
    if not card.titles:
        raise BenchError(f"{name} reads titles, and {card.name} has none: its card names no column 'titles'")
    if card.titles not in examples.columns:
        guess = nearest(card.titles, examples.columns)
        raise DataError(f"the data has no column {card.titles!r}, where {name} reads titles{guess}")


def method_problem(method: MethodSpec, parts: Sequence[BackboneInfo]) -> str | None:
    """Return why the method cannot be used on these backbones, or None."""
    reads = {info.reads for info in parts}
    name = "+".join(info.name for info in parts)
    for step in method.steps:
        declared = STEPS[step.name]
        if declared.backbones and name not in declared.backbones:
            wanted = " or ".join(declared.backbones)
            return f"{step.name} works on the features of {wanted} alone, not of {name}: --backbone {wanted}"
        if declared.reads and reads != set(declared.reads):
            wanted = " and ".join(declared.reads)
            return (
                f"{step.name} needs a backbone that reads {wanted}, not {name}: "
                "--backbone mobilenetv2_035+tfidf, say"
            )
        if "vectors" in reads and stage_of(step) == "augment":
            given = next(info.name for info in parts if info.reads == "vectors")
            return f"{step.name} changes images, and {given} has features of the unchanged ones"
        if reads == {"titles"} and stage_of(step) == "augment":
            return f"{step.name} changes images, which {name} does not read"
        if parts[0].name == "gru" and stage_of(step) == "mix":
            return f"{step.name} mixes numbers; gru reads words"
    return None
