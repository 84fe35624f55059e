"""Titles by the real command: alone, beside images, without class words; data without; what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.store.read import Stored
from tests.data.folders import kaggle_folder, row
from tests.place import Place

QUICK = ("--set", "epochs=3", "--seed", "0", "--quiet")
RUN = ("run", "--task", "fashion", "--sample", "tiny", "--set", "input_size=32", *QUICK)
JOINED = ("--backbone", "hog+tfidf")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with a cell of every way to read titles."""
    pytest.importorskip("skimage")
    place = Place(tmp_path_factory.mktemp("titles"))
    titles = ("run", "--task", "fashion", "--sample", "tiny", *QUICK)
    place.bench(*titles, "--backbone", "tfidf", "--method", "none,naive_bayes,oversample+class_weight")
    place.bench(*titles, "--backbone", "tfidf", "--method", "none", "--set", "mask_class_words=true")
    place.bench(*RUN, *JOINED, "--method", "none,fallback,fallback(confidence)")
    return place


def _cells(place: Place) -> list[Stored]:
    cells, problems = place.store.load("fashion")
    assert not problems
    return cells


def _found(place: Place, stage: str, backbone: str, method: str, masked: bool = False) -> Stored:
    [one] = [
        stored
        for stored in _cells(place)
        if (cell := stored.record["cell"])["stage"] == stage
        and (cell["backbone"], cell["method_text"]) == (backbone, method)
        and cell["protocol"]["mask_class_words"] == masked
    ]
    return one


def test_every_cell_is_measured_and_says_what_its_titles_give_away(place: Place) -> None:
    cells = _cells(place)
    assert len(cells) == 2 * (3 + 1 + 3) and all(stored.ok for stored in cells)
    for stored in cells:
        told = stored.record["checks"]["titles"]
        assert told["column"] == "productDisplayName"
        counts = stored.record["counts"]
        assert told["train"]["titles"] == counts["train"] + counts["val"]
        assert told["test"]["titles"] == counts["test"]
        assert 0 < told["train"]["holding"] <= told["train"]["titles"]
        scores = stored.predictions().scores
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_fallbacks_say_how_often_they_fell_back(place: Place) -> None:
    for stage in ("top20", "remaining"):
        by_threshold = _found(place, stage, "hog+tfidf", "fallback").record["choices"]["fallback"]
        told = {"threshold", "fell_back", "val_top1", "best_epochs", "weight_decay", "fell_back_test"}
        assert set(by_threshold) == told
        by_sureness = _found(place, stage, "hog+tfidf", "fallback(confidence)")
        assert set(by_sureness.record["choices"]["fallback"]) == set(by_threshold) - {"threshold"}


def test_the_table_says_how_often_titles_hold_their_class(place: Place) -> None:
    out, _ = place.bench("run", *RUN[1:-1], *JOINED, "--method", "none")
    assert "test titles hold the name of their own class (--set mask_class_words=true takes" in out
    found = _found(place, "top20", "tfidf", "none", masked=True).record["checks"]["titles"]
    assert found["masked"] is True and found["train"]["emptied"] >= 0


@pytest.mark.slow
def test_a_second_run_answers_the_same(place: Place) -> None:
    for one in (
        _found(place, "top20", "tfidf", "none", masked=True),
        _found(place, "remaining", "hog+tfidf", "fallback"),
    ):
        out, _ = place.bench("reproduce", one.id[:8], "--format", "json")
        assert json.loads(out)[0]["verdict"] == "equal"


def test_images_alone_do_not_suffice_and_export_holds_all(place: Place) -> None:
    one = _found(place, "top20", "tfidf", "none")
    image = place.folder / "any.jpg"
    image.write_bytes(b"")
    for command in (("predict",), ("explain", "--out", str(place.folder / "why"))):
        _, err = place.bench(*command, one.id[:8], str(image), code=2)
        assert err.count("\n") == 1 and "needs titles (tfidf); images are not enough" in err
    out = place.folder / "all.csv"
    place.bench("export", "--task", "fashion", "--out", str(out))
    assert "hog+tfidf" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--backbone", "lenet", "--set", "mask_class_words=true"), "titles, which lenet does not read"),
        (("--backbone", "tfidf", "--keep-model"), "tfidf reads titles, which image files do not have"),
        (("--task", "multilabel", "--backbone", "tfidf"), "tfidf reads titles, and multilabel has none"),
        (("--task", "marketplace", "--backbone", "gru"), "gru reads titles, and marketplace has none"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line(place: Place, words: tuple[str, ...], says: str) -> None:
    task = () if "--task" in words else ("--task", "fashion")
    _, err = place.bench("run", *task, "--sample", "tiny", *words, *QUICK, code=2)
    assert says in err and err.splitlines()[-1].startswith("bench:")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("tfidf", "none", "--set", "input_size=64"),
            "input_size is for images, which tfidf does not read",
        ),
        (("tfidf", "fallback"), "fallback needs a backbone that reads pixels and titles, not tfidf"),
        (("lenet", "naive_bayes"), "naive_bayes runs in the frozen regime"),
        (("hog+tfidf", "naive_bayes"), "works on the features of tfidf alone, not of hog+tfidf"),
        (("tfidf", "augment"), "augment changes images, which tfidf does not read"),
        (("gru", "mixup"), "mixup mixes numbers; gru reads words"),
        (("gru+lenet", "none"), "gru reads titles and is trained from random weights"),
    ],
)
def test_what_cannot_be_combined_is_skipped_with_its_reason(
    place: Place, words: tuple[str, ...], says: str
) -> None:
    backbone, method, *more = words
    asked = ("--backbone", backbone, "--method", method, *more, "--format", "csv")
    out, _ = place.bench("plan", "--task", "fashion", "--sample", "tiny", *asked, code=5)
    assert says in out and "cannot run" in out


