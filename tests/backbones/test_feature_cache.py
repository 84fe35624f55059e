"""Features are the net's own, the cache is whole or not there, and reading it costs no TensorFlow."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones import engines
from bench.backbones import feature_cache as features
from bench.backbones.engines import batch_for, load_engine, run_engine
from bench.backbones.extract import Extractor
from bench.backbones.feature_cache import Extraction
from bench.backbones.registry import BACKBONES, build_backbone, get_backbone, preprocess
from bench.core.errors import BenchError, StoreError, WeightsError
from bench.data.cache.rows import CheckedRows

LENET = get_backbone("lenet")


@dataclass
class FakePixels:
    """Images in memory with the face of `bench.data.pixels.Pixels`."""

    images: np.ndarray
    ok: np.ndarray = field(default_factory=lambda: np.ones(0, bool))
    key: str = "fake"
    origin: dict[str, str] = field(default_factory=lambda: {"task": "made", "source": "fake"})

    def __post_init__(self) -> None:
        if len(self.ok) == 0:
            self.ok = np.ones(len(self.images), bool)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def size(self) -> tuple[int, int]:
        return self.images.shape[1], self.images.shape[2]

    def batches(self, batch_size: int, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            yield part, self.images[part]


def _pixels(count: int, size: int = 32, seed: int = 0) -> Any:
    images = np.random.default_rng(seed).integers(0, 256, (300, size, size, 3), dtype=np.uint8)
    return FakePixels(images[:count])


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here cuts the power, and on a busy disk a sync takes seconds."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A net of numpy in the place of every engine; the list grows by one with each batch it sees."""
    seen: list[int] = []

    def extract(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return np.repeat(images.reshape(len(images), -1).mean(axis=1, keepdims=True), 84, axis=1).astype(
            np.float32
        )

    monkeypatch.setattr(Extractor, "load", lambda _: extract)
    return seen


def _ensure(pixels: Any, cache: Path, **changes: Any) -> Any:
    wanted = {
        "weights": "random",
        "preprocess": "backbone",
        "engine": "tensorflow",
        "cache": cache,
        **changes,
    }
    return Extraction(pixels, wanted.pop("info", LENET), **wanted).features()


ENGINES = ("tensorflow", "openvino")


@pytest.mark.parametrize(("name", "mode"), [("mobilenet_025", "backbone"), ("mobilenetv2_035", "unit")])
def test_features_are_those_of_predict(name: str, mode: str, tmp_path: Path) -> None:
    info, pixels = get_backbone(name), _pixels(100, 96)
    assert 1 < len(pixels) / batch_for((96, 96)) < 2
    net = build_backbone(info, (96, 96))
    expected = net.predict(preprocess(info, mode)(pixels.images), verbose=0)
    for engine in ENGINES:
        found = _ensure(pixels, tmp_path, info=info, preprocess=mode, engine=engine)
        assert found.shape == (100, info.features) and found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4 if engine == "tensorflow" else 1e-3)


