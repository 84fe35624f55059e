"""Cells, methods and their identity as canonical JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.core.plugins import Plugin

IDENTITY_VERSION = 3
"""Bumped when the predictions of the same identity change."""

FORMAT_VERSION = 2
"""Version of the files in a cell's folder; 1 had no digests."""

Value = str | int | float | bool | None
"""The value of a method's argument or of a protocol key."""


def canonical_json(value: Any) -> str:
    """Serialise to canonical JSON: sorted keys, no blanks, ASCII, no NaN; equal values give equal texts.

    Raises ValueError for NaN or an infinity, and TypeError for a value that is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def finite(value: Any) -> Any:
    """Replace every NaN and infinity in JSON-like data by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


@dataclass(frozen=True)
class Step:
    """One step of a method, with all its arguments, defaults included, sorted by name."""

    name: str
    args: tuple[tuple[str, Value], ...] = ()

    def __getitem__(self, key: str) -> Value:
        return dict(self.args)[key]


@dataclass(frozen=True)
class MethodSpec:
    """A composition of steps in canonical order; the method `none` has no steps.

    text: the short form for users, without default arguments. It is unique for the steps, so two spellings
    of one method are equal.
    """

    steps: tuple[Step, ...]
    text: str

    def canonical(self) -> list[list[Any]]:
        """Return the steps as JSON-ready lists, for the identity."""
        return [[step.name, dict(step.args)] for step in self.steps]


@dataclass(frozen=True)
class DataId:
    """A cell's data: the source's name and the fingerprint of its rows and images."""

    source: str
    fingerprint: str


@dataclass(frozen=True)
class Cell:
    """One point of the grid, whose predictions are a pure function of its identity.

    stage: a subtask that is scored on its own (fashion: `top20`, `remaining`). protocol: all protocol values,
    sorted by name. weights: `imagenet`, `random` or `sha256:<hex>` of a weights file. plugins: those that it
    uses.
    """

    task: str
    task_version: int
    kind: str
    stage: str
    regime: str
    backbone: str
    weights: str
    method: MethodSpec
    seed: int
    protocol: tuple[tuple[str, Value], ...]
    data: DataId
    plugins: tuple[Plugin, ...] = ()

    def identity(self) -> dict[str, Any]:
        """Return everything that can change a prediction, ready for canonical JSON."""
        return {
            "identity_version": IDENTITY_VERSION,
            "task": self.task,
            "task_version": self.task_version,
            "kind": self.kind,
            "stage": self.stage,
            "regime": self.regime,
            "backbone": self.backbone,
            "weights": self.weights,
            "method": self.method.canonical(),
            "seed": self.seed,
            "protocol": dict(self.protocol),
            "data": {"source": self.data.source, "fingerprint": self.data.fingerprint},
            # Omitted if empty, to keep older identities.
            **({"plugins": {one.name: one.identity() for one in self.plugins}} if self.plugins else {}),
        }

    @cached_property
    def id(self) -> str:
        """The sha256 of the identity as 64 hex digits."""
        return hashlib.sha256(canonical_json(self.identity()).encode("ascii")).hexdigest()

    @property
    def id8(self) -> str:
        """The first eight digits of the id, for users and folder names."""
        return self.id[:8]

    @cached_property
    def setting(self) -> Mapping[str, Value]:
        """The protocol as a mapping."""
        return dict(self.protocol)
