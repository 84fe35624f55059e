"""One stage of images: splits, training, and answers with their predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np

from bench.backbones.inputs import Inputs, pixel_inputs
from bench.backbones.title_inputs import title_head_inputs, word_inputs
from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.data.pixels import Pixels
from bench.data.splits import StageSplit
from bench.data.titles.stage_titles import StageTitles, stage_titles
from bench.data.validation import draw_calibration, withheld
from bench.methods.apply import Resolved, resolve
from bench.methods.shape import calibration_shares, shape_of
from bench.runs.choices import Choice, choose, final_scores, model_of
from bench.runs.commit import Answer, remove_checkpoints
from bench.runs.context import Context
from bench.runs.plan import Job
from bench.runs.signal_check import signal_check
from bench.runs.stage_run import Nets, StageRun, Validated, failure, validation_score
from bench.runs.staged_nets import key_of, net_of, starts_of
from bench.runs.train_stage import choose_cells, train_cells
from bench.runs.trainers import HeadTrainer, NetTrainer
from bench.store.head_file import SavedHead
from bench.training.auxiliary import Targets, read_targets
from bench.training.fits import Trained

MIN_VALIDATION, SPLITS = 200, 5
"""Validation rows that suffice for one split to choose among trials, and number of splits below that."""

_VALIDATIONS = 3
"""Stream of the seeds of these splits."""


class ImageStage(StageRun):
    """A stage of multi-class images, whose cells are trained together.

    Other kinds override `resolver`, `checks` and `parts`. nets: of staged cells, of this stage and those
    before it; extended here. calibration: by step, the shares that all cells set aside; cells with other
    shares are trained as separate stages, so that shared statistics never include a calibration part. Raises
    DataError if the stage cannot be split, BenchError if no net that it starts from can be trained.
    """

    resolver: Callable[..., Resolved] = staticmethod(resolve)
    """Application of a method to training rows."""

    def __init__(
        self,
        context: Context,
        pixels: Pixels,
        inputs: Inputs | None,
        nets: Nets,
        job: Job,
        calibration: Sequence[tuple[str, float]] = (),
    ) -> None:
        super().__init__(context, pixels, inputs, job)
        self.nets, self.calibration = nets, calibration
        self.found: dict[str, Any] = {}
        self.staged = job.regime == "finetune" and bool(self.cell.setting["staged"])
        # Split first: a stage that cannot be split fails before its predecessor is trained.
        self.splits = {seed: self._split(seed) for seed in {cell.seed for cell in job.cells}}
        self._resplit: dict[int, list[StageSplit]] = {}
        self.titles = self._titles()
        self.trainer = self._trainer()
        self.lost: dict[str, str] = {}
        if self.staged:
            self.trainer.starts, self.lost = starts_of(context.card, job.cells, nets, self._train_again)
        self.nets.update({key_of(cell): self.lost[cell.id] for cell in job.cells if cell.id in self.lost})

    def checked(self) -> Self:
        """Run the checks that are stored with each cell, and return the stage."""
        self.found = self.checks()
        return self

    def answers(self, cells: Sequence[Cell]) -> Iterator[Answer]:
        """Train cells of a group and yield the answer of each."""
        for cell in cells:
            if cell.id in self.lost:
                yield failure(CellResult(cell, "failed"), self.lost[cell.id])
        for stage, members in self._stages([cell for cell in cells if cell.id not in self.lost]):
            for result, parts, model in stage.train(members):
                yield replace(result, checks=self.found), parts, model if self.context.keep else None

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
                job = replace(self.job, cells=tuple(members))
                yield type(self)(self.context, self.pixels, self.inputs, self.nets, job, key[0]), members

    def _validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        work = [(cell, split) for cell in cells for split in self._validations(cell.seed)]
        found: dict[str, list[Validated]] = {}
        chosen = choose_cells(self.trainer, work, partial(choose, self.trainer))
        for (cell, split), (_, _, choice) in zip(work, chosen, strict=True):
            if isinstance(choice, str):
                score = Validated(None, choice)
            elif not len(split.val):
                score = Validated(None, "there are no validation rows")
            else:
                val = self.predictions(cell, split, split.val, choice.val, choice.head.cuts)
                score = validation_score(cell, val)
            found.setdefault(cell.id, []).append(score)
        for cell in cells:
            results = found[cell.id]
            scores = [one.score for one in results if one.score is not None]
            mean = math.fsum(scores) / len(results) if len(scores) == len(results) else None
            reason = next((one.reason for one in results if one.score is None), None)
            yield cell, Validated(mean, reason, len(results))

    def _validations(self, seed: int) -> list[StageSplit]:
        """Return the splits that score the trials of a seed, the seed's split first.

        Heads with fewer than MIN_VALIDATION validation rows use repeated random splits of the training rows
        (Monte Carlo cross-validation, Picard and Cook 1984); nets, which cost too much, do not.
        """
        first = self.splits[seed]
        heads = isinstance(self.trainer, HeadTrainer)
        if not heads or len(first.val) >= MIN_VALIDATION or self.cell.setting["rehearse"]:
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

    def train(self, cells: Sequence[Cell]) -> Iterator[Answer]:
        """Train the cells and yield the answer of each, with its model if models or nets are needed."""
        work = [(cell, self.splits[cell.seed]) for cell in cells]
        for cell, trained, tested in train_cells(
            self.trainer, work, partial(choose, self.trainer), self._test
        ):
            parts, choices, model = (tested, {}, None) if isinstance(tested, str) else tested
            answer = self.answer(cell, trained, self._counts(cell), choices, parts, model)
            if self.staged:
                self.nets[key_of(cell)] = net_of(answer)
            yield answer

    def _test(
        self, cell: Cell, split: StageSplit, trained: Trained, made: Resolved, choice: Choice, refit: bool
    ) -> tuple[dict[str, Predictions], dict[str, Any], SavedHead | None]:
        """Return all predictions of a trained cell, its choices, and its model if that is needed."""
        scored = final_scores(self.trainer, cell, split, trained, made, choice, refit)
        head, test, calibration, found = scored
        own, needed = self.splits[cell.seed], self.context.keep or self.staged
        parts = {
            "val": self.predictions(cell, own, own.val, choice.val, choice.head.cuts),
            "test": self.predictions(cell, own, own.test, test, head.cuts),
            **{
                step: self.predictions(cell, own, own.calibration[step], scores, head.cuts)
                for step, scores in calibration.items()
            },
        }
        scaling = self.trainer.scaling(cell)
        model = model_of(cell, split, trained, made, head, self.pixels.size, scaling) if needed else None
        return self.parts(cell, parts, choice.fills), found, model

    def parts(
        self, cell: Cell, parts: dict[str, Predictions], fills: np.ndarray | None
    ) -> dict[str, Predictions]:
        """Return the predictions of a trained cell by name, those of its kind added."""
        return parts

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
        trainer, context = self.trainer, self.context
        if not isinstance(trainer, HeadTrainer):
            return None
        context.progress(0, 1, "testing the labels against permuted ones")
        units = context.parts(self.cell).groups or context.examples.images.content_hashes()
        ids = [units[row] for row in trainer.rows.tolist()]
        found = signal_check(trainer.table, self.first.columns(trainer.rows), self.first.classes, ids)
        return None if found is None else found.to_json()

    def predictions(
        self,
        cell: Cell,
        split: StageSplit,
        rows: np.ndarray,
        scores: np.ndarray,
        cuts: np.ndarray | None = None,
    ) -> Predictions:
        """Return scores (m, k) of examples (m,) as predictions. cuts: their thresholds."""
        groups = self.context.parts(cell).groups
        return Predictions(
            items=tuple(self.context.examples.items[row] for row in rows),
            groups=None if groups is None else tuple(groups[row] for row in rows),
            truth=split.truth[rows],
            scores=scores.astype(np.float32),
            classes=split.classes,
            train_support=split.train_counts,
            known=split.train_known,
            cuts=cuts,
        )

    def _split(self, seed: int) -> StageSplit:
        split, parts = self._whole_split(seed), self.context.parts(self.cell)
        if not self.calibration:
            return split
        hashes = self.context.examples.images.content_hashes()
        return draw_calibration(split, self.calibration, seed, parts.units, hashes)

    def _whole_split(self, seed: int) -> StageSplit:
        context, cell = self.context, self.cell
        facet = get_kind(context.card.kind).split
        ok, rehearsal = self.pixels.ok, context.rehearsal(cell)
        split: StageSplit = facet.split(
            context.parts(cell), cell.setting, ok, self.stage, seed, rehearsal, context.near
        )
        return split

    @property
    def first(self) -> StageSplit:
        """The split of the first seed, for what does not depend on the seed."""
        return self.splits[self.cell.seed]

    def _titles(self) -> StageTitles | None:
        """Return the titles that the cells read, or None."""
        if all(info.reads != "titles" for info in self.job.parts):
            return None
        column = self.context.card.titles
        texts = self.context.examples.columns[column]
        return stage_titles(column, texts, self.first, self.cell.setting, self.stage.name)

    def _trainer(self) -> HeadTrainer | NetTrainer:
        context, job, setting, width = self.context, self.job, self.cell.setting, 0
        how: dict[str, Any] = {
            "prices": context.examples.columns.get("price"),
            "targets": self._targets(),
            "resolver": self.resolver,
        }
        inputs = self.inputs
        if self.titles is not None:
            if job.regime != "frozen":
                words = word_inputs(self.titles, str(setting["precision"]))
                return NetTrainer(words, self.first, setting, context.progress, **how)
            inputs, width = title_head_inputs(inputs, self.titles)
        if inputs is not None:
            groups = context.parts(self.cell).groups
            return HeadTrainer(inputs, self.first, setting, context.progress, groups, titles=width, **how)
        read = pixel_inputs(self.pixels, job.parts[0], job.weights, setting)
        folder = context.checkpoints(job.regime)
        return NetTrainer(read, self.first, setting, context.progress, checkpoints=folder, **how)

    def _train_again(self, cells: Sequence[Cell]) -> None:
        """Add the nets of an earlier stage's cells to `nets`, without storing the cells.

        A cell is a function of its identity: these nets equal those of the stored cells.
        """
        job = replace(self.job, cells=tuple(cells))
        earlier = type(self)(self.context, self.pixels, None, self.nets, job)
        for one, members in earlier._stages([cell for cell in cells if cell.id not in earlier.lost]):
            for result, _, _ in one.train(members):
                remove_checkpoints(self.context, result.cell)

    def _targets(self) -> Targets | None:
        """Return the auxiliary columns of the stage's training rows, if a method needs them."""
        if all(shape_of(cell.method).shared is None for cell in self.job.cells):
            return None
        split, columns = self.first, self.context.examples.columns
        rows = np.concatenate([split.train, split.val])
        return read_targets({name: columns[name] for name in self.context.card.auxiliary}, rows)

    def _counts(self, cell: Cell) -> Mapping[str, int | None]:
        """Count the examples used and left out."""
        split = self.splits[cell.seed]
        fatal = sum(problem.fatal for problem in self.context.examples.problems)
        return {
            "train": len(split.train),
            "val": len(split.val),
            **({"calibration": sum(map(len, split.calibration.values()))} if split.calibration else {}),
            "test": len(split.test),
            "not_scored": split.unseen,
            "leaked": split.leaked,
            "leaked_near": split.leaked_near,
            "quarantined": fatal + self.quarantined,
        }
