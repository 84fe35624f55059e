from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bench.data.drawn import garments, picture
from bench.data.drawn.catalogue import ARTICLES
from bench.data.drawn.colours import RGB
from bench.data.drawn.drawing import Drawing
from bench.data.drawn.garments import COLUMNS, SIZES, draw_garments, write_kaggle
from bench.data.drawn.titles import WORDS
from bench.data.examples import Examples
from bench.data.kaggle import open_kaggle
from bench.errors import BenchError, DataError

# Another value here means other data under an old fingerprint: raise GARMENTS_VERSION with it.
ROWS = {
    "tiny": "f8f1225031d7559c32a00ccafb0ad37a5f47519b44e758364c079bd22ee3c883",
    "small": "f8a837f151227581e71f9e92a5c03fa77e3b3e6766dd2b98c2f4bb944fc33b6a",
}
PIXELS = {
    "tiny": "d35cd42af56e2e4214b7feaa74d47bd6ebb9dfef0a091ec96933768c34fa226c",
    "small": "fc0b9ff25302fa2623ef5f0760fef7fc705a5ebffc6922964f41fb7fe74b6439",
}
EVERY = {"tiny": 1, "small": 16}


@pytest.fixture(scope="module", params=SIZES)
def examples(request: pytest.FixtureRequest) -> Examples:
    return draw_garments(request.param)


def even_years(examples: Examples) -> list[bool]:
    return [year != "" and int(year) % 2 == 0 for year in examples.columns["year"]]


def counts(examples: Examples) -> tuple[Counter[str], Counter[str]]:
    """Rows of each article type in even years, and in all others."""
    train: Counter[str] = Counter()
    test: Counter[str] = Counter()
    for label, even in zip(examples.columns["articleType"], even_years(examples), strict=True):
        (train if even else test)[label] += 1
    return train, test


def stages(examples: Examples) -> tuple[list[str], list[str]]:
    train, _ = counts(examples)
    ranked = [name for name, _ in train.most_common()]
    return ranked[:20], ranked[20:]


def digest_of_rows(examples: Examples) -> str:
    rows = repr((examples.items, sorted(examples.columns.items()), examples.images.content_hashes()))
    return hashlib.sha256(rows.encode()).hexdigest()


def digest_of_pixels(examples: Examples, step: int) -> str:
    digest = hashlib.sha256()
    for index in range(0, len(examples), step):
        digest.update(examples.images.read(index).tobytes())
    return digest.hexdigest()


def test_rows_are_pinned(examples: Examples) -> None:
    assert digest_of_rows(examples) == ROWS[examples.source.removeprefix("drawn-")]


def test_pixels_are_pinned(examples: Examples) -> None:
    size = examples.source.removeprefix("drawn-")
    assert digest_of_pixels(examples, EVERY[size]) == PIXELS[size]


def test_shape_of_the_sample(examples: Examples) -> None:
    size = examples.source.removeprefix("drawn-")
    assert len(examples) == SIZES[size] == len(set(examples.items))
    assert tuple(examples.columns) == COLUMNS
    assert all(len(cells) == len(examples) for cells in examples.columns.values())
    assert all(item.isdecimal() for item in examples.items)
    assert not examples.problems
    image = examples.images.read(0)
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8


def test_sizes() -> None:
    assert 110 <= SIZES["tiny"] <= 130
    assert 1400 <= SIZES["small"] <= 1650


def test_stages_exist_and_can_be_scored(examples: Examples) -> None:
    train, test = counts(examples)
    top, rest = stages(examples)
    assert min(train[name] for name in top) > max(train[name] for name in rest), "no tie at the border"
    assert len([name for name in rest if test[name]]) >= 2
    for stage in (top, rest):
        assert sum(test[name] for name in stage) > 0
    assert [name for name in train if not test[name]] == ["Sarees"], "one class has no image in test"
    assert [name for name in test if not train[name]], "one class is unknown to train, so not scored"


def test_one_row_has_no_year(examples: Examples) -> None:
    assert examples.columns["year"].count("") == 1


def test_small_has_a_long_tail() -> None:
    examples = draw_garments("small")
    train, test = counts(examples)
    top, rest = stages(examples)
    assert len(train + test) >= 24
    assert len(rest) >= 8
    assert sum(train[name] for name in rest) >= 60
    assert 0.4 < sum(train.values()) / len(examples) < 0.6
    assert train[top[0]] > 100
    assert min(train.values()) < 6
    shares = [np.array([part[name] / sum(part.values()) for name in top]) for part in (train, test)]
    assert np.abs(shares[0] - shares[1]).sum() > 0.05, "test has another distribution than train"


def test_the_top_20_are_those_of_the_published_table() -> None:
    published = {
        *("Tshirts", "Watches", "Casual Shoes", "Kurtas", "Shirts", "Tops", "Sunglasses", "Handbags"),
        *("Sports Shoes", "Heels", "Briefs", "Wallets", "Flip Flops", "Socks", "Belts", "Sandals", "Sarees"),
        *("Dresses", "Formal Shoes", "Flats"),
    }
    for size in SIZES:
        assert set(stages(draw_garments(size))[0]) == published


