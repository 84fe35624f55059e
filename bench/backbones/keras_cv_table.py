"""Table of keras-cv's image backbones, with the arguments of its presets.

Built from arguments, because a keras-cv preset downloads even its configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.backbones.info import BackboneInfo


@dataclass(frozen=True)
class _Family:
    """Common values of the nets of one class of keras_cv.models. kaggle: the model's name on Kaggle."""

    name: str
    title: str
    builder: str
    kaggle: str = ""
    min_size: int = 32
    multiple: int = 1
    square: bool = False

    def net(
        self,
        preset: str,
        size: int,
        features: int,
        parameters: int,
        pretrained: bool = False,
        **arguments: Any,
    ) -> BackboneInfo:
        """Return one net of the family; pretrained: ImageNet weights are published for it."""
        return BackboneInfo(
            name=f"kcv_{preset}",
            family=self.name,
            summary=f"{self.title} of keras-cv",
            source="keras_cv",
            builder=self.builder,
            input_size=(size, size),
            min_size=self.min_size,
            multiple=self.multiple,
            square=self.square,
            preprocess="none",
            features=features,
            parameters=parameters,
            weights=("imagenet", "random") if pretrained else ("random",),
            weights_file=f"keras/{self.kaggle}/keras/{preset}_imagenet/2" if pretrained else "",
            arguments={"include_rescaling": True, **arguments},
        )


_CSP_DARKNET = _Family("csp_darknet", "CSPDarkNet (Wang 2020)", "CSPDarkNetBackbone", "cspdarknet")
_DENSENET = _Family("densenet", "DenseNet (Huang 2017)", "DenseNetBackbone", "densenet")
_EFFICIENTNET = _Family("efficientnet", "EfficientNet (Tan 2019)", "EfficientNetV1Backbone")
_EFFICIENTNET_LITE = _Family("efficientnet_lite", "EfficientNet-Lite (Liu 2020)", "EfficientNetLiteBackbone")
_EFFICIENTNET_V2 = _Family(
    "efficientnetv2", "EfficientNetV2 (Tan 2021)", "EfficientNetV2Backbone", "efficientnetv2"
)
_MIT = _Family(
    "mit", "Mix Transformer (Xie 2021)", "MiTBackbone", "mit", min_size=64, multiple=32, square=True
)
_MOBILENET_V3 = _Family("mobilenetv3", "MobileNetV3 (Howard 2019)", "MobileNetV3Backbone", "mobilenetv3")
_RESNET = _Family("resnet", "ResNet (He 2016)", "ResNetBackbone", "resnetv1")
_RESNET_V2 = _Family("resnetv2", "ResNetV2 (He 2016b)", "ResNetV2Backbone", "resnetv2")
_VGG = _Family("vgg", "VGG (Simonyan 2015)", "VGG16Backbone")


def _darknet(channels: int, depth: int) -> dict[str, Any]:
    return {
        "stackwise_channels": [channels, 2 * channels, 4 * channels, 8 * channels],
        "stackwise_depth": [depth, 3 * depth, 3 * depth, depth],
    }


def _efficientnet(width: float, depth: float, squeeze: bool = True) -> dict[str, Any]:
    extra = {"stackwise_squeeze_and_excite_ratios": [0.25] * 7} if squeeze else {}
    return {
        "width_coefficient": width,
        "depth_coefficient": depth,
        "stackwise_kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
        "stackwise_num_repeats": [1, 2, 2, 3, 3, 4, 1],
        "stackwise_input_filters": [32, 16, 24, 40, 80, 112, 192],
        "stackwise_output_filters": [16, 24, 40, 80, 112, 192, 320],
        "stackwise_expansion_ratios": [1, 6, 6, 6, 6, 6, 6],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1],
        **extra,
    }


def _efficientnet_v2(
    repeats: list[int], filters: list[int], width: float = 1.0, depth: float = 1.0
) -> dict[str, Any]:
    """filters: of the stem and then of every stack."""
    stacks = len(repeats)
    return {
        "width_coefficient": width,
        "depth_coefficient": depth,
        "stackwise_kernel_sizes": [3] * stacks,
        "stackwise_num_repeats": repeats,
        "stackwise_input_filters": filters[:-1],
        "stackwise_output_filters": filters[1:],
        "stackwise_expansion_ratios": [1, 4, 4, 4, 6, 6, 6][:stacks],
        "stackwise_squeeze_and_excite_ratios": [0, 0, 0, 0.25, 0.25, 0.25, 0.25][:stacks],
        "stackwise_strides": [1, 2, 2, 2, 1, 2, 1][:stacks],
        "stackwise_conv_types": (["fused"] * 3 + ["unfused"] * 4)[:stacks],
    }


