"""What is known about a backbone without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREPROCESS = ("unit", "tf", "torch", "caffe", "none")
"""What is done to pixels 0..255 before a net sees them.

unit   divided by 255: [0, 1]
tf     scaled to [-1, 1]
torch  divided by 255, then ImageNet's mean subtracted and its deviation divided by, channel by channel
caffe  RGB to BGR, then ImageNet's mean subtracted
none   left as they are: nets that scale their own input expect this
"""


@dataclass(frozen=True)
class BackboneInfo:
    """One registered backbone.

    source: `keras` (a function of keras.applications), `keras_cv` (a class of keras_cv.models) or `bench`
    (our own). builder and arguments: what is called there, and with what. input_size: (height, width) it
    was made for. min_size: smallest legal height and width. multiple, square: what both must be a
    multiple of, and whether they must be equal. preprocess: one of PREPROCESS. features: length of the
    pooled feature vector. parameters: number of weights without a head (lenet's at its own input size).
    weights: what `--weights`
    takes besides a path. weights_file: name of the ImageNet file, `{rows}` standing for the resolution it
    was trained at, one of `weights_rows` (the last when none fits); for keras_cv the Kaggle handle.
    """

    name: str
    family: str
    summary: str
    source: str
    builder: str
    input_size: tuple[int, int]
    min_size: int
    preprocess: str
    features: int
    parameters: int
    weights: tuple[str, ...] = ("imagenet", "random")
    weights_file: str = ""
    weights_rows: tuple[int, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    multiple: int = 1
    square: bool = False
    regime: str = "frozen"