def test_commands_that_look_at_images_alone_say_so(place: Place) -> None:
    asked = ("--task", "fashion", "--sample", "tiny", "--backbone", "hog+tfidf")
    _, err = place.bench("clean", *asked, "--out", str(place.folder / "labels.csv"), code=2)
    assert err.splitlines()[-1] == "bench: tfidf reads titles, not images"


@pytest.mark.slow
def test_a_net_on_words_is_a_cell_like_any_other(place: Place) -> None:
    asked = ("--task", "fashion", "--sample", "tiny", "--backbone", "gru", *QUICK)
    place.bench("run", *asked, "--method", "none,oversample,logit_adjust", "--set", "mask_class_words=true")
    one = _found(place, "top20", "gru", "oversample", masked=True)
    assert one.ok and one.record["cell"]["regime"] == "scratch" and one.record["checks"]["titles"]["masked"]
    out, _ = place.bench("reproduce", one.id[:8], "--format", "json")
    assert json.loads(out)[0]["verdict"] == "equal"


def _folder(path: Path, titles: list[str], header: str | None = None) -> Path:
    """Write 24 images of two classes with these titles, by turns; every other six test."""
    lines = [
        row(
            str(item),
            ("Shirts", "Hats")[item % 2],
            "2011" if item // 6 % 2 else "2012",
            titles[item % len(titles)],
        )
        for item in range(24)
    ]
    given = {} if header is None else {"header": header}
    return kaggle_folder(path, lines, [str(item) for item in range(24)], **given)


def _run(place: Place, data: Path, *words: str, code: int = 0) -> tuple[str, str]:
    asked = ("--backbone", "tfidf", "--method", "none,naive_bayes", "--stage", "top20", "--seed", "0")
    results = ("--results", f"{data}-results")
    return place.bench("run", "--task", "fashion", "--data", str(data), *asked, *results, *words, code=code)


def test_titles_of_other_scripts_are_read(place: Place, tmp_path: Path) -> None:
    shirts = [
        "\u0915\u092e\u0940\u091c \u0932\u093e\u0932",
        "\u0642\u0645\u064a\u0635 \u0623\u062d\u0645\u0631",
        "\u886c\u886b",
    ]
    hats = ["\u091f\u094b\u092a\u0940 \u0932\u093e\u0932", "\u0642\u0628\u0639\u0629", "\U0001f3a9\U0001f3a9"]
    titles = [title for pair in zip(shirts, hats, strict=True) for title in pair]
    out, _ = _run(place, _folder(tmp_path / "d", titles), "--set", "lr=0.1", "--format", "json")
    grid = [line for line in json.loads(out)[0] if line["backbone"] == "tfidf"]
    assert {line["top1_micro"] for line in grid} == {1.0}, "which only titles read as words can give"


def test_identical_titles_say_nothing_and_are_no_fault(place: Place, tmp_path: Path) -> None:
    out, _ = _run(place, _folder(tmp_path / "d", ["Nice thing"]), "--format", "json")
    assert {line["top1_macro"] for line in json.loads(out)[0]} == {0.5}


def test_empty_titles_are_counted_and_a_stage_of_them_is_one_line(place: Place, tmp_path: Path) -> None:
    out, _ = _run(place, _folder(tmp_path / "some", ["Red Shirt", "Wool", "", "Cap"]))
    assert "2 of 12 training and 4 of 12 test titles have no word" in out
    _, err = _run(place, _folder(tmp_path / "none", ["", "?!"]), code=5)
    assert "all 12 training titles (column 'productDisplayName') are empty or without letters" in err
    _, err = _run(
        place, _folder(tmp_path / "class", ["Shirt", "hat"]), "--set", "mask_class_words=true", code=5
    )
    assert "leave out mask_class_words=true" in err


def test_data_without_the_column_is_one_line(place: Place, tmp_path: Path) -> None:
    header = "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productName"
    _, err = _run(place, _folder(tmp_path / "d", ["a"], header), code=2)
    assert "no column 'productDisplayName', where tfidf reads titles" in err and err.count("\n") == 1


def test_the_data_check_tells_of_titles(place: Place, tmp_path: Path) -> None:
    data = _folder(tmp_path / "d", ["Red Shirt", "Cap", "", "wool hats"])
    for command in ("check", "describe"):
        out, _ = place.bench("data", command, "--task", "fashion", "--data", str(data), "--format", "json")
        told = {line["what"]: line["count"] for line in json.loads(out)[0]}
        assert told["train titles that contain their class name (of 12)"] == 6
        assert told["test titles without any word"] == 4
