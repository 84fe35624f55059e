"""What a hostile file, name or neighbour could try: leave the folder, run code, fill the memory."""

from __future__ import annotations

import io
import json
import os
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.weights import check_claims, load_file
from bench.compare.baselines.find import load_baseline
from bench.core.array_files import read_arrays
from bench.core.atomic_files import replacing
from bench.core.errors import BenchError, WeightsError
from bench.core.regular_files import Refused
from bench.data.corrections import Suspect, write_suspects
from bench.data.files import DataFolder
from bench.data.task_card import load_card
from bench.store.mlflow_export import store_uri
from bench.store.places import cell_path
from bench.store.read import RESULT
from bench.store.tensorboard_export import write_logs
from bench.store.write import Store
from tests.commands.test_main import bench
from tests.grids import become, grid

UP = ("..", "../..", "../../etc", "/etc", "a/../../b", "..\\..", ".", "%2e%2e", "a\0b")


# Names that lead elsewhere


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A results folder with one cell, beside a folder that looks like another one."""
    grid(tmp_path / "results", {"none": 0.5}, seeds=(0,), n=12, k=3)
    grid(tmp_path / "fashion", {"focal": 0.5}, seeds=(0,), n=12, k=3)
    return tmp_path / "results"


@pytest.mark.parametrize("name", UP)
@pytest.mark.parametrize(
    "line",
    [
        "show {}",
        "results --task {}",
        "leaderboard --task {}",
        "report --out out --task {}",
        "compare --task {}",
        "baseline pin mine --task {}",
        "baseline pin {} --task fashion",
        "compare --task fashion --baseline {}",
        "run --task {}",
        "plan --task {} ",
        "data draw --task {} --out out",
    ],
)
def test_names_are_not_paths(
    results: Path, line: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCH_RESULTS", str(results))
    monkeypatch.setenv("BENCH_BASELINES", str(tmp_path / "baselines"))
    (tmp_path / "baselines").mkdir()
    monkeypatch.chdir(tmp_path)
    before = {path for path in tmp_path.parent.rglob("*") if path.is_file()}
    done = bench(*(part.format(name) for part in line.split()))
    assert isinstance(done.exception, BenchError), done.output
    assert {path for path in tmp_path.parent.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", UP)
def test_cards_and_baselines_are_found_by_name_only(tmp_path: Path, name: str) -> None:
    for find in (lambda: load_card(name, [tmp_path]), lambda: load_baseline("fashion", name, [tmp_path])):
        with pytest.raises(BenchError, match="unknown"):
            find()


def _edit(results: Path, changes: dict[str, str]) -> None:
    """Write the one cell by hand as another one's, with the digests, the id and the place that go with it."""
    (path,) = results.rglob(RESULT)
    folder = become(path.parent, lambda record: record["cell"].update(changes))
    record = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    cell = record["cell"]
    names = cell["task"], cell["backbone"], cell["method_text"], cell["seed"], record["id"]
    place = results.joinpath(*cell_path(*names))
    place.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(place)


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="TensorBoard is not installed")
@pytest.mark.parametrize("stage", ["..", "../..", "/tmp", "a/b", "\x1b[2J"])
def test_an_edited_record_leads_no_log_out_of_its_folder(results: Path, tmp_path: Path, stage: str) -> None:
    _edit(results, {"stage": stage})
    cells, _ = Store(results).load()
    write_logs(cells, tmp_path / "logs" / "deep")
    logs = [path.parent.relative_to(tmp_path / "logs" / "deep").parts for path in tmp_path.rglob("events*")]
    assert len(logs) == 1 and len(logs[0]) == 5 and ".." not in logs[0]


@pytest.mark.parametrize("text", ["runs?mode=memory", "a%2F..%2F..%2Fb.db", "%2e%2e/x.db"])
def test_a_database_is_the_file_that_was_named(text: str) -> None:
    with pytest.raises(BenchError, match="has a special meaning in a URI"):
        store_uri(text)


