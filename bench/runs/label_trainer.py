"""Trainer of cells on labels, whatever their inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.cell import Cell, Value
from bench.core.errors import BenchError
from bench.core.progress import Progress
from bench.data.cache.rows import Array
from bench.data.pixels import Pixels
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, resolve
from bench.methods.shape import shape_of, step_with
from bench.runs.fits import fit_of, train_setting
from bench.training.auxiliary import Targets, auxiliary_of
from bench.training.fits import Fit, Trained

Work = tuple[Cell, StageSplit, Resolved, Trained | None]
"""A cell to train, its rows, its method applied to them, and the training that a refit repeats."""


class LabelTrainer:
    """Trainer of cells on labels, see `bench.runs.train_stage.Trainer`.

    setting: protocol values that all cells share. groups: n ids that cross-validation keeps together, or
    None. prices: n numbers as text, "" if unknown, or None. targets: auxiliary ones of all examples, or None.
    starts: by cell id, what a net begins as instead of its weights. resolver: applies a method to training
    rows, see `bench.methods.apply.resolve`.

    truth: labels of all n examples: (n,) int32 classes, or (n, k) float32 attributes, NaN if unknown.
    """

    def __init__(
        self,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        groups: Sequence[str] | None = None,
        prices: Sequence[str] | None = None,
        targets: Targets | None = None,
        resolver: Callable[..., Resolved] = resolve,
    ) -> None:
        self.setting, self.progress = setting, progress
        self.groups, self.prices, self.targets, self.resolver = groups, prices, targets, resolver
        self.starts: Mapping[str, tuple[np.ndarray, ...]] = {}
        self.classes, self.truth = len(split.classes), split.targets

    def scaling(self, cell: Cell) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return mean and scale of standardised features, or of maps by channel; None without."""
        return None, None

    def fit(
        self, work: Sequence[tuple[Cell, StageSplit]], first: Sequence[Trained] = ()
    ) -> Iterator[tuple[Trained, Resolved | None]]:
        """Train each cell, and yield it with its method applied to its training rows."""
        made = [self._made(cell, split) for cell, split in work]
        repeated: Sequence[Trained | None] = first or [None] * len(work)
        sound = [
            (cell, split, one, before)
            for (cell, split), one, before in zip(work, made, repeated, strict=True)
            if isinstance(one, Resolved)
        ]
        trained = self._train(sound)
        for one in made:
            if isinstance(one, str):
                yield Trained(None, 0, failed=one), None
            else:
                answer = next(trained)
                yield answer, None if answer.head is None else one

    def _train(self, work: Sequence[Work]) -> Iterator[Trained]:
        raise NotImplementedError

    def _inputs(self, cell: Cell, split: StageSplit) -> np.ndarray | None:
        """Return (m, d) features of the training rows for a method that needs them, or None."""
        return None

    def _made(self, cell: Cell, split: StageSplit) -> Resolved | str:
        """Apply a cell's method to its training rows; return the result, or the reason of its failure."""
        rows, auxiliary = split.train, step_with(cell.method, ("shared",))
        if auxiliary and (self.targets is None or not self.targets.names):
            return f"{auxiliary}: no auxiliary column has two values in the stage's training rows"
        own = (
            None if column is None else [column[row] for row in rows] for column in (self.groups, self.prices)
        )
        try:
            inputs = self._inputs(cell, split)
            made = self.resolver(cell.method, self.truth[rows], inputs, self.classes, cell.seed, *own)
        except BenchError as error:
            return str(error)
        if not auxiliary or self.targets is None:
            return made
        return replace(made, found={**made.found, auxiliary: self.targets.found(rows)})

    def _fit(self, one: Work, rows: np.ndarray, val_rows: np.ndarray) -> Fit:
        """Return the `Fit` of a cell on these rows of the inputs."""
        cell, split, made, first = one
        shared, auxiliary = shape_of(cell.method).shared, None
        if shared is not None and self.targets is not None:
            auxiliary = auxiliary_of(self.targets, split.train, made.resampled.rows, shared)
        return fit_of(cell, made, rows, val_rows, first, auxiliary, self.starts.get(cell.id))

    def _nets(
        self,
        build: Callable[[int], Any],
        rows: Pixels | Array,
        preprocess: Callable[[Any], Any],
        work: Sequence[Work],
        checkpoints: Sequence[Path | None] = (),
    ) -> Iterator[Trained]:
        """Train a net for each cell. See `bench.training.nets.train.train_nets`."""
        from bench.backbones.determinism import make_deterministic
        from bench.training.nets.train import train_nets

        make_deterministic()
        fits = [self._fit_on_inputs(one) for one in work]
        own = self.truth, self.classes, fits, train_setting(self.setting), self.progress, checkpoints
        for trained, embed in train_nets(build, rows, preprocess, *own):
            yield replace(trained, embed=embed, net=embed.variables)

    def _fit_on_inputs(self, one: Work) -> Fit:
        """Return the `Fit` of a cell on images, titles or feature maps."""
        cell, split, made, _ = one
        spec = self._fit(one, split.train[made.resampled.rows], split.val)
        return replace(spec, recipe=shape_of(cell.method).recipe)
