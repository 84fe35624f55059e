"""One stage of images: splits, training, and answers with their predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from bench.backbones.inputs import pixel_inputs
from bench.backbones.title_inputs import title_head_inputs, word_inputs
from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.core.stage_values import stage_values
from bench.data.splits import StageSplit
from bench.data.task_card import Stage
from bench.data.titles.stage_titles import StageTitles, stage_titles
from bench.data.validation import draw_calibration, withheld
from bench.methods.shape import calibration_shares, shape_of
from bench.runs.commit import Answer, remove_checkpoints
from bench.runs.context import Context
from bench.runs.orders import Resolver, Trainer, resolve_order
from bench.runs.signal_check import signal_check
from bench.runs.stage_work import Net, Nets, StageWork, Validated
from bench.runs.train_stage import train_cells, validate_cells
from bench.runs.trainers import HeadTrainer, NetTrainer
from bench.store.head_file import SavedHead
from bench.training.auxiliary import Targets, read_targets

MIN_VALIDATION, SPLITS = 200, 5
"""Validation rows that suffice for one split to choose among trials, and number of splits below that."""

_VALIDATIONS = 3
"""Stream of the seeds of these splits."""


class ImageStage:
    """A stage of multi-class images, whose cells are trained together.

    Other kinds override `resolver`, `checks` and `parts`. nets: of staged cells, of this stage and those
    before it; extended here. calibration: by step, the shares that all cells set aside; cells with other
    shares are trained as separate stages, so that shared statistics never include a calibration part. Raises
    DataError if the stage cannot be split, BenchError if no net that it starts from can be trained.
    """

    resolver: Resolver = staticmethod(resolve_order)
    """Application of a method to training rows."""

    def __init__(self, work: StageWork, nets: Nets, calibration: Sequence[tuple[str, float]] = ()) -> None:
        self.work, self.nets, self.calibration = work, nets, calibration
        self.found: dict[str, Any] = {}
        cell = work.cells[0]
        self.staged = work.job.regime == "finetune" and bool(cell.setting["staged"])
        # Split first: a stage that cannot be split fails before its predecessor is trained.
        self.splits = {seed: self._split(seed) for seed in {cell.seed for cell in work.cells}}
        self._resplit: dict[int, list[StageSplit]] = {}
        self.titles = self._titles()
        self.trainer = self._trainer()
        self.starts, self.lost = self._starts()
        for cell in work.cells:
            if cell.id in self.lost:
                self.nets[work.stage.name, cell.method.text, cell.seed] = self.lost[cell.id]

    def checked(self) -> Self:
        """Run the checks that are stored with each cell, and return the stage."""
        self.found = self.checks()
        return self

    def groups(self) -> Sequence[Sequence[Cell]]:
        """Return all cells as one group."""
        return [self.work.cells]

    def answers(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Answer | str]]:
        """Train cells of a group and yield each with its answer, or the reason of its failure."""
        context = self.work.context
        yield from ((cell, self.lost[cell.id]) for cell in cells if cell.id in self.lost)
        trainable = [cell for cell in cells if cell.id not in self.lost]
        for stage, members in self._stages(trainable):
            for cell, scored in stage.scored(members, context.keep or self.staged):
                answer = replace(
                    scored,
                    parts=stage.parts(cell, scored) if scored.reason is None else {},
                    counts=stage._counts(cell),
                    choices={"best_epoch": scored.trained.best_epoch, **scored.choices},
                    checks=self.found,
                    model=scored.model if context.keep else None,
                )
                yield cell, answer

    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        """Train cells together and yield each with its mean score over the splits of `_validations`."""
        for stage, members in self._stages(cells):
            yield from stage._validate(members)

    def _stages(self, cells: Sequence[Cell]) -> Iterator[tuple[Self, Sequence[Cell]]]:
        """Yield stages and their cells, grouped by calibration shares; those without come first."""
        alike: dict[tuple[Any, ...], list[Cell]] = {}
        for cell in cells:
            shares = calibration_shares(cell.method)
            # The remaining training rows depend on the seed.
            alike.setdefault((shares, cell.seed) if shares else (), []).append(cell)
        for key, members in sorted(alike.items(), key=lambda item: len(item[0])):
            if not key or self.calibration:
                yield self, members
            else:
                yield type(self)(replace(self.work, cells=members), self.nets, key[0]), members

    def _validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        work = [(cell, split) for cell in cells for split in self._validations(cell.seed)]
        found: dict[str, list[Validated]] = {}
        answers = validate_cells(self.trainer, work, self._targets(cells))
        for (cell, split), answer in zip(work, answers, strict=True):
            found.setdefault(cell.id, []).append(self._validated(cell, split, answer))
        for cell in cells:
            results = found[cell.id]
            scores = [one.score for one in results if one.score is not None]
            mean = math.fsum(scores) / len(results) if len(scores) == len(results) else None
            reason = next((one.reason for one in results if one.score is None), None)
            yield cell, Validated(mean, reason, len(results))

    def forget(self, cell: Cell) -> None:
        """Remove the checkpoint of a cell that will not be stored."""
        remove_checkpoints(self.work.context, cell)

    def _validated(self, cell: Cell, split: StageSplit, answer: Answer) -> Validated:
        if answer.val is None:
            return Validated(None, answer.reason)
        if not len(split.val):
            return Validated(None, "there are no validation rows")
        kind = get_kind(cell.kind)
        answers = replace(self.predictions(cell, split.val, answer.val, split), cuts=answer.val_cuts)
        score = kind.metrics.summary(answers).get(kind.selection)
        return Validated(score, None if score is not None else f"{kind.selection} is undefined on validation")

    def _validations(self, seed: int) -> list[StageSplit]:
        """Return the splits that score the trials of a seed, the seed's split first.

        Heads with fewer than MIN_VALIDATION validation rows use repeated random splits of the training rows
        (Monte Carlo cross-validation, Picard and Cook 1984); nets, which cost too much, do not.
        """
        first, cell = self.splits[seed], self.work.cells[0]
        heads = isinstance(self.trainer, HeadTrainer)
        if not heads or len(first.val) >= MIN_VALIDATION or cell.setting["rehearse"]:
            return [first]
        if seed not in self._resplit:
            seeds = np.random.SeedSequence([_VALIDATIONS, seed]).generate_state(SPLITS - 1)
            more = [withheld(self._whole_split(int(one)), first.calibration) for one in seeds]
            pool = np.union1d(first.train, first.val)
            # A validation split that the data defines is the same for every seed.
            self._resplit[seed] = [first] + [
                one
                for one in more
                if not np.array_equal(one.val, first.val)
                and np.array_equal(np.union1d(one.train, one.val), pool)
            ]
        return self._resplit[seed]

    def scored(self, cells: Sequence[Cell], keep: bool) -> Iterator[tuple[Cell, Answer]]:
        """Train the cells; yield each with its scores. keep: whether to keep its model."""
        size, stage = self.work.pixels.size if keep else None, self.work.stage.name
        targets = self._targets(cells)
        for cell, answer in train_cells(self.trainer, cells, self.splits, size, self.starts, targets):
            if self.staged:
                self.nets[stage, cell.method.text, cell.seed] = _net(answer)
            yield cell, answer

    def checks(self) -> dict[str, Any]:
        """Return the checks of the stage's data by name.

        titles: numbers of titles that are empty or contain the name of their class. signal: see
        `bench.runs.signal_check`; on frozen features only.
        """
        found: dict[str, Any] = {} if self.titles is None else {"titles": self.titles.to_json()}
        signal = self._signal()
        return found | ({"signal": signal} if signal else {})

    def _signal(self) -> dict[str, Any] | None:
        """Test whether features predict labels better than permuted ones; None if untestable."""
        trainer, context = self.trainer, self.work.context
        if not isinstance(trainer, HeadTrainer):
            return None
        context.progress(0, 1, "testing the labels against permuted ones")
        units = context.parts(self.work.cells[0]).groups or context.examples.images.content_hashes()
        ids = [units[row] for row in trainer.rows.tolist()]
        found = signal_check(trainer.table, self.first.columns(trainer.rows), self.first.classes, ids)
        return None if found is None else found.to_json()

    def parts(self, cell: Cell, answer: Answer) -> dict[str, Predictions]:
        """Return the predictions of a trained cell by name."""
        split = self.splits[cell.seed]
        assert answer.val is not None and answer.test is not None
        scores = {
            "val": (split.val, answer.val, answer.val_cuts),
            "test": (split.test, answer.test, answer.cuts),
            **{
                step: (rows, answer.calibration[step], answer.cuts)
                for step, rows in split.calibration.items()
            },
        }
        return {
            name: replace(self.predictions(cell, rows, part), cuts=cuts)
            for name, (rows, part, cuts) in scores.items()
        }

    def predictions(
        self, cell: Cell, rows: np.ndarray, scores: np.ndarray, split: StageSplit | None = None
    ) -> Predictions:
        """Return scores (m, k) of examples (m,) as predictions. split: None for that of the cell."""
        context, split = self.work.context, split or self.splits[cell.seed]
        groups = context.parts(cell).groups
        return Predictions(
            items=tuple(context.examples.items[row] for row in rows),
            groups=None if groups is None else tuple(groups[row] for row in rows),
            truth=split.truth[rows],
            scores=scores.astype(np.float32),
            classes=split.classes,
            train_support=split.train_counts,
            known=split.train_known,
        )

    def _split(self, seed: int) -> StageSplit:
        split, parts = self._whole_split(seed), self.work.context.parts(self.work.cells[0])
        if not self.calibration:
            return split
        hashes = self.work.context.examples.images.content_hashes()
        return draw_calibration(split, self.calibration, seed, parts.units, hashes)

    def _whole_split(self, seed: int) -> StageSplit:
        context, cell = self.work.context, self.work.cells[0]
        facet = get_kind(context.card.kind).split
        ok, rehearsal = self.work.pixels.ok, context.rehearsal(cell)
        split: StageSplit = facet.split(
            context.parts(cell), cell.setting, ok, self.work.stage, seed, rehearsal, context.near
        )
        return split

    @property
    def first(self) -> StageSplit:
        """The split of the first seed, for what does not depend on the seed."""
        return self.splits[self.work.cells[0].seed]

    def _titles(self) -> StageTitles | None:
        """Return the titles that the cells read, or None."""
        context, cell = self.work.context, self.work.cells[0]
        if all(info.reads != "titles" for info in self.work.job.parts):
            return None
        column = context.card.titles
        return stage_titles(
            column, context.examples.columns[column], self.first, cell.setting, self.work.stage.name
        )

    def _trainer(self) -> Trainer:
        work, context, cell = self.work, self.work.context, self.work.cells[0]
        prices, setting, width = context.examples.columns.get("price"), cell.setting, 0
        inputs, regime = work.inputs, work.job.regime
        how: dict[str, Any] = {"prices": prices, "resolver": self.resolver}
        if self.titles is not None:
            if regime != "frozen":
                words = word_inputs(self.titles, str(setting["precision"]))
                return NetTrainer(words, self.first, setting, context.progress, **how)
            inputs, width = title_head_inputs(inputs, self.titles)
        if inputs is not None:
            groups = context.parts(cell).groups
            return HeadTrainer(inputs, self.first, setting, context.progress, groups, titles=width, **how)
        read = pixel_inputs(work.pixels, work.job.parts[0], work.job.weights, setting)
        folder = context.checkpoints(regime)
        return NetTrainer(read, self.first, setting, context.progress, checkpoints=folder, **how)

    def _starts(self) -> tuple[dict[str, tuple[np.ndarray, ...]], dict[str, str]]:
        """Return by cell id the initial variables of nets, and the reasons of cells without.

        Both are empty unless cells are staged and have an earlier stage. Nets that are not in `nets` are
        trained again and added. Raises BenchError if no net of the earlier stage can be trained.
        """
        work = self.work
        before = _stage_before(work.context, work.stage)
        if before is None or not self.staged:
            return {}, {}
        keys = {cell.id: (before.name, cell.method.text, cell.seed) for cell in work.cells}
        missing = [_at(work.context, cell, before) for cell in work.cells if keys[cell.id] not in self.nets]
        if missing:
            self._train_again(before, missing)
        starts: dict[str, tuple[np.ndarray, ...]] = {}
        lost: dict[str, str] = {}
        for cell, key in keys.items():
            net = self.nets[key]
            if isinstance(net, str):
                lost[cell] = f"stage {before.name}, which {work.stage.name} starts from: {net}"
            else:
                starts[cell] = net
        return starts, lost

    def _train_again(self, stage: Stage, cells: Sequence[Cell]) -> None:
        """Add the nets of a stage's cells to `nets`, without storing the cells.

        A cell is a function of its identity: these nets equal those of the stored cells.
        """
        earlier = type(self)(replace(self.work, stage=stage, cells=cells, inputs=None), self.nets)
        trainable = [cell for cell in cells if cell.id not in earlier.lost]
        for one, members in earlier._stages(trainable):
            for cell, _ in one.scored(members, keep=True):
                remove_checkpoints(self.work.context, cell)

    def _targets(self, cells: Sequence[Cell]) -> Targets | None:
        """Return the auxiliary columns of the stage's training rows, if a method needs them."""
        context = self.work.context
        if all(shape_of(cell.method).shared is None for cell in cells):
            return None
        split, columns = self.first, context.examples.columns
        rows = np.concatenate([split.train, split.val])
        return read_targets({name: columns[name] for name in context.card.auxiliary}, rows)

    def _counts(self, cell: Cell) -> Mapping[str, int | None]:
        """Count the examples used and left out."""
        split, context = self.splits[cell.seed], self.work.context
        fatal = sum(problem.fatal for problem in context.examples.problems)
        return {
            "train": len(split.train),
            "val": len(split.val),
            **({"calibration": sum(map(len, split.calibration.values()))} if split.calibration else {}),
            "test": len(split.test),
            "not_scored": split.unseen,
            "leaked": split.leaked,
            "leaked_near": split.leaked_near,
            "quarantined": fatal + int((~self.work.pixels.ok).sum()),
        }


def _net(answer: Answer) -> Net:
    return answer.model.net if isinstance(answer.model, SavedHead) else answer.reason or "it has no net"


def _at(context: Context, cell: Cell, stage: Stage) -> Cell:
    """Return the cell of the earlier stage that this one starts from."""
    earlier = [one.name for one in context.card.stages[: context.card.stages.index(stage)]][::-1]
    return replace(
        cell,
        stage=stage.name,
        protocol=tuple(sorted(stage_values(cell.setting, stage.name, earlier).items())),
    )


def _stage_before(context: Context, stage: Stage) -> Stage | None:
    place = context.card.stages.index(stage)
    return context.card.stages[place - 1] if place else None