@pytest.mark.skipif(find_spec("mlflow") is None, reason="the extra `mlflow` is not installed")
def test_runs_of_a_hostile_record_stay_beside_the_database(results: Path, tmp_path: Path) -> None:
    from bench.store.mlflow_export import log_cells

    _edit(results, {"task": "../../../x", "stage": "../..", "method_text": "a/../../b"})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "out").mkdir()
    log_cells(Store(results).load()[0], str(tmp_path / "out" / "runs.db"))
    fresh = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert len(fresh) == 4 and all(path.is_relative_to(tmp_path / "out") for path in fresh)


# Links, and folders that become links


def test_a_folder_swapped_for_a_link_after_it_was_looked_at_is_refused(tmp_path: Path) -> None:
    """What lies inside is asked once for each folder; files are opened long after."""
    for place in ("data/images", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "a.jpg").write_bytes(place.encode())
    folder = DataFolder(tmp_path / "data")
    assert folder.read("images/a.jpg") == b"data/images"
    (tmp_path / "data" / "images").rename(tmp_path / "data" / "away")
    (tmp_path / "data" / "images").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="link"):
        folder.read("images/a.jpg")


def test_a_folder_that_is_a_link_only_while_the_file_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("data/images", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "a.jpg").write_bytes(place.encode())
    folder, images = DataFolder(tmp_path / "data"), tmp_path / "data" / "images"
    folder.holds("images")
    real = os.open

    def swapped(path: Any, *rest: Any, **more: Any) -> int:
        images.rename(tmp_path / "data" / "away")
        images.symlink_to(tmp_path / "elsewhere")
        try:
            return real(path, *rest, **more)
        finally:
            images.unlink()
            (tmp_path / "data" / "away").rename(images)

    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(Refused, match="replaced by a link"):
        folder.open("images/a.jpg")


def test_no_link_at_a_guessed_name_is_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "shared"
    out.mkdir()
    for name in (".review.csv.part", ".review.csv", ".index.html.tmp"):
        (out / name).symlink_to(victim)
    write_suspects(out / "review.csv", [Suspect("1", "a", "b", 0.5, "why", "1.jpg")])
    assert victim.read_text() == "precious" and (out / "review.csv").read_text().startswith("item,")


def test_a_link_at_the_place_itself_is_replaced_not_followed(tmp_path: Path) -> None:
    victim, place = tmp_path / "victim", tmp_path / "out.csv"
    victim.write_text("precious")
    place.symlink_to(victim)
    with replacing(place) as fresh:
        fresh.write_text("new")
    assert victim.read_text() == "precious" and place.read_text() == "new" and not place.is_symlink()


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("confusion {cell} --out {out}/matrix.png", "matrix.png"),
        ("export --out {out}/all.csv", "all.csv"),
        ("report --out {out}", "index.html"),
        ("report --out {out}", "plots/fashion-top20-leaderboard.svg"),
    ],
)
def test_a_command_replaces_a_link_at_the_place_of_its_output(
    results: Path, tmp_path: Path, line: str, place: str
) -> None:
    """Neither is a pipe there waited for."""
    victim, written = tmp_path / "victim", tmp_path / "out" / place
    victim.write_text("precious")
    written.parent.mkdir(parents=True)
    written.symlink_to(victim)
    [stored] = Store(results).load()[0]
    typed = line.format(cell=stored.id[:8], out=tmp_path / "out")
    assert bench(*typed.split(), "--results", str(results)).exception is None
    assert victim.read_text() == "precious" and written.is_file() and not written.is_symlink()


def test_what_is_replaced_follows_the_umask_and_stays_after_an_error(tmp_path: Path) -> None:
    place = tmp_path / "out.csv"
    before = os.umask(0o027)
    try:
        with replacing(place) as fresh:
            fresh.write_text("old")
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o777 == 0o640
    with pytest.raises(ValueError, match="stop"), replacing(place) as fresh:
        fresh.write_text("half")
        raise ValueError("stop")
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"] and place.read_text() == "old"


# Bombs


