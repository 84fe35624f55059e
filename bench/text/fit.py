"""Whether a task, a protocol and a method can do with backbones that read titles. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.cards import TaskCard
from bench.data.examples import Examples
from bench.errors import BenchError, DataError, nearest
from bench.methods.grammar import stage_of
from bench.models.backbone_info import BackboneInfo
from bench.spec import MethodSpec, Value


def check_titles(
    card: TaskCard, parts: Sequence[BackboneInfo], setting: Mapping[str, Value], examples: Examples
) -> None:
    """Raise BenchError where titles are read and the task has none, DataError where the data has none."""
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


def unfit(method: MethodSpec, parts: Sequence[BackboneInfo]) -> str | None:
    """Return why the method cannot be used on these parts, or None."""
    reads = {info.reads for info in parts}
    name = "+".join(info.name for info in parts)
    for step in method.steps:
        if step.name == "naive_bayes" and [info.name for info in parts] != ["tfidf"]:
            return f"naive_bayes counts the words of titles, not what {name} gives: --backbone tfidf"
        if step.name == "fallback" and reads != {"pixels", "titles"}:
            return (
                f"fallback is for images with titles, not for {name}: --backbone mobilenetv2_035+tfidf, say"
            )
        if reads == {"titles"} and stage_of(step) == "augment":
            return f"{step.name} changes images, at which {name} does not look"
        if parts[0].name == "gru" and stage_of(step) == "mix":
            return f"{step.name} mixes numbers; gru reads words"
    return None
