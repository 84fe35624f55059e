"""The device that nets run on, said without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.core import devices, environment
from bench.core.processor import same_processor

ONE, OTHER = "NVIDIA H200", "NVIDIA L4"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two GPUs and the libraries for them, as its driver describes it."""
    for address, model in (("0000:01:00.0", ONE), ("0000:02:00.0", OTHER)):
        folder = tmp_path / address
        folder.mkdir()
        text = f"Model: \t\t {model}\nIRQ:   \t\t 90\nGPU UUID: \t GPU-1\n"
        (folder / "information").write_text(text, encoding="utf-8")
    monkeypatch.setattr(devices, "DRIVER", tmp_path)
    monkeypatch.setattr(devices, "_libraries", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, (ONE, OTHER)),
        ("1", (OTHER,)),
        ("1,0", (OTHER, ONE)),
        ("GPU-1", (ONE,)),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", (ONE,)),
        ("2", ()),
    ],
)
def test_gpus_are_those_that_cuda_would_show(
    driver: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, found: tuple[str, ...]
) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.gpus() == found
    assert environment.record()["device"] == (found[0] if found else "cpu")


def test_there_are_none_without_a_driver_or_libraries(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_libraries", lambda: False)
    assert devices.gpus() == () and devices.device() == "cpu"
    monkeypatch.setattr(devices, "_libraries", lambda: True)
    monkeypatch.setattr(devices, "DRIVER", driver / "nowhere")
    assert devices.gpus() == ()


def test_tensorflow_is_asked_once_it_is_there(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tensorflow(*found: str) -> Any:
        details = SimpleNamespace(get_device_details=lambda gpu: {"device_name": gpu})
        config = SimpleNamespace(list_physical_devices=lambda kind: list(found), experimental=details)
        return SimpleNamespace(config=config)

    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow())
    assert devices.device() == "cpu", "it found no library, whatever the driver says"
    monkeypatch.setitem(sys.modules, "tensorflow", tensorflow(OTHER))
    assert devices.device() == OTHER


def test_the_record_imports_no_tensorflow() -> None:
    code = (
        "import sys; from bench.core import environment; found = environment.record('mixed_bfloat16');"
        "print(found['device'], found['precision'], 'tensorflow' in sys.modules, 'nvidia' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1:3] == ["mixed_bfloat16", "False"]


def test_other_devices_are_other_processors() -> None:
    cpu = {"processor": "EPYC", "device": "cpu"}
    assert same_processor(cpu, cpu) and not same_processor(cpu, {**cpu, "device": ONE})
    assert same_processor({"processor": "EPYC"}, cpu), "older records do not say"
