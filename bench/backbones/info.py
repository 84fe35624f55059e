"""Properties of a backbone, known without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_WEIGHTS = "none"
"""The weights of a backbone that is not a net: it computes fixed features."""

PREPROCESS = ("unit", "tf", "torch", "caffe", "none")
"""Preprocessing of pixels 0..255 for a net.

unit   divided by 255: [0, 1]
tf     scaled to [-1, 1]
torch  divided by 255, then ImageNet's mean subtracted and its deviation divided by, channel by channel
caffe  RGB to BGR, then ImageNet's mean subtracted
none   left as they are: nets that scale their own input expect this
"""


JOIN = "+"
"""Separator of the parts of a joined backbone, and of their weights."""

POOLS = {"average": 1, "grid2": 2, "grid4": 4, "grid8": 8}
"""Pooling of a feature map to a row: averages over all of it, or over each field of a grid."""


@dataclass(frozen=True)
class Reading:
    """The outputs read from a frozen net. The default is its pooled features.

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


UNSAID = ""
"""The preprocessing of a backbone from outside that does not say it."""

ANY_SIZE = (0, 0)
"""The input size of a backbone from outside that does not say it."""

OWN_WEIGHTS = "own"
"""The weights of a backbone from outside: those in its file."""


@dataclass(frozen=True)
class Origin:
    """Source of a backbone from outside.

    form: `keras` or `onnx` (a file), `preset` (of keras-hub), `module` (a Python function), or `features`
    (vectors by id). place: the path, `hub:PRESET` or `package.module:function`. digest: sha256 of the file,
    the preset's files, or the module's source, as hex.
    one_size: whether its input size is the only one it takes. classifies: the name of its last layer where
    that gives class probabilities, not features; before: the layer below it. allow_code: whether code in the
    file may run.
    """

    form: str
    place: str
    digest: str
    one_size: bool = False
    classifies: str = ""
    before: str = ""
    allow_code: bool = False


@dataclass(frozen=True)
class BackboneInfo:
    """One backbone.

    source: `keras` (a function of keras.applications), `keras_cv` (a class of keras_cv.models), `bench`
    (our own net), `handmade` (a function of `bench.backbones.handmade`), `plugin` (of a plug-in:
    "module:function" of (info, (height, width, 3), whether with pretrained weights) that returns a
    keras.Model from images to a row of features) or the form of its origin. builder and arguments: what is
    called there, and with what. input_size: (height, width) it was made for, or ANY_SIZE. min_size: smallest
    legal height and width. multiple, square: what both must be a multiple of, and whether they must be equal.
    preprocess: one of PREPROCESS, or UNSAID. features: length of the pooled feature vector, 0 until it is
    built. parameters: number of weights without a head (lenet's at its own input size), 0 until it is built.
    weights: words that `--weights` takes; NO_WEIGHTS alone for what is no net. weights_file: name of the
    ImageNet file, `{rows}` standing for the resolution it was
    trained at, one of `weights_rows` (the last when none fits); for keras_cv the Kaggle handle. reads:
    `pixels`, `titles` or `vectors`. needs: a package that may not be installed, and the extra that brings it.
    origin: where a backbone comes from that is not registered.
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
    origin: Origin | None = None

    @property
    def is_net(self) -> bool:
        """Whether the backbone is a net, with weights and layers."""
        return self.weights != (NO_WEIGHTS,)
