"""Protocol values of single stages, written `stage.key`, and the named protocols of a card."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from bench.core.cell import Value
from bench.core.errors import BenchError, unknown
from bench.core.protocol import KEYS, check

STAGE_KEYS = (
    *("epochs", "steps", "batch_size", "lr", "optimizer", "momentum", "l2", "patience", "stop_by"),
    *("schedule", "schedule_every", "schedule_factor", "train_from", "norms", "backbone_rate", "unfreeze"),
)
"""Keys that may differ by stage: those of training."""

NAMED = "protocol"
"""The key of `--set protocol=NAME`, for the card's values of that name."""


def check_value(name: str, value: Value, where: str) -> Value:
    """Return a valid value in its key's type, also of one stage. Raises BenchError. where: its place."""
    stage, dot, key = name.rpartition(".")
    if dot and not stage:
        raise BenchError(f"{where}: no stage before the dot; write STAGE.{key}, or {key} for all stages")
    if dot and key not in STAGE_KEYS:
        raise unknown(
            "key of one stage", key, STAGE_KEYS, f"{where}: stages may differ in {', '.join(STAGE_KEYS)}"
        )
    return check(key, value, where)


def parse_set(text: str) -> tuple[str, Value]:
    """Parse one `key=value` of the command line; the key may be of one stage.

    >>> parse_set("epochs=5"), parse_set("remaining.lr=1e-4")
    (('epochs', 5), ('remaining.lr', 0.0001))

    Raises BenchError for a text without `=`, an unknown key (nearest named) or a wrong value.
    """
    name, equals, raw = text.partition("=")
    name, raw = name.strip(), raw.strip()
    where = f"--set {text}"
    if not equals or not name:
        raise BenchError(f"{where}: write --set key=value, for example --set epochs=5")
    if name == NAMED:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", raw):
            raise BenchError(f"{where}: protocol takes a name from the task's card")
        return name, raw
    key = name.rpartition(".")[2]
    if key not in KEYS:
        raise unknown("protocol key", key, KEYS, "bench list settings shows all")
    return name, check_value(name, _literal(raw, KEYS[key].type), where)


def _literal(raw: str, wanted: type) -> Value:
    if wanted is bool:
        return {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}.get(
            raw.lower(), raw
        )
    if wanted in (int, float):
        try:
            return int(raw) if wanted is int else float(raw)
        except ValueError:
            return raw
    return raw


def stage_values(protocol: Mapping[str, Value], stage: str, before: Iterable[str] = ()) -> dict[str, Value]:
    """Return the values of one stage, plus differing values of earlier stages as `stage.key`.

    protocol: values of all stages and of single ones. before: the stages that this one continues, whose
    values affect its predictions.
    """
    values = _plain(protocol, stage)
    for other in before:
        earlier = _plain(protocol, other)
        values |= {f"{other}.{key}": earlier[key] for key in STAGE_KEYS if earlier[key] != values[key]}
    return values


def _plain(protocol: Mapping[str, Value], stage: str) -> dict[str, Value]:
    general = {key: value for key, value in protocol.items() if "." not in key}
    prefix = f"{stage}."
    own = {
        key.removeprefix(prefix): value
        for key, value in protocol.items()
        if "." in key and key.startswith(prefix)
    }
    return {**general, **own}


def check_stages(protocol: Iterable[str], stages: Iterable[str], task: str) -> None:
    """Raise BenchError for a key of an unknown stage."""
    known = tuple(stages)
    for key in protocol:
        stage = key.rpartition(".")[0]
        if stage and stage not in known:
            raise unknown("stage", stage, known, f"in {key}: {task} has {', '.join(known)}")


def named(
    protocols: Mapping[str, Mapping[str, Value]], given: Mapping[str, Value], task: str
) -> tuple[Mapping[str, Value], dict[str, Value]]:
    """Return the values of `--set protocol=NAME`, and the other given ones.

    Raises BenchError for a name that is not in the card.
    """
    name = given.get(NAMED)
    rest = {key: value for key, value in given.items() if key != NAMED}
    if name is None:
        return {}, rest
    if name not in protocols:
        has = f"{task} has {', '.join(protocols)}" if protocols else f"{task} names no protocol"
        raise unknown("protocol", str(name), protocols, has)
    return protocols[str(name)], rest