def test_features_of_real_weights(tmp_path: Path, imagenet: Callable[[str], Path]) -> None:
    imagenet("mobilenet_2_5_224_tf_no_top.h5")
    info, pixels = get_backbone("mobilenet_025"), _pixels(20, 224)
    found = _ensure(pixels, tmp_path, info=info, weights="imagenet")
    net = build_backbone(info, (224, 224), "imagenet")
    expected = net.predict(preprocess(info)(pixels.images), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def _smallest_of_each_family() -> list[str]:
    families: dict[str, str] = {}
    nets = [info for info in BACKBONES.values() if info.is_net and info.reads == "pixels"]
    for info in sorted(nets, key=lambda info: info.parameters):
        families.setdefault(info.family, info.name)
    return sorted(families.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", _smallest_of_each_family())
def test_every_family_freezes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_PIXELS", 0)
    info = get_backbone(name)
    size = (info.min_size, info.min_size)
    net = build_backbone(info, size)
    images = np.random.default_rng(3).integers(0, 256, (batch_for(size), *size, 3), dtype=np.uint8)
    expected = np.asarray(net(preprocess(info)(images), training=False))
    for engine in ENGINES:
        found = load_engine(engine, net, preprocess(info), size)(images)
        np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-3, err_msg=engine)


def test_an_image_has_the_same_features_whatever_else_is_there(tmp_path: Path) -> None:
    many = _ensure(_pixels(300), tmp_path / "many")
    again = _ensure(_pixels(300), tmp_path / "again")
    few = _ensure(_pixels(40), tmp_path / "few")
    np.testing.assert_array_equal(many, again)
    np.testing.assert_array_equal(few, many[:40])


def test_another_process_computes_the_same_bits_without_tensorflow(tmp_path: Path) -> None:
    images = _pixels(40).images
    here = Extraction(_pixels(40), LENET, "random", "backbone", "openvino", tmp_path)
    expected = np.asarray(here.rows())
    batch = batch_for((32, 32))
    whole = np.zeros((batch, 32, 32, 3), np.uint8)
    whole[:40] = images
    np.save(tmp_path / "images.npy", whole)
    (tmp_path / "sent").write_bytes(pickle.dumps(here.sent()))
    code = """
        import pickle, sys
        from pathlib import Path
        import numpy as np
        folder = Path(sys.argv[1])
        sent = pickle.loads((folder / "sent").read_bytes())
        np.save(folder / "rows.npy", sent._extract(np.load(folder / "images.npy")))
        assert "tensorflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy")[:40], expected)


def test_batches_stay_in_order_and_are_filled_up() -> None:
    shapes = []

    def extract(images: np.ndarray) -> np.ndarray:
        shapes.append(images.shape)
        return images[:, 0, 0, :1].astype(np.float32)

    pixels = FakePixels(np.arange(23, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3))
    answers = list(run_engine(extract, pixels.batches(4, np.arange(23)), 4))
    assert shapes == [(4, 1, 1, 3)] * 6
    np.testing.assert_array_equal(np.concatenate([rows for rows, _ in answers]), np.arange(23))
    np.testing.assert_array_equal(np.concatenate([found for _, found in answers])[:, 0], np.arange(23))


@pytest.mark.parametrize(
    ("size", "batch"), [((224, 224), 16), ((16, 16), 128), ((64, 64), 128), ((600, 600), 2)]
)
def test_batch_for(size: tuple[int, int], batch: int) -> None:
    assert batch_for(size) == batch


def test_quarantined_rows_are_nan(tmp_path: Path, counted: list[int]) -> None:
    pixels = _pixels(300)
    pixels.ok[[0, 7, 8, 299]] = False
    found = _ensure(pixels, tmp_path)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), ~pixels.ok)
    means = pixels.images.reshape(300, -1).mean(axis=1).astype(np.float32)
    np.testing.assert_array_equal(found[pixels.ok, 5], means[pixels.ok])
    assert sum(counted) == 384


def test_second_call_computes_nothing(tmp_path: Path, counted: list[int]) -> None:
    first, batches = _ensure(_pixels(300), tmp_path), len(counted)
    second = _ensure(_pixels(300), tmp_path)
    np.testing.assert_array_equal(first, second)
    assert len(counted) == batches == 3
    assert isinstance(second, CheckedRows)


@pytest.mark.parametrize(
    "changes",
    [
        {"preprocess": "unit"},
        {"engine": "openvino"},
        {"pixels": "other"},
        {"weights": "a file"},
        {"precision": "mixed_bfloat16"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_could_differ_is_kept_apart(changes: dict[str, str], tmp_path: Path, counted: list[int]) -> None:
    _ensure(_pixels(30), tmp_path)
    pixels = _pixels(30)
    pixels.key = changes.pop("pixels", pixels.key)
    if "weights" in changes:
        changes["weights"] = str(tmp_path / "file.h5")
        Path(changes["weights"]).write_bytes(b"weights")
    _ensure(pixels, tmp_path, **changes)
    assert len(counted) == 2


def test_a_gpu_and_a_cpu_do_not_share_features(
    tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _ensure(_pixels(30), tmp_path)
    monkeypatch.setattr(features, "gpus", lambda: ("NVIDIA L4",))
    for engine in ("tensorflow", "openvino"):
        _ensure(_pixels(30), tmp_path, engine=engine)
    assert len(counted) == 3
    monkeypatch.setattr(features, "gpus", tuple)
    for engine in ("tensorflow", "openvino"):
        _ensure(_pixels(30), tmp_path, engine=engine)
    assert len(counted) == 3, "OpenVINO runs on the CPU whatever else is there"


def test_naming_the_backbones_own_preprocessing_changes_nothing(tmp_path: Path, counted: list[int]) -> None:
    _ensure(_pixels(30), tmp_path)
    _ensure(_pixels(30), tmp_path, preprocess="tf")
    assert len(counted) == 1


def test_cached_features_import_no_tensorflow(tmp_path: Path, counted: list[int]) -> None:
    _ensure(_pixels(30), tmp_path)
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from types import SimpleNamespace
        from bench.backbones.registry import get_backbone
        from bench.backbones.feature_cache import Extraction

        class Pixels(SimpleNamespace):
            def __len__(self):
                return 30

        pixels = Pixels(key="fake", size=(32, 32))
        wanted = ("random", "backbone", "tensorflow", Path(sys.argv[1]))
        found = Extraction(pixels, get_backbone("lenet"), *wanted).features()
        print(found.shape, sorted({"tensorflow", "keras", "openvino", "PIL"} & set(sys.modules)))
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "(30, 84) []"


def _break_after(batches: int) -> Callable[[int, int, str], None]:
    def progress(done: int, total: int, what: str) -> None:
        if done >= batches * 128:
            raise KeyboardInterrupt

    return progress


def test_interrupted_build_goes_on_where_it_stopped(
    tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SAVE_SECONDS", 0.0)
    pixels = _pixels(300)
    pixels.ok[[3, 200]] = False
    with pytest.raises(KeyboardInterrupt):
        _ensure(pixels, tmp_path, progress=_break_after(2))
    assert not list((tmp_path / "features").glob("*/features.json"))
    counted.clear()
    found = _ensure(pixels, tmp_path)
    assert len(counted) == 2
    np.testing.assert_array_equal(found, _ensure(pixels, tmp_path / "whole"))


@pytest.mark.parametrize("harm", ["rows", "done", "digests", "another's"])
def test_a_damaged_unfinished_build_changes_no_feature(
    harm: str,
    tmp_path: Path,
    counted: list[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(features, "SAVE_SECONDS", 0.0)
    pixels, whole = _pixels(300), np.asarray(_ensure(_pixels(300), tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        _ensure(pixels, tmp_path, progress=_break_after(2))
    [part] = (tmp_path / "features").glob("*.part")
    if harm == "another's":
        other = _pixels(300, seed=1)
        other.key = "other"
        with pytest.raises(KeyboardInterrupt):
            _ensure(other, tmp_path, progress=_break_after(2))
        [theirs] = set((tmp_path / "features").glob("*.part")) - {part}
        for path in theirs.iterdir():
            path.replace(part / path.name)
    else:
        path = part / {"rows": "features.npy", "done": "done.json", "digests": "digests.xxh3"}[harm]
        raw = bytearray(path.read_bytes())
        raw[min(300, len(raw) // 2)] ^= 1
        path.write_bytes(raw)
    np.testing.assert_array_equal(_ensure(pixels, tmp_path), whole)
    assert len(caplog.messages) == (harm == "rows")


def test_killed_build_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from bench.backbones import feature_cache
        from tests.backbones.test_feature_cache import _ensure, _pixels

        feature_cache.SAVE_SECONDS = 0.0
        os.fsync = lambda _: None

        def progress(done, total, what):
            if done >= 256:
                os.kill(os.getpid(), signal.SIGKILL)

        _ensure(_pixels(300), Path(sys.argv[1]), progress=progress)
        """
    )
    answer = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True)
    assert answer.returncode == -signal.SIGKILL
    assert not list((tmp_path / "features").glob("*/features.json"))
    seen: list[int] = []
    found = _ensure(_pixels(300), tmp_path, progress=lambda done, total, what: seen.append(done))
    assert seen[1] == 128
    np.testing.assert_array_equal(found, _ensure(_pixels(300), tmp_path / "whole"))


