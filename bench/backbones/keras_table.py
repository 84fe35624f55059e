"""Table of the classification nets of keras.applications, width variants included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.backbones.info import BackboneInfo


@dataclass(frozen=True)
class _Family:
    """Common values of the nets of one module of keras.applications.

    file: name of the ImageNet file; `{stem}` differs by net, `{rows}` is one of `rows`.
    """

    name: str
    title: str
    preprocess: str
    file: str
    min_size: int = 32
    rows: tuple[int, ...] = ()

    def net(
        self, name: str, builder: str, size: int, features: int, parameters: int, stem: str, **arguments: Any
    ) -> BackboneInfo:
        """Return one net of the family; `stem` is its part of the weights file's name."""
        variant = "".join(f", {key} {value}" for key, value in arguments.items() if value is not True)
        variant += "".join(f", {key}" for key, value in arguments.items() if value is True)
        return BackboneInfo(
            name=name,
            family=self.name,
            summary=f"{self.title}: {builder}{variant}",
            source="keras",
            builder=builder,
            input_size=(size, size),
            min_size=self.min_size,
            preprocess=self.preprocess,
            features=features,
            parameters=parameters,
            weights_file=self.file.replace("{stem}", stem),
            weights_rows=self.rows,
            arguments=arguments,
        )


_ORDERED = "_weights_tf_dim_ordering_tf_kernels_notop.h5"

_CONVNEXT = _Family("convnext", "ConvNeXt (Liu 2022)", "none", "convnext_{stem}_notop.h5")
_DENSENET = _Family("densenet", "DenseNet (Huang 2017)", "torch", "{stem}" + _ORDERED)
_EFFICIENTNET = _Family("efficientnet", "EfficientNet (Tan 2019)", "none", "efficientnet{stem}_notop.h5")
_EFFICIENTNET_V2 = _Family(
    "efficientnetv2", "EfficientNetV2 (Tan 2021)", "none", "efficientnetv2-{stem}_notop.h5"
)
_INCEPTION = _Family("inception", "Inception (Szegedy 2016)", "tf", "{stem}" + _ORDERED, min_size=75)
_MOBILENET = _Family(
    "mobilenet",
    "MobileNet (Howard 2017)",
    "tf",
    "mobilenet_{stem}_{rows}_tf_no_top.h5",
    rows=(128, 160, 192, 224),
)
_MOBILENET_V2 = _Family(
    "mobilenetv2",
    "MobileNetV2 (Sandler 2018)",
    "tf",
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{stem}_{rows}_no_top.h5",
    rows=(96, 128, 160, 192, 224),
)
_MOBILENET_V3 = _Family(
    "mobilenetv3", "MobileNetV3 (Howard 2019)", "none", "weights_mobilenet_v3_{stem}_float_no_top_v2.h5"
)
_NASNET = _Family("nasnet", "NASNet-A (Zoph 2018)", "tf", "nasnet_{stem}_no_top.h5")
_RESNET = _Family("resnet", "ResNet (He 2016)", "caffe", "{stem}" + _ORDERED)
_RESNET_V2 = _Family("resnetv2", "ResNetV2 (He 2016b)", "tf", "{stem}" + _ORDERED)
_VGG = _Family("vgg", "VGG (Simonyan 2015)", "caffe", "{stem}" + _ORDERED)
_XCEPTION = _Family("xception", "Xception (Chollet 2017)", "tf", "{stem}" + _ORDERED, min_size=71)