def npz(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def npy(shape: str, dtype: str = "<f8") -> bytes:
    """Return the header of an array of this shape, and no numbers."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "data",
    [
        npy("(10**15,)"),
        npy(f"({10**15},)"),
        npy(f"({10**9}, {10**9})"),
        npy("(1,)", "|O") + b"cos\nx\n.",
    ],
)
def test_arrays_that_claim_more_than_they_hold_or_run_code_are_refused(tmp_path: Path, data: bytes) -> None:
    from bench.core.array_files import UNREADABLE

    with pytest.raises(UNREADABLE):
        read_arrays(npz(tmp_path / "x.npz", {"facts": data}))


def test_compressed_arrays_and_overlapping_members_are_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.save(whole, np.zeros(1 << 20))
    with pytest.raises(ValueError, match="compressed"):
        read_arrays(npz(tmp_path / "a.npz", {"a": whole.getvalue()}, zipfile.ZIP_DEFLATED))
    path = npz(tmp_path / "b.npz", {"a": whole.getvalue()})
    data = path.read_bytes()
    # The directory names the one member twenty times.
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[start:end]
    entries = b"".join(entry.replace(b"a.npy", b"%c.npy" % (97 + place)) for place in range(20))
    tail = bytearray(data[end:])
    tail[8:12] = (20).to_bytes(2, "little") * 2
    tail[12:16] = len(entries).to_bytes(4, "little")
    path.write_bytes(data[:start] + entries + tail)
    with pytest.raises(ValueError, match="claims more than it holds"):
        read_arrays(path)


def test_weights_that_claim_more_than_they_hold_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "net.weights.h5"
    with h5py.File(path, "w") as store:
        store.create_dataset("layers/vars/0", (1 << 34,), "f4", chunks=(1 << 16,), compression="gzip")
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ValueError, match="claims 65,536 MiB"):
        check_claims(path)
    inside = io.BytesIO()
    with h5py.File(inside, "w") as store:
        store.create_dataset("x", data=np.zeros(1 << 25, np.float32))
    with zipfile.ZipFile(tmp_path / "net.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", inside.getvalue())
    with pytest.raises(ValueError, match="claims 128 MiB"):
        check_claims(tmp_path / "net.keras")


@pytest.mark.parametrize("name", ["net.weights.json", "net", "net.npz", "net.pkl"])
def test_weights_of_another_ending_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(WeightsError, match="must end in"):
        load_file(None, tmp_path / name, "lenet")


def test_a_lambda_layer_in_a_weights_file_does_not_run(tmp_path: Path) -> None:
    """Of a .keras file only the numbers are read; the code in it would write a file."""
    keras = pytest.importorskip("keras")
    from bench.backbones.registry import build_backbone, get_backbone

    net = build_backbone(get_backbone("lenet"), (32, 32))
    path, mark = tmp_path / "net.keras", tmp_path / "ran"
    net.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    code = keras.layers.Lambda(lambda x, open=open, mark=str(mark): [open(mark, "w").close(), x][1])
    config = json.loads(members["config.json"])
    config["config"]["layers"].append(keras.saving.serialize_keras_object(code))
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    other = build_backbone(get_backbone("lenet"), (32, 32), "random", 5)
    load_file(other, path, "lenet")
    assert not mark.exists()
    for one, two in zip(net.variables, other.variables, strict=True):
        np.testing.assert_array_equal(one.value.numpy(), two.value.numpy())


@pytest.mark.parametrize("kind", ["external", "virtual", "soft"])
def test_weights_that_point_to_other_files_are_refused(tmp_path: Path, kind: str) -> None:
    h5py = pytest.importorskip("h5py")
    from bench.backbones.registry import build_backbone, get_backbone

    net = build_backbone(get_backbone("lenet"), (32, 32))
    path = tmp_path / "net.weights.h5"
    net.save_weights(path)
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(path, "r+") as store:
        name = next(iter(store["layers"]))
        if kind == "soft":
            del store["layers"]
            store["layers"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/layers")
        else:
            held = store[f"layers/{name}/vars"]
            shape = held["0"].shape
            del held["0"]
            if kind == "external":
                pipe = [(str(tmp_path / "pipe"), 0, h5py.h5f.UNLIMITED)]
                held.create_dataset("0", shape, "f4", external=pipe)
            else:
                layout = h5py.VirtualLayout(shape, "f4")
                layout[:] = h5py.VirtualSource(str(tmp_path / "pipe"), "x", shape)
                held.create_virtual_dataset("0", layout)
    with pytest.raises(WeightsError, match="does not fit lenet"):
        load_file(net, path, "lenet")
