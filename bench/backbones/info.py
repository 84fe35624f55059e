"""Backbone metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_WEIGHTS = "none"
"""The weights of a backbone without any: fixed features."""

PREPROCESS = ("unit", "tf", "torch", "caffe", "none")
"""Preprocessing of pixels 0..255 for a net.

unit   divided by 255: [0, 1]
tf     scaled to [-1, 1]
torch  divided by 255, then standardised by ImageNet's mean and deviation, channel by channel
caffe  RGB to BGR, then ImageNet's mean subtracted
none   left as they are: for nets that scale their input
"""


JOIN = "+"
"""Separator of the parts of a joined backbone, and of their weights."""

POOLS = {"average": 1, "grid2": 2, "grid4": 4, "grid8": 8}
"""Average pooling of a feature map: fields along each side."""


@dataclass(frozen=True)
class FeatureSpec:
    """The outputs of a frozen net that are its features. The default is its pooled features.

    layers: names of layers whose outputs are concatenated; none for the last map. pool: one of POOLS, for
    maps. unit: whether the features of each field are L2-normalised (and divided by the grid's side, so that
    every layer has length one). mirror: whether features are the mean of those of an image and of its mirror
    image.
    """

    layers: tuple[str, ...] = ()
    pool: str = "average"
    unit: bool = False
    mirror: bool = False

    @property
    def plain(self) -> bool:
        """Whether features are the net's pooled output."""
        return not self.layers and self.pool == "average" and not self.unit


PLAIN_FEATURES = FeatureSpec()
"""A net's pooled output on unflipped images."""


UNSPECIFIED = ""
"""Preprocessing that an external backbone does not specify."""

ANY_SIZE = (0, 0)
"""Input size that an external backbone does not specify."""

OWN_WEIGHTS = "own"
"""The weights of an external backbone: those in its file."""


@dataclass(frozen=True)
class Origin:
    """Source of an external backbone.

    form: `keras` or `onnx` (a file), `preset` (of keras-hub), `module` (a Python function), or `features`
    (vectors by id). place: the path, `hub:PRESET` or `package.module:function`. digest: sha256 of the file,
    the preset's files, or the module's source, as hex.
    one_size: whether its input size is fixed. classifies: the name of its last layer if that gives class
    probabilities; before: the layer below it. allow_code: whether code in the file may run.
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
    (LeNet), `handcrafted` (a function of `bench.backbones.handcrafted`), `plugin` (a plug-in's
    "module:function" of (info, (height, width, 3), whether to load pretrained weights) that returns a
    keras.Model from images to features) or the form of its origin. builder and arguments: the callable there,
    and its keyword arguments. input_size: (height, width) it was designed for, or ANY_SIZE. min_size:
    smallest legal height and width. multiple, square: divisor of both, and whether they must be equal.
    preprocess: one of PREPROCESS, or UNSPECIFIED. features: length of the pooled feature vector, 0 if unknown
    before building. parameters: number of weights without a head (lenet's at its input size), 0 likewise.
    weights: words that `--weights` takes; NO_WEIGHTS alone for hand-crafted features. weights_file: name of
    the ImageNet file, with `{rows}` for the resolution of its training, one of `weights_rows` (the last when
    none fits); for keras_cv the Kaggle handle. reads: `pixels`, `titles` or `vectors`. needs: an optional
    package, and the extra that installs it. origin: source of a backbone that is not registered.
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
