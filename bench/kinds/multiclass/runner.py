"""Runner of one stage of a task with one class for each image."""

from __future__ import annotations

from bench.runs.image_stage import ImageStage
from bench.runs.stage_work import Nets, StageRun, StageWork


def prepare(work: StageWork, nets: Nets) -> StageRun:
    """Split the stage's data and prepare training."""
    return ImageStage(work, nets).checked()
