"""Names of backbones: registered, external, and joined by +."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.backbones.external import (
    READERS,
    external_backbone,
    external_reads,
    is_external,
    is_function,
    split_names,
)
from bench.backbones.info import JOIN, OWN_WEIGHTS, BackboneInfo
from bench.backbones.presets import is_preset
from bench.backbones.registry import get_backbone, weights_id
from bench.core.errors import BenchError

Parts = tuple[BackboneInfo, ...]
"""The parts of a joined backbone in order; a single backbone is its only part."""


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

    Raises BenchError for a part that is unknown (naming the nearest), empty or repeated.
    """
    parts: list[BackboneInfo] = []
    for text in split_names(name, JOIN):
        if not text:
            raise BenchError(f"backbone {name!r}: a part is empty; write for example mobilenet_025+hog")
        if not is_external(text) and ("/" in text or Path(text).is_file()):
            raise BenchError(f"--backbone {text!r}: files of models and features end in {', '.join(READERS)}")
        part = external_backbone(text, allow_code) if is_external(text) else get_backbone(text)
        if part.name in [other.name for other in parts]:
            raise BenchError(f"backbone {name!r}: {part.name} appears twice")
        parts.append(part)
    return tuple(parts)


def joined_name(parts: Sequence[BackboneInfo]) -> str:
    """Return the name of a backbone in cells."""
    return JOIN.join(info.name for info in parts)


def cli_name(parts: Sequence[BackboneInfo]) -> str:
    """Return the name of a backbone on the command line, with absolute paths of files."""
    return JOIN.join(info.name if info.origin is None else _place(info.origin.place) for info in parts)


def _place(text: str) -> str:
    return str(Path(text).absolute()) if Path(text).is_file() else text


def stored_parts(
    name: str, identity: str, files: Sequence[str], where: str = "--weights FILE", allow_code: bool = False
) -> Parts:
    """Return the parts of a stored cell's backbone; files are matched by content, not by name.

    identity: the cell's weights. files: the user's texts that name external backbones. where: the option of
    these texts. allow_code: whether functions, and code in files, may run; a stored cell is not trusted.
    Raises BenchError for a part that is missing or has changed.
    """
    parts: list[BackboneInfo] = []
    for part, weights in zip(name.split(JOIN), identity.split(JOIN), strict=True):
        if not is_external(part):
            parts.append(get_backbone(part))
            continue
        if is_function(part) and not allow_code:
            raise BenchError(
                f"the cell's backbone is a function, {part}: --allow-code runs it, if you trust it"
            )
        named = [part] if ":" in part else []
        named += [name for text in files for one in split_names(text, ",") for name in split_names(one, JOIN)]
        found, others = _with_weights([text for text in named if is_external(text)], weights, allow_code)
        if found is None and is_function(part):
            raise BenchError(f"the source of {part} is not the one that the cell was run with")
        if found is None:
            what = "preset" if is_preset(part) else "file"
            raise BenchError(f"the cell was run with the {what} {part}: name it with {where}{others}")
        parts.append(replace(found, name=part))
    return tuple(parts)


def _with_weights(texts: Sequence[str], weights: str, allow_code: bool) -> tuple[BackboneInfo | None, str]:
    """Return the named backbone with these weights, or why the last one does not match."""
    why = ""
    for text in texts:
        try:
            info = external_backbone(text, allow_code)
        except BenchError as error:
            why = f"; {error}"
            continue
        if weights_id(info, OWN_WEIGHTS) == weights:
            return info, ""
        why = f"; {text!r} has another content"
    return None, why


def reads(name: str) -> set[str]:
    """Return the inputs of the parts of a stored cell's backbone: `pixels`, `titles`, `vectors`."""
    parts = name.split(JOIN)
    return {external_reads(part) if is_external(part) else get_backbone(part).reads for part in parts}
