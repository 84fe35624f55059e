"""Presets of keras-hub: what planning reads of their files, and what it refuses, without keras-hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.backbones.external import functions_in, split_names
from bench.backbones.info import UNSPECIFIED
from bench.backbones.names import parts_of
from bench.backbones.presets import place_of, preset_handles
from bench.backbones.problems import problem_with
from bench.core.errors import BenchError
from bench.core.protocol import defaults
from tests.commands.test_fetch import bench

VIT = {"image_shape": [32, 32, 3], "patch_size": 8, "use_class_token": True}


def write_preset(
    folder: Path, cls: str = "ViTBackbone", config: Any = None, converter: Any = None, weights: bytes = b"1"
) -> Path:
    """Write the files that planning reads; the weights are none."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"module": f"keras_hub.src.models.{cls}", "class_name": cls, "registered_name": f"keras_hub>{cls}"}
    (folder / "config.json").write_text(json.dumps({**own, "config": config or VIT}))
    (folder / "model.weights.h5").write_bytes(weights)
    if converter is not None:
        made = {**own, "class_name": "Converter", "registered_name": "keras_hub>Converter"}
        (folder / "image_converter.json").write_text(json.dumps({**made, "config": converter}))
    return folder


def problem(text: str, regime: str = "frozen", **setting: Any) -> str | None:
    return problem_with(parts_of(text), regime, "imagenet", {**defaults(), **setting})