def test_each_type_has_one_place_in_the_catalogue(examples: Examples) -> None:
    columns = (examples.columns[name] for name in ("articleType", "masterCategory", "subCategory"))
    for name, master, sub in zip(*columns, strict=True):
        assert (master, sub) == (ARTICLES[name].master, ARTICLES[name].sub)


def test_every_type_can_be_drawn_and_named() -> None:
    assert set(ARTICLES) == set(picture.SHAPES) == set(WORDS)
    for name, article in ARTICLES.items():
        others = {*article.alike, *(article.passes[:1] if article.passes else ())}
        assert others <= set(ARTICLES) - {name}
        assert set(article.colours) <= {*RGB, "Multi"}


def test_equal_hashes_are_equal_pictures_and_others_differ() -> None:
    examples = draw_garments("tiny")
    by_hash: dict[str, set[bytes]] = {}
    for index, content in enumerate(examples.images.content_hashes()):
        by_hash.setdefault(content, set()).add(examples.images.read(index).tobytes())
    assert all(len(pictures) == 1 for pictures in by_hash.values())
    assert len(set.union(*by_hash.values())) == len(by_hash)
    assert len(by_hash) < len(examples), "at least one picture is there twice"


def test_some_pictures_of_test_are_also_in_train(examples: Examples) -> None:
    hashes = examples.images.content_hashes()
    even = even_years(examples)
    train = {content for content, is_even in zip(hashes, even, strict=True) if is_even}
    assert train & {content for content, is_even in zip(hashes, even, strict=True) if not is_even}


def test_threads_read_what_one_reader_reads() -> None:
    examples = draw_garments("tiny")
    alone = [examples.images.read(index).tobytes() for index in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda index: examples.images.read(index).tobytes(), [*range(40)] * 2))
    assert together == alone * 2


def test_another_seed_is_another_sample() -> None:
    one, two = draw_garments("tiny", 0), draw_garments("tiny", 1)
    assert one.fingerprint != two.fingerprint
    assert not set(one.images.content_hashes()) & set(two.images.content_hashes())
    assert counts(one) == counts(two)


def test_rows_and_hashes_need_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(drawing: Drawing) -> np.ndarray:
        raise AssertionError("an image was drawn")

    monkeypatch.setattr(picture, "render", refuse)
    examples = draw_garments("small")
    assert len(examples.images.content_hashes()) == len(examples)
    assert examples.fingerprint == draw_garments("small").fingerprint


def test_the_fingerprint_follows_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {size: draw_garments(size).fingerprint for size in SIZES}
    assert len(set(before.values())) == len(SIZES)
    monkeypatch.setattr(garments, "GARMENTS_VERSION", garments.GARMENTS_VERSION + 1)
    assert all(draw_garments(size).fingerprint != before[size] for size in SIZES)


def test_rows_do_not_import_numpy() -> None:
    code = "import sys; from bench.data.drawn.garments import draw_garments as d\n"
    code += "d('tiny').images.content_hashes()"
    subprocess.run([sys.executable, "-c", code + "; assert 'numpy' not in sys.modules"], check=True)


def test_rows_are_cheap() -> None:
    """A tenth of a second would be felt in every command; the limit leaves room for a busy machine."""
    draw_garments("small")
    spent = []
    for _ in range(5):
        start = time.process_time()
        draw_garments("small")
        spent.append(time.process_time() - start)
    assert min(spent) < 0.1


def test_an_unknown_size_names_the_nearest() -> None:
    with pytest.raises(BenchError, match="'smal'; did you mean 'small'"):
        draw_garments("smal")


def test_the_real_reader_reads_what_was_written(tmp_path: Path) -> None:
    drawn = draw_garments("tiny")
    write_kaggle(drawn, tmp_path / "data")
    read = open_kaggle(tmp_path / "data", tmp_path / "cache", ("articleType", "year"))
    assert read.items == drawn.items
    assert not read.problems
    assert {name: read.columns[name] for name in COLUMNS} == drawn.columns
    for index in range(0, len(drawn), 10):
        difference = read.images.read(index).astype(int) - drawn.images.read(index)
        assert np.abs(difference).mean() < 12, "JPEG changes little"
    assert len(set(read.images.content_hashes())) == len(set(drawn.images.content_hashes()))


def test_writing_where_one_cannot_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"^cannot write the sample to .*file"):
        write_kaggle(draw_garments("tiny"), tmp_path / "file")


@pytest.mark.parametrize("item", ["../up", "a/b", "", "nul\0", "C:"])
def test_an_id_that_is_a_path_is_refused(tmp_path: Path, item: str) -> None:
    drawn = draw_garments("tiny")
    hostile = Examples((item, *drawn.items[1:]), drawn.columns, drawn.images, "", "drawn-tiny")
    with pytest.raises(DataError, match="cannot be the name of an image file"):
        write_kaggle(hostile, tmp_path / "data")
    assert not (tmp_path / "data").exists()