NETS: tuple[BackboneInfo, ...] = (
    # name, function, input size, features, parameters, part of the weights file's name
    _CONVNEXT.net("convnext_tiny", "ConvNeXtTiny", 224, 768, 27820128, "tiny"),
    _CONVNEXT.net("convnext_small", "ConvNeXtSmall", 224, 768, 49454688, "small"),
    _CONVNEXT.net("convnext_base", "ConvNeXtBase", 224, 1024, 87566464, "base"),
    _CONVNEXT.net("convnext_large", "ConvNeXtLarge", 224, 1536, 196230336, "large"),
    _CONVNEXT.net("convnext_xlarge", "ConvNeXtXLarge", 224, 2048, 348147968, "xlarge"),
    _DENSENET.net("densenet121", "DenseNet121", 224, 1024, 7037504, "densenet121"),
    _DENSENET.net("densenet169", "DenseNet169", 224, 1664, 12642880, "densenet169"),
    _DENSENET.net("densenet201", "DenseNet201", 224, 1920, 18321984, "densenet201"),
    _EFFICIENTNET.net("efficientnet_b0", "EfficientNetB0", 224, 1280, 4049571, "b0"),
    _EFFICIENTNET.net("efficientnet_b1", "EfficientNetB1", 240, 1280, 6575239, "b1"),
    _EFFICIENTNET.net("efficientnet_b2", "EfficientNetB2", 260, 1408, 7768569, "b2"),
    _EFFICIENTNET.net("efficientnet_b3", "EfficientNetB3", 300, 1536, 10783535, "b3"),
    _EFFICIENTNET.net("efficientnet_b4", "EfficientNetB4", 380, 1792, 17673823, "b4"),
    _EFFICIENTNET.net("efficientnet_b5", "EfficientNetB5", 456, 2048, 28513527, "b5"),
    _EFFICIENTNET.net("efficientnet_b6", "EfficientNetB6", 528, 2304, 40960143, "b6"),
    _EFFICIENTNET.net("efficientnet_b7", "EfficientNetB7", 600, 2560, 64097687, "b7"),
    _EFFICIENTNET_V2.net("efficientnetv2_b0", "EfficientNetV2B0", 224, 1280, 5919312, "b0"),
    _EFFICIENTNET_V2.net("efficientnetv2_b1", "EfficientNetV2B1", 240, 1280, 6931124, "b1"),
    _EFFICIENTNET_V2.net("efficientnetv2_b2", "EfficientNetV2B2", 260, 1408, 8769374, "b2"),
    _EFFICIENTNET_V2.net("efficientnetv2_b3", "EfficientNetV2B3", 300, 1536, 12930622, "b3"),
    _EFFICIENTNET_V2.net("efficientnetv2_s", "EfficientNetV2S", 384, 1280, 20331360, "s"),
    _EFFICIENTNET_V2.net("efficientnetv2_m", "EfficientNetV2M", 480, 1280, 53150388, "m"),
    _EFFICIENTNET_V2.net("efficientnetv2_l", "EfficientNetV2L", 480, 1280, 117746848, "l"),
    _INCEPTION.net("inception_v3", "InceptionV3", 299, 2048, 21802784, "inception_v3"),
    _INCEPTION.net("inception_resnet_v2", "InceptionResNetV2", 299, 1536, 54336736, "inception_resnet_v2"),
    _MOBILENET.net("mobilenet_025", "MobileNet", 224, 256, 218544, "2_5", alpha=0.25),
    _MOBILENET.net("mobilenet_050", "MobileNet", 224, 512, 829536, "5_0", alpha=0.5),
    _MOBILENET.net("mobilenet_075", "MobileNet", 224, 768, 1832976, "7_5", alpha=0.75),
    _MOBILENET.net("mobilenet", "MobileNet", 224, 1024, 3228864, "1_0"),
    _MOBILENET_V2.net("mobilenetv2_035", "MobileNetV2", 224, 1280, 410208, "0.35", alpha=0.35),
    _MOBILENET_V2.net("mobilenetv2_050", "MobileNetV2", 224, 1280, 706224, "0.5", alpha=0.5),
    _MOBILENET_V2.net("mobilenetv2_075", "MobileNetV2", 224, 1280, 1382064, "0.75", alpha=0.75),
    _MOBILENET_V2.net("mobilenetv2", "MobileNetV2", 224, 1280, 2257984, "1.0"),
    _MOBILENET_V2.net("mobilenetv2_130", "MobileNetV2", 224, 1664, 3766048, "1.3", alpha=1.3),
    _MOBILENET_V2.net("mobilenetv2_140", "MobileNetV2", 224, 1792, 4363712, "1.4", alpha=1.4),
    _MOBILENET_V3.net(
        "mobilenetv3_small_075", "MobileNetV3Small", 224, 432, 583160, "small_224_0.75", alpha=0.75
    ),
    _MOBILENET_V3.net(
        "mobilenetv3_small_minimalistic",
        "MobileNetV3Small",
        224,
        576,
        441000,
        "small_minimalistic_224_1.0",
        minimalistic=True,
    ),
    _MOBILENET_V3.net("mobilenetv3_small", "MobileNetV3Small", 224, 576, 939120, "small_224_1.0"),
    _MOBILENET_V3.net(
        "mobilenetv3_large_075", "MobileNetV3Large", 224, 720, 1808736, "large_224_0.75", alpha=0.75
    ),
    _MOBILENET_V3.net(
        "mobilenetv3_large_minimalistic",
        "MobileNetV3Large",
        224,
        960,
        1437608,
        "large_minimalistic_224_1.0",
        minimalistic=True,
    ),
    _MOBILENET_V3.net("mobilenetv3_large", "MobileNetV3Large", 224, 960, 2996352, "large_224_1.0"),
    _NASNET.net("nasnet_mobile", "NASNetMobile", 224, 1056, 4269716, "mobile"),
    _NASNET.net("nasnet_large", "NASNetLarge", 331, 4032, 84916818, "large"),
    _RESNET.net("resnet50", "ResNet50", 224, 2048, 23587712, "resnet50"),
    _RESNET.net("resnet101", "ResNet101", 224, 2048, 42658176, "resnet101"),
    _RESNET.net("resnet152", "ResNet152", 224, 2048, 58370944, "resnet152"),
    _RESNET_V2.net("resnet50v2", "ResNet50V2", 224, 2048, 23564800, "resnet50v2"),
    _RESNET_V2.net("resnet101v2", "ResNet101V2", 224, 2048, 42626560, "resnet101v2"),
    _RESNET_V2.net("resnet152v2", "ResNet152V2", 224, 2048, 58331648, "resnet152v2"),
    _VGG.net("vgg16", "VGG16", 224, 512, 14714688, "vgg16"),
    _VGG.net("vgg19", "VGG19", 224, 512, 20024384, "vgg19"),
    _XCEPTION.net("xception", "Xception", 299, 2048, 20861480, "xception"),
)