def refusal(text: str) -> str:
    with pytest.raises(BenchError) as caught:
        parts_of(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """keras-hub, as far as planning asks."""
    monkeypatch.setattr("bench.backbones.problems.find_spec", lambda name: object())


@pytest.mark.usefixtures("installed")
def test_a_preset_says_its_size_and_scaling(tmp_path: Path) -> None:
    folder = write_preset(tmp_path / "my vit", converter={"image_size": [32, 32], "scale": 1 / 255})
    text = f"hub:{folder}"
    (info,) = parts_of(text)
    assert (info.name, info.input_size, info.preprocess) == ("hub:my_vit", (32, 32), "none")
    assert problem(text) is None and problem(text, "finetune") is None
    assert "use --regime frozen or finetune" in str(problem(text, "scratch"))
    assert "takes images of 32x32, not 64x64" in str(problem(text, input_size="64"))
    assert "leave out preprocess" in str(problem(text, preprocess="tf"))
    assert "leave out layers" in str(problem(text, layers="encoder"))


@pytest.mark.usefixtures("installed")
def test_scaling_is_never_guessed(tmp_path: Path) -> None:
    text = f"hub:{write_preset(tmp_path / 'vit')}"
    assert parts_of(text)[0].preprocess == UNSPECIFIED
    assert "--set preprocess=unit|tf|torch|caffe|none" in str(problem(text))
    assert problem(text, preprocess="tf") is None


@pytest.mark.usefixtures("installed")
def test_dinov2_takes_multiples_of_its_patch(tmp_path: Path) -> None:
    config = {"image_shape": [518, 518, 3], "patch_size": 14}
    converter = {"height": 518, "width": 518, "scale": 1 / 255, "mean": [0.5] * 3, "variance": [0.25] * 3}
    text = f"hub:{write_preset(tmp_path / 'dino', 'DINOV2Backbone', config, converter)}"
    (info,) = parts_of(text)
    assert info.input_size == (518, 518) and problem(text, input_size="224") is None
    assert "multiples of 14, not 225x225" in str(problem(text, input_size="225"))
    assert "takes square images" in str(problem(text, input_size="224x238"))


def test_identity_is_the_content_of_what_decides_features(tmp_path: Path) -> None:
    def digest(folder: Path) -> str:
        (info,) = parts_of(f"hub:{folder}")
        assert info.origin is not None
        return info.origin.digest

    scale = {"scale": 1 / 255}
    folder, moved = (write_preset(tmp_path / name, converter=scale) for name in ("a", "b"))
    (moved / "metadata.json").write_text('{"date_saved": "today"}')
    assert digest(folder) == digest(moved)
    others = [
        write_preset(tmp_path / "c", converter={"scale": 1 / 127.5}),
        write_preset(tmp_path / "d", converter=scale, weights=b"2"),
        write_preset(tmp_path / "e", converter=scale, config={**VIT, "use_class_token": False}),
        write_preset(tmp_path / "f"),
    ]
    assert len({digest(one) for one in (folder, *others)}) == 5


def test_weights_may_lie_in_shards_of_the_folder(tmp_path: Path) -> None:
    folder = write_preset(tmp_path / "big")
    (folder / "model.weights.h5").rename(folder / "model_00000.weights.h5")
    index = folder / "model.weights.json"
    index.write_text(json.dumps({"weight_map": {"/layers/a/vars": ["model_00000.weights.h5"]}}))
    assert parts_of(f"hub:{folder}")
    index.write_text(json.dumps({"weight_map": {"/layers/a/vars": "../../secret.weights.h5"}}))
    assert "no list of weights files" in refusal(f"hub:{folder}")


@pytest.mark.parametrize(
    ("cls", "config", "says"),
    [
        ("BertBackbone", {"hidden_dim": 16}, "BertBackbone, which has no image encoder"),
        ("CLIPBackbone", {"vision_encoder": None}, "which has no image encoder"),
        (
            "ViTBackbone",
            {**VIT, "layer": {"class_name": "Lambda", "module": "keras.layers", "config": {}}},
            "keras.layers.Lambda, which is not one of keras-hub's models",
        ),
        (
            "ViTBackbone",
            {**VIT, "layer": {"class_name": "Evil", "module": "os", "config": {}, "registered_name": None}},
            "os.Evil, which is not one of keras-hub's models",
        ),
        ("ViTBackbone", {**VIT, "image_shape": ["a", 3, 3]}, "image_shape that is no size"),
    ],
)
def test_what_is_no_encoder_of_images_or_runs_code_is_refused(
    cls: str, config: Any, says: str, tmp_path: Path
) -> None:
    assert says in refusal(f"hub:{write_preset(tmp_path / 'preset', cls, config)}")


def test_folders_that_are_no_presets(tmp_path: Path) -> None:
    assert "name a preset of keras-hub" in refusal("hub:")
    assert "there is no folder" in refusal(f"hub:{tmp_path}/nowhere")
    assert "save_to_preset writes them" in refusal(f"hub:{tmp_path}")
    folder = write_preset(tmp_path / "torch")
    (folder / "config.json").write_text('{"model_type": "dinov2", "config": {}}')
    assert "write it with save_to_preset" in refusal(f"hub:{folder}")
    (folder / "config.json").write_text("{")
    assert "config.json that cannot be read" in refusal(f"hub:{folder}")
    write_preset(folder, converter={"scale": [1, 2]})
    assert "does not say how pixels are scaled" in refusal(f"hub:{folder}")


def test_names_of_keras_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    table = {"dinov2_small": "keras/dinov2/keras/dinov2_small/1"}
    monkeypatch.setattr("bench.backbones.presets.preset_handles", lambda: table)
    assert place_of("hub:dinov2_small").handle == table["dinov2_small"]
    assert "bench fetch-weights hub:dinov2_small downloads it" in refusal("hub:dinov2_small")
    assert (
        "did you mean 'dinov2_small'?" in refusal("hub:dinov2_smal") or sys.modules.get("keras_hub") is None
    )
    assert "presets are taken from Kaggle" in refusal("hub:hf://facebook/dinov2-small")
    assert "presets are taken from Kaggle" in refusal("hub:kaggle://keras/dinov2/keras/dinov2_small")
    write_preset(tmp_path / "models" / table["dinov2_small"])
    assert parts_of("hub:dinov2_small")[0].name == "hub:dinov2_small"
    assert parts_of(f"hub:kaggle://{table['dinov2_small']}")[0].name == "hub:dinov2_small"
    assert split_names("hub:a,hub:b+c", ",") == ["hub:a", "hub:b+c"] and not functions_in(["hub:vit"])


def test_without_keras_hub_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.backbones.presets.find_spec", lambda name: None)
    monkeypatch.setattr("bench.backbones.problems.find_spec", lambda name: None)
    preset_handles.cache_clear()
    assert "pip install 'messybench[hub]'" in refusal("hub:dinov2_small")
    folder = write_preset(tmp_path / "vit", converter={"scale": 1.0})
    assert "pip install 'messybench[hub]'" in str(problem(f"hub:{folder}"))
    preset_handles.cache_clear()


def test_the_tables_of_keras_hub_are_read_without_importing_it() -> None:
    pytest.importorskip("tensorflow_text")
    code = (
        "import sys; from bench.backbones.presets import preset_handles as found;"
        "assert found()['dinov2_small'].startswith('keras/dinov2/keras/dinov2_small/');"
        "assert not {'numpy', 'keras', 'keras_hub', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_presets_are_fetched_whole_when_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    asked = []

    def download(handle: str, path: str | None = None) -> str:
        asked.append(path)
        if "vit" in handle:
            raise OSError("no network")
        return str(write_preset(tmp_path / "models" / handle))

    monkeypatch.setattr("kagglehub.model_download", download)
    names = ["hub:kaggle://a/dino/keras/small/1", "hub:kaggle://a/vit/keras/base/2"]
    listed = json.loads(bench("fetch-weights", *names, "--list", "--format", "json").stdout)
    assert [row["state"] for row in listed] == ["missing"] * 2 and not asked
    done = bench("fetch-weights", *names, "--yes")
    assert done.return_value == 4 and asked == ["config.json", None, "config.json"]
    assert f"{names[0]}: {tmp_path}/models/a/dino/keras/small/1" in done.stderr
    assert "cannot be fetched (no network)" in done.stderr
    assert bench("fetch-weights", names[0]).return_value == 0 and len(asked) == 3