@pytest.mark.parametrize("harm", ["shorter", "empty", "no meta", "garbage"])
def test_damaged_cache_is_computed_again(harm: str, tmp_path: Path, counted: list[int]) -> None:
    expected = np.array(_ensure(_pixels(30), tmp_path))
    (folder,) = (path for path in (tmp_path / "features").iterdir() if path.is_dir())
    rows = folder / "features.npy"
    data = rows.read_bytes()
    rows.write_bytes(
        {"shorter": data[:-100], "empty": b"", "garbage": b"?" * len(data), "no meta": data}[harm]
    )
    if harm == "no meta":
        (folder / "features.json").unlink()
    np.testing.assert_array_equal(_ensure(_pixels(30), tmp_path), expected)
    assert len(counted) == 2


def test_meta_is_strict_json_with_the_whole_key(tmp_path: Path, counted: list[int]) -> None:
    _ensure(_pixels(30), tmp_path)
    (path,) = (tmp_path / "features").glob("*/features.json")
    meta = json.loads(path.read_text(encoding="utf-8"))
    assert meta["backbone"] == "lenet" and meta["preprocess"] == "tf" and meta["rows"]["shape"] == [30, 84]
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "digests.xxh3",
        "features.json",
        "features.npy",
    ]


def test_two_builders_compute_once(tmp_path: Path, counted: list[int]) -> None:
    answers: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: answers.append(_ensure(_pixels(300), tmp_path))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 3
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite(value: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(images: np.ndarray) -> np.ndarray:
        out = np.zeros((len(images), 84), np.float32)
        out[5, 3] = value
        return out

    monkeypatch.setattr(Extractor, "load", lambda _: extract)
    pixels = _pixels(30)
    pixels.ok[2] = False
    with pytest.raises(BenchError, match="lenet gives image 6 .* not finite .*weights random, preprocess tf"):
        _ensure(pixels, tmp_path)
    assert not [path for path in (tmp_path / "features").iterdir() if path.is_dir()]


def test_cache_that_cannot_be_written(tmp_path: Path, counted: list[int]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written .*--cache DIR") as caught:
        _ensure(_pixels(30), tmp_path / "file")
    assert "\n" not in str(caught.value)


def test_disk_without_room(tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(StoreError, match="No space left on device"):
        _ensure(_pixels(30), tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(StoreError, match="make room"):
        _ensure(_pixels(30), tmp_path)
    assert counted == []


def test_missing_weights_leave_the_cache_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        _ensure(_pixels(30), tmp_path, weights="imagenet")
    with pytest.raises(WeightsError):
        _ensure(_pixels(30), tmp_path, weights=str(tmp_path / "nowhere.h5"))
    assert not (tmp_path / "features").exists()


def test_openvino_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BenchError, match="pip install openvino, or --set engine=tensorflow"):
        _ensure(_pixels(30), tmp_path, engine="openvino")


def test_net_too_large_to_freeze_runs_unfrozen(monkeypatch: pytest.MonkeyPatch) -> None:
    net, images = build_backbone(LENET, (32, 32)), _pixels(128).images
    frozen = load_engine("tensorflow", net, preprocess(LENET), (32, 32))(images)
    monkeypatch.setattr(engines, "_FREEZE_LIMIT", 0)
    plain = load_engine("tensorflow", net, preprocess(LENET), (32, 32))(images)
    np.testing.assert_allclose(frozen, plain, atol=1e-5)