def _efficientnet_v2_b(width: float, depth: float) -> dict[str, Any]:
    return _efficientnet_v2([1, 2, 2, 3, 5, 8], [32, 16, 32, 48, 96, 112, 192], width, depth)


def _mit(depths: list[int], first: int = 64) -> dict[str, Any]:
    return {"depths": depths, "embedding_dims": [first, 2 * first, 5 * first, 8 * first]}


def _resnet(blocks: list[int], block_type: str = "block") -> dict[str, Any]:
    return {
        "stackwise_filters": [64, 128, 256, 512],
        "stackwise_blocks": blocks,
        "stackwise_strides": [1, 2, 2, 2],
        "block_type": block_type,
    }


_SMALL: dict[str, Any] = {
    "stackwise_expansion": [1, 72 / 16, 88 / 24, 4, 6, 6, 3, 3, 6, 6, 6],
    "stackwise_filters": [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96],
    "stackwise_kernel_size": [3] * 3 + [5] * 8,
    "stackwise_stride": [2, 2, 1, 2, 1, 1, 1, 1, 2, 1, 1],
    "stackwise_se_ratio": [0.25, None, None] + [0.25] * 8,
    "stackwise_activation": ["relu"] * 3 + ["hard_swish"] * 8,
}
_LARGE: dict[str, Any] = {
    "stackwise_expansion": [1, 4, 3, 3, 3, 3, 6, 2.5, 2.3, 2.3, 6, 6, 6, 6, 6],
    "stackwise_filters": [16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160],
    "stackwise_kernel_size": [3] * 3 + [5] * 3 + [3] * 6 + [5] * 3,
    "stackwise_stride": [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1],
    "stackwise_se_ratio": [None] * 3 + [0.25] * 3 + [None] * 4 + [0.25] * 5,
    "stackwise_activation": ["relu"] * 6 + ["hard_swish"] * 9,
}
_M = _efficientnet_v2([3, 5, 5, 7, 14, 18, 5], [24, 24, 48, 80, 160, 176, 304, 512])
_L = _efficientnet_v2([4, 7, 7, 10, 19, 25, 7], [32, 32, 64, 96, 192, 224, 384, 640])
_S = _efficientnet_v2([2, 4, 4, 6, 9, 15], [24, 24, 48, 64, 128, 160, 256])

