"""Names of backbones resolved: registered ones, those from outside, and several joined by +."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.backbones.info import JOIN, OWN_WEIGHTS, BackboneInfo
from bench.backbones.outside import (
    FORMS,
    is_function,
    is_outside,
    outside_backbone,
    outside_reads,
    split_names,
)
from bench.backbones.presets import is_preset
from bench.backbones.registry import get_backbone, weights_id
from bench.core.errors import BenchError

Parts = tuple[BackboneInfo, ...]
"""The parts of a joined backbone in their order; a backbone alone is its only part."""


def resolve_backbones(texts: Sequence[str], allow_code: bool = False) -> list[Parts]:
    """Return the backbones of `--backbone` options, each once.

    Each text is a list separated by commas. Raises BenchError for an empty or unknown name, and for a file or
    function that cannot be a backbone.
    """
    names = [name for text in texts for name in split_names(text, ",")]
    if "" in names:
        raise BenchError("--backbone: a name is empty")
    every = [parts_of(name, allow_code) for name in dict.fromkeys(names)]
    return list({tuple((info.name, info.origin) for info in parts): parts for parts in every}.values())


def parts_of(name: str, allow_code: bool = False) -> Parts:
    """Return the parts of one backbone, "a+b".

    Raises BenchError for a part that is not known (the nearest is named), is empty or is there twice.
    """
    parts: list[BackboneInfo] = []
    for text in split_names(name, JOIN):
        if not text:
            raise BenchError(f"backbone {name!r}: a part is empty; write for example mobilenet_025+hog")
        if not is_outside(text) and ("/" in text or Path(text).is_file()):
            raise BenchError(f"--backbone {text!r}: files of models and features end in {', '.join(FORMS)}")
        part = outside_backbone(text, allow_code) if is_outside(text) else get_backbone(text)
        if part.name in [other.name for other in parts]:
            raise BenchError(f"backbone {name!r}: {part.name} is there twice")
        parts.append(part)
    return tuple(parts)


def joined_name(parts: Sequence[BackboneInfo]) -> str:
    """Return the name of a backbone as cells have it."""
    return JOIN.join(info.name for info in parts)


def as_typed(parts: Sequence[BackboneInfo]) -> str:
    """Return a backbone as a user names it: by the absolute paths of its files, not by their names alone."""
    return JOIN.join(info.name if info.origin is None else _place(info.origin.place) for info in parts)


def _place(text: str) -> str:
    return str(Path(text).absolute()) if Path(text).is_file() else text


def stored_parts(
    name: str, identity: str, files: Sequence[str], where: str = "--weights FILE", allow_code: bool = False
) -> Parts:
    """Return the parts of a stored cell's backbone, whose files are found by content, whatever their names.

    identity: the cell's weights. files: texts of the user in which backbones from outside are named. where:
    the option that names them. allow_code: whether functions, and code in files, may run; a stored cell may
    be a stranger's. Raises BenchError where one is missing or has changed.
    """
    parts: list[BackboneInfo] = []
    for own, weights in zip(name.split(JOIN), identity.split(JOIN), strict=True):
        if not is_outside(own):
            parts.append(get_backbone(own))
            continue
        if is_function(own) and not allow_code:
            raise BenchError(
                f"the cell's backbone is a function, {own}: --allow-code runs it, if you trust it"
            )
        named = [own] if ":" in own else []
        named += [part for text in files for one in split_names(text, ",") for part in split_names(one, JOIN)]
        found, others = _with_weights([text for text in named if is_outside(text)], weights, allow_code)
        if found is None and is_function(own):
            raise BenchError(f"the source of {own} is not the one that the cell was run with")
        if found is None:
            what = "preset" if is_preset(own) else "file"
            raise BenchError(f"the cell was run with the {what} {own}: name it with {where}{others}")
        parts.append(replace(found, name=own))
    return tuple(parts)


def _with_weights(texts: Sequence[str], weights: str, allow_code: bool) -> tuple[BackboneInfo | None, str]:
    """Return the backbone of these weights among those named, and what is wrong with the last other one."""
    why = ""
    for text in texts:
        try:
            info = outside_backbone(text, allow_code)
        except BenchError as error:
            why = f"; {error}"
            continue
        if weights_id(info, OWN_WEIGHTS) == weights:
            return info, ""
        why = f"; {text!r} has another content"
    return None, why


def reads(name: str) -> set[str]:
    """Return what the parts of a stored cell's backbone read: `pixels`, `titles`, `vectors`."""
    return {outside_reads(own) if is_outside(own) else get_backbone(own).reads for own in name.split(JOIN)}
