"""Data without a card: `bench run --data DIR`, `bench init`, and one line for what cannot be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.core.kind import KINDS
from bench.data.layout import Layout
from bench.data.own_card import card_text, own_card, task_name
from bench.data.survey import DataQuery, survey
from bench.data.task_card import card_of_text, read_card
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from tests.data.layouts import as_csv, as_folders, as_kaggle, as_parquet, put, shots
from tests.data.test_photo_table import CELEBA, opened, photo, table

PHOTOS = shots(4)


def bench(*args: str) -> Any:
    return cli.main(list(args), standalone_mode=False)


def planned(request: Request, tasks: Path | None = None) -> Plan:
    """Return the plan of a request without training weights: handcrafted features need none."""
    cache = request.data.parent / "cache" if request.data is not None else Path("none")
    card, examples = open_task(request, [] if tasks is None else [tasks], cache)
    return make_plan(card, request, examples)


def test_init_says_what_it_found_and_writes_a_card_that_runs_the_same_cells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    as_folders(tmp_path / "my photos", PHOTOS, published=True)
    bench("init", "my photos")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "my-photos: multiclass",
        "  12 photos in 3 class folders",
        "  published split: train 6, val 3, test 3",
        "wrote tasks/my-photos/task.toml",
        "next:",
        "  bench data check --task my-photos --tasks tasks --data 'my photos'",
        "  bench run --task my-photos --tasks tasks --data 'my photos'",
    ]
    own = planned(Request("", tmp_path / "my photos", backbones=("grey",)))
    written = planned(Request("my-photos", tmp_path / "my photos", backbones=("grey",)), tmp_path / "tasks")
    assert [cell.id for cell in own.cells] == [cell.id for cell in written.cells] and len(own.cells) == 9
    with pytest.raises(BenchError, match="exists already, perhaps edited"):
        bench("init", "my photos")


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_of_every_kind_has_methods_that_can_run(kind: str, tmp_path: Path) -> None:
    rows = [["file", "who", "wet", "cold", "fold", "Preis", "name", "seller"]]
    rows += [
        [f"{n}.png", "abc"[n % 3], str(n % 2), str(n // 9), "test" if n < 6 else "train", "3", f"n{n}", "s"]
        for n in range(18)
    ]
    folder = table(tmp_path / "d" / "t.csv", *rows, photos=[f"{n}.png" for n in range(18)])
    label = {"multilabel": ("wet", "cold")}.get(kind, ("who",))
    split = {} if kind == "verification" else {"split": "fold"}
    roles = {**split, "price": "Preis", "title": "name"}
    request = Request("", folder, backbones=("grey",), label=label, kind=kind, columns=roles)
    plan = planned(request)
    assert plan.cells and not plan.skipped and plan.card.kind == kind
    assert plan.card.name == "d" and plan.card.titles == "name" and plan.card.columns.price == "Preis"


def test_the_label_and_the_roles_are_part_of_the_identity(tmp_path: Path) -> None:
    rows = [["file", "label", "shape", "fold"]]
    rows += [[f"{n}.png", "ab"[n % 2], "xy"[n // 6], "test" if n < 3 else "train"] for n in range(12)]
    folder = table(tmp_path / "d" / "t.csv", *rows, photos=[f"{n}.png" for n in range(12)])
    asked: list[dict[str, Any]] = [
        {},
        {"label": ("shape",)},
        {"columns": {"group": "shape"}},
        {"columns": {"title": "shape"}},
    ]
    ids = {
        planned(Request("", folder, backbones=("grey",), seeds="0", methods=("none",), **own)).cells[0].id
        for own in asked
    }
    assert len(ids) == len(asked)
    again = Request.from_json(Request("", folder, label=("label",), columns={"group": "shape"}).to_json())
    assert again == Request("", folder, label=("label",), columns={"group": "shape"})


@pytest.mark.parametrize(
    ("write", "labels", "first"),
    [
        (as_folders, (), "12 photos in 3 class folders"),
        (as_kaggle, ("articleType",), "12 rows in styles.csv; column 'id' names the photos"),
        (as_csv, ("Kind",), "12 rows in listing.tsv; column 'file_name' names the photos"),
        (as_parquet, ("kind",), "12 rows in 2 tables; column 'image' holds the photos"),
    ],
)
def test_what_is_found_in_each_layout(
    write: Any, labels: tuple[str, ...], first: str, tmp_path: Path
) -> None:
    split = "published split: train 6, val 3, test 3"
    more = [f"label {labels[0]!r}: 3 classes", split] if labels else []
    assert list(survey(DataQuery(write(tmp_path / "d", PHOTOS), labels)).notes) == [first, *more]


def test_the_label_is_found_where_it_is_clear(tmp_path: Path) -> None:
    names = ["1.png", "2.png"]
    clear = table(
        tmp_path / "a" / "t.csv",
        ["image", "label", "x"],
        ["1.png", "u", "1"],
        ["2.png", "v", "2"],
        photos=names,
    )
    assert survey(DataQuery(clear)).layout.label == "label"
    many = table(
        tmp_path / "b" / "t.csv",
        ["image", "wet", "cold"],
        ["1.png", "1", "0"],
        ["2.png", "0", "1"],
        photos=names,
    )
    assert survey(DataQuery(many)).layout.attributes == ("wet", "cold")
    # Folders of a table's photos are no classes: the table has the label.
    folders = table(
        tmp_path / "c" / "t.csv",
        ["image", "label"],
        ["x/1.png", "u"],
        ["y/2.png", "v"],
        photos=["x/1.png", "y/2.png"],
    )
    assert survey(DataQuery(folders)).source == "table"
    unclear = table(
        tmp_path / "e" / "t.csv",
        ["image", "kind", "shape"],
        ["1.png", "u", "1"],
        ["2.png", "v", "2"],
        photos=names,
    )
    with pytest.raises(
        BenchError, match=r"add --label COLUMN \(perhaps kind \(2 values\), shape \(2 values\)\)"
    ):
        survey(DataQuery(unclear))


def test_celebas_folder_is_found_whole(tmp_path: Path) -> None:
    for number in range(1, 5):
        put(tmp_path / "celeba" / "img" / f"{number}.jpg", photo(number))
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_text(CELEBA)
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text("1.jpg 0\n2.jpg 1\n4.jpg 2\n")
    found = survey(DataQuery(tmp_path / "celeba"))
    assert found.layout.attributes == ("Smiling", "Male") and found.layout.split == "split"
    assert found.parts == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ("plan", "name a task with --task (bench list tasks), or data of your own with --data DIR"),
        ("plan --task fashion --label x", "--label, --kind and --column are for data without a card"),
        ("plan --data no", "does not exist or is not a folder; it must hold class folders, or a table"),
        (
            "plan --data flat",
            "flat: its 2 photos are in no two folders, and there is no table; make a folder",
        ),
        ("plan --data empty", "empty: has no photo, and there is no table"),
        ("plan --data classes --label x", "classes: has no table (.csv, .tsv, .parquet) with a column 'x'"),
        ("plan --data t --label lable", "t.csv has no column 'lable'; did you mean 'label'?"),
        ("plan --data t/t.csv --column split=prat", "t.csv has no column 'prat'; did you mean 'part'?"),
        (
            "plan --data t --column split=part",
            "split column 'part' has 'tset' in 1 row; did you mean 'test'?",
        ),
        ("plan --data t --column splt=part", "unknown role of a column 'splt'; did you mean 'split'?"),
        ("plan --data t --column part", "--column 'part': write ROLE=COLUMN, for example split=fold"),
        ("plan --data t --kind multilable", "unknown kind 'multilable'; did you mean 'multilabel'?"),
        ("plan --data t --kind multilabel", "t.csv has no column of labels, 1 for yes and 0 for no"),
        ("plan --data t --kind multiclass --label label,part", "--label names 2 columns, but a multiclass"),
        ("plan --data classes --kind multilabel", "class folders give one label for each photo"),
        ("init no", "does not exist"),
        ("init classes --out t/t.csv", "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_line(
    args: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "empty").mkdir()
    for place, name in enumerate(("flat/1.png", "flat/2.png", "classes/a/1.png", "classes/b/2.png")):
        put(tmp_path / name, photo(place))
    rows = [["image", "label", "part"], ["1.png", "a", "train"], ["2.png", "b", "tset"]]
    table(tmp_path / "t" / "t.csv", *rows, photos=["1.png", "2.png"])
    with pytest.raises(BenchError, match=re.escape(says)) as caught:
        bench(*args.split())
    assert "\n" not in str(caught.value)


def test_hostile_names_stay_text_in_the_card(tmp_path: Path) -> None:
    evil = 'a"] [grid.data] \x1b #\\'
    rows = [["image", "label", evil], ["1.png", "</script>", "1"], ["2.png", "=1+1", "2"]]
    folder = table(tmp_path / "d" / "t.csv", *rows, photos=["1.png", "2.png"])
    shown = 'a"] [grid.data] \ufffd #\\'
    query = DataQuery(folder, ("label",), roles={"group": shown})
    card, found = own_card(query, ())
    assert card.split_column == shown
    path = tmp_path / "d" / "task.toml"
    path.write_text(card_text(found, "d"), encoding="utf-8")
    assert read_card(path) == card_of_text(card_text(found, "d"), path)
    assert task_name(Path("/x/../\n"), ()) == "data" and task_name(Path("/a/b c.parquet"), ()) == "b-c"


def test_a_task_with_a_card_for_other_data_asks_for_it(tmp_path: Path) -> None:
    card = tmp_path / "tasks" / "mine" / "task.toml"
    text = (Path(__file__).resolve().parents[2] / "tasks" / "marketplace" / "task.toml").read_text()
    card.parent.mkdir(parents=True)
    card.write_text(
        text.replace('name = "marketplace"', 'name = "mine"').replace('label = "category"', 'label = "brand"')
    )
    with pytest.raises(
        BenchError, match="^task mine needs its own data, --data DIR: the synthetic sample has no column"
    ):
        open_task(Request("mine"), [tmp_path / "tasks"], tmp_path / "cache")


def test_parts_of_a_task_of_pairs_are_said_to_be_unused(tmp_path: Path) -> None:
    folder = as_folders(tmp_path / "d", PHOTOS, published=True)
    found = survey(DataQuery(folder, kind="verification"))
    assert found.layout.split == "" and "not used" in found.notes[1]


def test_a_table_of_bytes_does_not_look_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = as_parquet(tmp_path / "d", PHOTOS)
    monkeypatch.setattr("bench.data.photo_table.walk", lambda root: pytest.fail("it searched for photos"))
    assert survey(DataQuery(folder / "part-0.parquet", ("kind",))).photos == 6


@pytest.mark.parametrize("word", ["foo", "test", "train"])
def test_a_column_that_looks_like_a_split_and_is_none_is_noted(word: str, tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(4)]
    parts = ["train", "test", "val", "foo"] if word == "foo" else [word] * 4
    rows = zip(names, "abab", parts, strict=True)
    data = table(tmp_path / "d" / "t.csv", ["image", "label", "split"], *rows, photos=names)
    found = survey(DataQuery(data))
    why = {"foo": "'foo' is not train, val or test", "test": "no row is train", "train": "every row is train"}
    assert not found.parts
    assert f"column 'split' is not used as the split: {why[word]}; photos are split by chance" in found.notes


@pytest.mark.parametrize(
    "more", [("--label", "image"), ("--column", "title=image"), ("--column", "group=image")]
)
def test_the_column_of_images_is_nothing_else(more: tuple[str, str], tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(4)]
    data = table(tmp_path / "d" / "t.csv", ["image", "label"], *zip(names, "abab", strict=True), photos=names)
    with pytest.raises(BenchError, match="column 'image' is the image, and cannot be the label"):
        bench("init", str(data), *more, "--out", str(tmp_path))
    with pytest.raises(BenchError, match="column 'image' is the image, and cannot be the label"):
        opened(data, Layout(label=more[1]) if more[0] == "--label" else Layout(label="label", title="image"))


def test_a_role_of_a_column_hides_no_column_of_the_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{number}.png" for number in range(12)]
    rows = [[name, "ab"[at % 2], f"{at // 2}"] for at, name in enumerate(names)]
    data = table(tmp_path / "d" / "t.csv", ["image", "label", "who"], *rows, photos=names)
    cache = ("--cache", str(tmp_path / "cache"))
    assert bench("data", "check", "--data", str(data), "--column", "group=who", *cache) == 0
    assert "images that decode" in capsys.readouterr().out


def test_the_home_of_somebody_unknown_is_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="data folder '.*~nobody-here/x' does not exist"):
        bench("init", "~nobody-here/x")
    with pytest.raises(BenchError, match="does not exist"):
        bench("data", "check", "--data", "~nobody-here/x")


def test_a_table_of_one_class_is_one_line(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(4)]
    rows = [[name, "a"] for name in names]
    data = table(tmp_path / "d" / "t.csv", ["image", "label"], *rows, photos=names)
    with pytest.raises(BenchError, match="label 'label' has fewer than two classes"):
        bench("init", str(data))


def test_an_edited_card_is_named_and_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    as_folders(tmp_path / "photos", PHOTOS)
    bench("init", "photos")
    said: list[str] = []
    request = Request("", tmp_path / "photos", backbones=("grey",))
    open_task(request, [], tmp_path / "cache", said.append)
    assert not any("is not used" in line for line in said)
    card = Path("tasks/photos/task.toml")
    card.write_text(card.read_text().replace('seeds = "0-2"', 'seeds = "0-9"'))
    said.clear()
    open_task(request, [], tmp_path / "cache", said.append)
    assert said[-1] == (
        "tasks/photos/task.toml is a card for this data and is not used; to use it: --task photos "
        "--tasks tasks"
    )
    card.write_bytes(b"\xff")
    open_task(request, [], tmp_path / "cache", said.append)
