"""What is fuzzed: every reader of what strangers write, as a function of bytes, with inputs that are whole.

A target returns for any bytes, within seconds and a gigabyte, or raises one of the errors that it announces:
those that become a line. Anything else is a finding.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.keras_config import Unsupported
from bench.backbones.onnx_file import read_onnx
from bench.backbones.vectors import _read as read_features
from bench.backbones.weights import check_claims
from bench.commands.experiment import options_from
from bench.commands.options import experiment_params
from bench.compare.baselines.read import read_baseline
from bench.core.array_files import write_arrays
from bench.core.errors import BenchError
from bench.core.paths import shipped
from bench.core.regular_files import Refused
from bench.core.sealed_json import DIGEST, seal
from bench.core.stage_values import parse_set
from bench.data.cache.sealed import Damaged, write_checked
from bench.data.corrections import corrected
from bench.data.examples import ImageError
from bench.data.hashing import CACHE_VERSION, hashes_file, read_hashes
from bench.data.images import FORMATS, decode, resize
from bench.data.kaggle import open_kaggle
from bench.data.label_file import open_label_file
from bench.data.layout import Layout
from bench.data.listings import open_listings
from bench.data.near_duplicate_cache import read_near_duplicates
from bench.data.pair_lists import BadList, parse_pairs
from bench.data.person_folders import open_people
from bench.data.photo_table import open_photo_table
from bench.data.task_card import find_cards, read_card
from bench.inference.class_lists import read_classes
from bench.kinds.verification.model_file import load_match
from bench.kinds.verification.predictor import read_pairs
from bench.methods.grammar import parse_methods, problems_for
from bench.runs.plan import parse_seeds
from bench.store.digests import FILES, file_facts
from bench.store.experiment_file import read_experiment
from bench.store.head_file import load_head, saved_head
from bench.store.read import MODEL, PER_CLASS, PREDICTIONS, RESULT, TRIALS, FileFault, Stored, read_cell
from bench.training.nets.checkpoints import read_checkpoint
from tests.backbones.test_onnx import model as onnx_model
from tests.data.folders import encoded, picture
from tests.grids import grid
from tests.inference.test_predict import CLASSES, SIZE, cell_of, drawn_head
from tests.kinds.verification.test_model_file import some_match

Run = Callable[[Path, bytes], object]


@dataclass(frozen=True)
class Target:
    """run: reads bytes, in a folder of its own. seeds: inputs that are whole. allowed: what it may raise."""

    run: Run
    seeds: Callable[[], list[bytes]]
    allowed: tuple[type[Exception], ...] = (BenchError,)


def _hashes() -> list[bytes]:
    """Return files of hashes, without their digest, that remember no file of their folder, and one."""
    none, one = (struct.pack("<qq", CACHE_VERSION, count) for count in (0, 1))
    return [none + b"/data", one + struct.pack("<3q", 7, 8, 9) + bytes(32) + b"/data\0a.jpg"]


def _checked(name: str, read: Callable[[Path], object]) -> Run:
    """Return a target that writes a file of the cache with a digest that fits, and reads it."""

    def run(folder: Path, data: bytes) -> object:
        write_checked(folder / name, data)
        return read(folder / name)

    return run


def _file(name: str, read: Callable[[Path], object]) -> Run:
    """Return a target that writes a file of this name and reads it."""

    def run(folder: Path, data: bytes) -> object:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return read(path)

    return run


def _photos(folder: Path) -> Path:
    """Return a data folder with a few photos."""
    data = folder / "data"
    if not (data / "images").is_dir():
        (data / "images").mkdir(parents=True)
        for name in ("1", "2", "3"):
            (data / "images" / f"{name}.jpg").write_bytes(encoded(picture(int(name), 12, 10)))
    return data


def _table(name: str, read: Callable[[Path, Path], Any]) -> Run:
    """Return a target that reads a data folder with this table beside photos."""

    def run(folder: Path, data: bytes) -> object:
        place = _photos(folder)
        (place / name).write_bytes(data)
        return read(place, folder / "cache").fingerprint

    return run


def _card(path: Path) -> object:
    card = read_card(path)
    for drawn in card.grids.values():
        parse_seeds(drawn.seeds)
        for method in parse_methods(",".join(drawn.methods) or "none"):
            problems_for(method, card.kind, "frozen")
    return card.layers("frozen", {}), card.layers("finetune", {})


def _cards() -> list[bytes]:
    cards = ((name.encode(), path.read_bytes()) for name, path in find_cards([shipped("tasks")]).items())
    return [card.replace(b'name = "%s"' % name, b'name = "fuzz"', 1) for name, card in cards]


def _baseline(path: Path) -> object:
    baseline = read_baseline(path)
    if baseline.pinned is not None:
        for result in baseline.pinned.results:
            for seed in result.runs:
                baseline.pinned.predictions(result, seed)
    return baseline


def _baselines() -> list[bytes]:
    files = sorted(shipped("baselines").glob("*/*.json"), key=lambda path: path.stat().st_size)
    out = []
    for path in (*files[:2], *(path for path in files if path.stem == "drawn-tiny")):
        raw = json.loads(path.read_bytes())
        out.append(json.dumps({**raw, "name": "fuzz", "task": "fuzz"}).encode())
    return out


@cache
def _stored(place: Path) -> Stored:
    """Return a cell in a folder of its own."""
    grid(place / "results", {"none": 0.5}, seeds=(0,), n=12, k=3)
    (path,) = (place / "results").rglob(RESULT)
    cell = read_cell(path.parent)
    assert isinstance(cell, Stored)
    return cell


def _result(folder: Path, data: bytes) -> object:
    place = _stored(folder).folder
    # As it is, and with a digest that fits.
    for content in (data, seal(data.decode("utf-8", "replace"))):
        (place / RESULT).write_bytes(content)
        if isinstance(cell := read_cell(place), Stored):
            return cell.result, cell.splits()
    return cell


def _records() -> list[bytes]:
    with _scratch() as folder:
        record = dict(_stored(folder).record)
        _stored.cache_clear()
        del record[DIGEST]
        return [json.dumps(record, indent=1).encode()]


def _beside(name: str, read: Callable[[Stored], object]) -> Run:
    """Return a target that writes a file of a cell, and its digest into the record, and reads it."""

    def run(folder: Path, data: bytes) -> object:
        cell = _stored(folder)
        (cell.folder / name).write_bytes(data)
        facts = file_facts([cell.folder / name])
        return read(Stored(cell.folder, {**cell.record, FILES: {**cell.record[FILES], **facts}}))

    return run


def _seeds_of(name: str) -> Callable[[], list[bytes]]:
    def read() -> list[bytes]:
        with _scratch() as folder:
            cell = _stored(folder)
            _stored.cache_clear()
            return [(cell.folder / name).read_bytes()]

    return read


@contextmanager
def _scratch() -> Iterator[Path]:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="bench-fuzz-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _experiment(path: Path) -> object:
    return options_from(read_experiment(path), experiment_params(), str(path), path.parent)


def _features(path: Path) -> object:
    return read_features.__wrapped__(str(path), "")


def _parquet(columns: Callable[[], dict[str, Any]]) -> Callable[[], list[bytes]]:
    def written() -> list[bytes]:
        import pyarrow.parquet

        table = pyarrow.table(columns())
        out = []
        for compression in ("none", "snappy"):
            pyarrow.parquet.write_table(table, file := io.BytesIO(), compression=compression)
            out.append(file.getvalue())
        return out

    return written


def _shard() -> dict[str, Any]:
    photos = [{"bytes": encoded(picture(number, 12, 10)), "path": f"{number}.jpg"} for number in range(3)]
    return {
        "image": photos,
        "kind": ["a", "b", "a"],
        "split": ["train", "test", None],
        "price": [1.5, 2, 3],
        "owner": ["x", "x", "y"],
    }


def _vectors() -> dict[str, Any]:
    return {"ids": ["1", "2", "3"], "features": [[0.5, 1.5], [2.5, 3.5], [4.5, 5.5]]}


def _feature_files() -> list[bytes]:
    ids, features = map(np.array, _vectors().values())
    out = []
    for save in (np.savez, np.savez_compressed):
        save(file := io.BytesIO(), ids=ids, features=features)
        out.append(file.getvalue())
    return out


def _onnx() -> list[bytes]:
    with _scratch() as folder:
        shapes = ((None, 3, 32, 32), (1, 24, 32, 3))
        return [onnx_model(folder / "net.onnx", shape).read_bytes() for shape in shapes]


def _people(folder: Path, data: bytes) -> object:
    place = folder / "people"
    if not place.is_dir():
        for person in ("Ann", "Bo", "Cy"):
            (place / "lfw" / person).mkdir(parents=True)
            for number in (1, 2):
                photo = place / "lfw" / person / f"{person}_000{number}.jpg"
                photo.write_bytes(encoded(picture(number, 12, 10)))
    for name in ("pairsDevTrain.txt", "pairs.txt"):
        (place / name).write_bytes(data)
    return open_people(place, folder / "cache", ("person",)).pair_lists


def _corrections(path: Path) -> object:
    folder = _photos(path.parent)
    (folder / "styles.csv").write_bytes(_STYLES)
    examples = open_kaggle(folder, path.parent / "cache", ("articleType", "year"))
    return corrected(examples, "articleType", path)


def _text(read: Callable[[str], object]) -> Run:
    # Arguments come as the system gives them: undecodable bytes as surrogates.
    return lambda _, data: read(data.decode("utf-8", "surrogateescape"))


def _methods(text: str) -> object:
    found = parse_methods(text)
    assert [parse_methods(method.text) for method in found] == [[method] for method in found]
    return [problems_for(method, "multiclass", "frozen") for method in found]


def _image(_: Path, data: bytes) -> object:
    return resize(decode(data), (8, 8), "pad").sum()


def _images() -> list[bytes]:
    out = [encoded(picture(3, 20, 16), form) for form in FORMATS]
    wide = np.arange(320, dtype=np.uint16).reshape(20, 16) * 200
    out += [encoded(wide, form) for form in ("PNG", "TIFF")]
    out += [encoded(picture(3, 20, 16), "TIFF", compression=kind) for kind in ("tiff_lzw", "packbits")]
    return out


def _heads() -> list[bytes]:
    with _scratch() as folder:
        head = drawn_head(84, np.random.default_rng(0))
        return [saved_head(cell_of("frozen"), CLASSES, SIZE, "softmax", head).save(folder).read_bytes()]


def _matches() -> list[bytes]:
    with _scratch() as folder:
        return [some_match().save(folder).read_bytes()]


def _claims(path: Path) -> None:
    check_claims(path)


def _weights() -> list[bytes]:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as store:
        store.create_dataset("layers/dense/vars/0", data=np.zeros((4, 3), np.float32), compression="gzip")
        store.attrs["layer_names"] = [b"dense"]
    return [file.getvalue()]


def _arrays() -> list[bytes]:
    text = b'{"version":1,"step":1,"best_epoch":1,"best_cost":1.0,"history":[]}'
    facts = np.frombuffer(text, np.uint8)
    with _scratch() as folder:
        arrays: dict[str, np.ndarray] = {
            "facts": facts,
            "memory": np.zeros(3),
            "state_00000": np.zeros((2, 2), np.float32),
        }
        return [write_arrays(folder / "x.npz", arrays).read_bytes()]


_STYLES = (
    b"id,gender,articleType,year,productDisplayName\n"
    b'1,Men,Shirts,2011,a shirt\n2,Women,Tops,2012,"b, top"\n3,Men,Shirts,2013,c\n'
)
_LISTINGS = (
    b"image,category,seller_id,price,listing\n"
    b"1,Dress,a,12.50,l1\n2,Shoes,b,\xe2\x82\xac 3,l2\n3,Dress,a,,l1\n"
)
_LABELS = b"image,red,round,season\n1.jpg,1,0,summer\n2.jpg,NA,1,winter\n3.jpg,0,,summer\n"
_PAIR_LIST = b"2\nAnn\t1\t2\nBo\t1\t2\nAnn\t1\tBo\t2\nAnn\t2\tCy\t1\n"
_TABLE = b"image,kind,split,price,owner\n1.jpg,a,train,3.5,x\n2.jpg,b,test,,x\n3.jpg,a,val,1,y\n"
_ATTRIBUTES = b"image\tred\tround\n1.jpg\t1\t0\n2.jpg\tyes\t\n3.jpg\t0\tno\n"
_LAYOUT = Layout(label="kind", split="split", price="price", group="owner")
_FAULTS = (OSError, ValueError, LookupError, RuntimeError, NotImplementedError)
"""What `load_file` makes one line of."""

TARGETS: dict[str, Target] = {
    "card": Target(_file("fuzz/task.toml", _card), _cards),
    "styles": Target(
        _table("styles.csv", lambda data, cache: open_kaggle(data, cache, ("articleType", "year"))),
        lambda: [_STYLES],
    ),
    "listings": Target(
        _table("listings.csv", lambda data, cache: open_listings(data, cache, ("category", "group"))),
        lambda: [_LISTINGS],
    ),
    "labels": Target(
        _table("label.csv", lambda data, cache: open_label_file(data, cache, ())),
        lambda: [_LABELS, b"1.jpg 1 0\n2.jpg 0 NA\n"],
    ),
    "pair_list": Target(
        lambda _, data: parse_pairs(data), lambda: [_PAIR_LIST, b"1 1\nAnn 1 2\nAnn 1 Bo 1\n"], (BadList,)
    ),
    "people": Target(_people, lambda: [_PAIR_LIST]),
    "pairs_csv": Target(_file("pairs.csv", read_pairs), lambda: [b"first,second\na.jpg,b.jpg\n"]),
    "baseline": Target(_file("fuzz/fuzz.json", _baseline), _baselines),
    "classes_toml": Target(
        _file("classes.toml", read_classes), lambda: [b'meta_train = ["a", "b"]\nmeta_test = ["c"]\n']
    ),
    "classes_csv": Target(
        _file("classes.csv", read_classes), lambda: [b"class,part\na,meta_train\nb,meta_test\n"]
    ),
    "corrections": Target(
        _file("review.csv", _corrections),
        lambda: [b"item,given,suggested,score,reason,image,use\n1,Shirts,Tops,0.1,x,images/1.jpg,Tops\n"],
    ),
    "result": Target(_result, _records, (FileFault,)),
    "predictions": Target(
        _beside(PREDICTIONS, lambda cell: cell.predictions()), _seeds_of(PREDICTIONS), (FileFault,)
    ),
    "per_class": Target(
        _beside(PER_CLASS, lambda cell: cell.per_class),
        _seeds_of(PER_CLASS),
        (FileFault,),
    ),
    "history": Target(
        _beside("history.csv", lambda cell: cell.history),
        _seeds_of("history.csv"),
        (FileFault,),
    ),
    "trials": Target(
        _beside(TRIALS, lambda cell: cell.trials),
        lambda: [b"trial,method,lr,l2,reason,chosen,val_auc\n1,none,.1,auto,,1,.5\n2,none,.2,auto,NaN,0,\n"],
        (FileFault,),
    ),
    "image": Target(_image, _images, (ImageError,)),
    "set": Target(
        _text(parse_set),
        lambda: [b"epochs=5", b"remaining.lr=1e-4", b"input_size=64x32", b"staged=true", b"layers=a,b:c"],
    ),
    "method": Target(
        _text(_methods),
        lambda: [
            b"oversample+class_weight,none",
            b"focal(gamma=1|3)",
            b"clean(confident)+gce",
            b"mlp(units=64)",
        ],
    ),
    "seeds": Target(_text(parse_seeds), lambda: [b"0-2", b"0,3,5", b"7"]),
    "model": Target(_file(MODEL, lambda path: load_head(path.parent)), _heads),
    "match": Target(_file(MODEL, lambda path: load_match(path.parent)), _matches),
    "checkpoint": Target(_file("x.npz", read_checkpoint), _arrays),
    "weights": Target(_file("net.weights.h5", _claims), _weights, _FAULTS),
    "hashes": Target(_checked(hashes_file("/data"), read_hashes), _hashes, (Damaged,)),
    "near_duplicates": Target(
        _checked("x.bin", read_near_duplicates),
        lambda: [bytes(16), struct.pack("<4q", 0, 3, 2, 3)],
        (Damaged,),
    ),
    "experiment": Target(
        _file("experiment.toml", _experiment),
        lambda: [
            b'task = "fashion"\nmethods = ["none"]\nseeds = "0-1"\n[settings]\nlr = 1e-4\nremaining.lr = 1\n'
        ],
    ),
    "photo_table": Target(
        _table(
            "photos.csv", lambda data, cache: open_photo_table(data, cache, _LAYOUT.needed, False, _LAYOUT)
        ),
        lambda: [_TABLE],
    ),
    "attribute_table": Target(
        _table(
            "photos.tsv", lambda data, cache: open_photo_table(data, cache, (), False, Layout(attributes=()))
        ),
        lambda: [_ATTRIBUTES],
    ),
    "shard": Target(
        _table(
            "photos.parquet",
            lambda data, cache: open_photo_table(data, cache, _LAYOUT.needed, False, _LAYOUT),
        ),
        _parquet(_shard),
    ),
    "features_npz": Target(_file("features.npz", _features), _feature_files),
    "features_parquet": Target(_file("features.parquet", _features), _parquet(_vectors)),
    "onnx": Target(_file("net.onnx", read_onnx), _onnx, (Unsupported, Refused)),
}
