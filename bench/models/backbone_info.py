"""What is known about a backbone without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_WEIGHTS = "none"
"""The weights of a backbone that is no net: what it computes of an image is written down, not learned."""

PREPROCESS = ("unit", "tf", "torch", "caffe", "none")
"""What is done to pixels 0..255 before a net sees them.

unit   divided by 255: [0, 1]
tf     scaled to [-1, 1]
torch  divided by 255, then ImageNet's mean subtracted and its deviation divided by, channel by channel
caffe  RGB to BGR, then ImageNet's mean subtracted
none   left as they are: nets that scale their own input expect this
"""


POOLS = {"average": 1, "grid2": 2, "grid4": 4, "grid8": 8}
"""How a feature map becomes a row: averaged over the whole of it, or over each field of a grid of so many."""


@dataclass(frozen=True)
class Reading:
    """What is taken from a frozen net. The default is its features as they always were.

    layers: names of layers whose outputs stand side by side; none for the last map. pool: of POOLS, what
    makes a row of a map; the row of a layer that gives one stays as it is. unit: whether the features of each
    field, or of the whole where there is no grid, have length one (divided by the grid's side, so that every
    layer counts alike). mirror: whether features are the mean of those of an image and of its left-right
    mirror.
    """

    layers: tuple[str, ...] = ()
    pool: str = "average"
    unit: bool = False
    mirror: bool = False

    @property
    def plain(self) -> bool:
        """Whether the net's own features are what is read."""
        return not self.layers and self.pool == "average" and not self.unit


AS_EVER = Reading()
"""A net's own features, of images as they are."""


@dataclass(frozen=True)
class BackboneInfo:
    """One registered backbone.

    source: `keras` (a function of keras.applications), `keras_cv` (a class of keras_cv.models), `bench`
    (our own net) or `handmade` (a function of `bench.models.handmade`). builder and arguments: what is
    called there, and with what. input_size: (height, width) it was made for. min_size: smallest legal height
    and width. multiple, square: what both must be a multiple of, and whether they must be equal. preprocess:
    one of PREPROCESS. features: length of the pooled feature vector. parameters: number of weights without a
    head (lenet's at its own input size). weights: what `--weights` takes besides a path; NO_WEIGHTS alone for
    what is no net. weights_file: name of the ImageNet file, `{rows}` standing for the resolution it was
    trained at, one of `weights_rows` (the last when none fits); for keras_cv the Kaggle handle. reads:
    `pixels` or `titles`. needs: a package that may not be installed, and the extra that brings it.
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
    reads: str = "pixels"
    needs: tuple[str, str] | None = None

    @property
    def is_net(self) -> bool:
        """Whether it is a net, with weights and layers."""
        return self.weights != (NO_WEIGHTS,)