NETS: tuple[BackboneInfo, ...] = (
    # preset, input size, features, parameters, are ImageNet weights published
    _CSP_DARKNET.net("csp_darknet_tiny", 224, 384, 2380416, True, **_darknet(48, 1)),
    _CSP_DARKNET.net("csp_darknet_s", 224, 512, 4223488, **_darknet(64, 1)),
    _CSP_DARKNET.net("csp_darknet_m", 224, 768, 12374400, **_darknet(96, 2)),
    _CSP_DARKNET.net("csp_darknet_l", 224, 1024, 27111424, True, **_darknet(128, 3)),
    _CSP_DARKNET.net("csp_darknet_xl", 224, 1360, 56837970, **_darknet(170, 4)),
    _DENSENET.net("densenet121", 224, 1024, 7037504, True, stackwise_num_repeats=[6, 12, 24, 16]),
    _DENSENET.net("densenet169", 224, 1664, 12642880, True, stackwise_num_repeats=[6, 12, 32, 32]),
    _DENSENET.net("densenet201", 224, 1920, 18321984, True, stackwise_num_repeats=[6, 12, 48, 32]),
    _EFFICIENTNET.net("efficientnetv1_b0", 224, 1280, 4049564, **_efficientnet(1.0, 1.0)),
    _EFFICIENTNET.net("efficientnetv1_b1", 240, 1280, 6575232, **_efficientnet(1.0, 1.1)),
    _EFFICIENTNET.net("efficientnetv1_b2", 260, 1408, 7768562, **_efficientnet(1.1, 1.2)),
    _EFFICIENTNET.net("efficientnetv1_b3", 300, 1536, 10783528, **_efficientnet(1.2, 1.4)),
    _EFFICIENTNET.net("efficientnetv1_b4", 380, 1792, 17673816, **_efficientnet(1.4, 1.8)),
    _EFFICIENTNET.net("efficientnetv1_b5", 456, 2048, 28513520, **_efficientnet(1.6, 2.2)),
    _EFFICIENTNET.net("efficientnetv1_b6", 528, 2304, 40960136, **_efficientnet(1.8, 2.6)),
    _EFFICIENTNET.net("efficientnetv1_b7", 600, 2560, 64097680, **_efficientnet(2.0, 3.1)),
    _EFFICIENTNET_LITE.net("efficientnetlite_b0", 224, 1280, 3413024, **_efficientnet(1.0, 1.0, False)),
    _EFFICIENTNET_LITE.net("efficientnetlite_b1", 240, 1280, 4189344, **_efficientnet(1.0, 1.1, False)),
    _EFFICIENTNET_LITE.net("efficientnetlite_b2", 260, 1280, 4869168, **_efficientnet(1.1, 1.2, False)),
    _EFFICIENTNET_LITE.net("efficientnetlite_b3", 280, 1280, 6992768, **_efficientnet(1.2, 1.4, False)),
    _EFFICIENTNET_LITE.net("efficientnetlite_b4", 300, 1280, 11837936, **_efficientnet(1.4, 1.8, False)),
    _EFFICIENTNET_V2.net("efficientnetv2_b0", 224, 1280, 5919312, True, **_efficientnet_v2_b(1.0, 1.0)),
    _EFFICIENTNET_V2.net("efficientnetv2_b1", 240, 1280, 6931124, True, **_efficientnet_v2_b(1.0, 1.1)),
    _EFFICIENTNET_V2.net("efficientnetv2_b2", 260, 1408, 8769374, True, **_efficientnet_v2_b(1.1, 1.2)),
    _EFFICIENTNET_V2.net("efficientnetv2_b3", 300, 1536, 12930622, **_efficientnet_v2_b(1.2, 1.4)),
    _EFFICIENTNET_V2.net("efficientnetv2_s", 384, 1280, 20331360, True, **_S),
    _EFFICIENTNET_V2.net("efficientnetv2_m", 480, 1280, 53150388, **_M),
    _EFFICIENTNET_V2.net("efficientnetv2_l", 480, 1280, 117746848, **_L),
    _MIT.net("mit_b0", 224, 256, 3319392, True, **_mit([2, 2, 2, 2], 32)),
    _MIT.net("mit_b1", 224, 512, 13151424, **_mit([2, 2, 2, 2])),
    _MIT.net("mit_b2", 224, 512, 24196288, **_mit([3, 4, 6, 3])),
    _MIT.net("mit_b3", 224, 512, 44072128, **_mit([3, 4, 18, 3])),
    _MIT.net("mit_b4", 224, 512, 60842688, **_mit([3, 8, 27, 3])),
    _MIT.net("mit_b5", 224, 512, 81443008, **_mit([3, 6, 40, 3])),
    _MOBILENET_V3.net("mobilenet_v3_small", 224, 576, 939120, True, **_SMALL),
    _MOBILENET_V3.net("mobilenet_v3_large", 224, 960, 2996352, True, **_LARGE),
    _RESNET.net("resnet18", 224, 512, 11186112, **_resnet([2, 2, 2, 2], "basic_block")),
    _RESNET.net("resnet34", 224, 512, 21301696, **_resnet([3, 4, 6, 3], "basic_block")),
    _RESNET.net("resnet50", 224, 2048, 23561152, True, **_resnet([3, 4, 6, 3])),
    _RESNET.net("resnet101", 224, 2048, 42605504, **_resnet([3, 4, 23, 3])),
    _RESNET.net("resnet152", 224, 2048, 58295232, **_resnet([3, 8, 36, 3])),
    _RESNET_V2.net("resnet18_v2", 224, 512, 11183488, **_resnet([2, 2, 2, 2], "basic_block")),
    _RESNET_V2.net("resnet34_v2", 224, 512, 21299072, **_resnet([3, 4, 6, 3], "basic_block")),
    _RESNET_V2.net("resnet50_v2", 224, 2048, 23564800, True, **_resnet([3, 4, 6, 3])),
    _RESNET_V2.net("resnet101_v2", 224, 2048, 42626560, **_resnet([3, 4, 23, 3])),
    _RESNET_V2.net("resnet152_v2", 224, 2048, 58331648, **_resnet([3, 8, 36, 3])),
    _VGG.net("vgg16", 224, 512, 14714688, include_top=False),
)
