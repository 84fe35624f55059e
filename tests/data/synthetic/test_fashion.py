from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BenchError, DataError
from bench.data.examples import Examples
from bench.data.kaggle import open_kaggle
from bench.data.synthetic import images, picture
from bench.data.synthetic.catalogue import ARTICLES
from bench.data.synthetic.colours import RGB
from bench.data.synthetic.fashion import COLUMNS, SIZES, fashion_sample, write_fashion
from bench.data.synthetic.images import GoodsImage
from bench.data.synthetic.shapes import PRIMITIVES
from bench.data.synthetic.titles import WORDS
from bench.data.synthetic.topwear import TOPS
from tests.calls import count_calls

# Another value here means other data under an old fingerprint: raise VERSION with it.
ROWS = {
    "tiny": "ecfed79e1dc86e8ab2bf119d6b8adf28cfa27ddbd8d015b7b738d856d4007bd5",
    "small": "16f3e56f0b55f692a41e3a4765dd9562c1820d22adbdf73ed2cc3989d0f5af5e",
}
PIXELS = {
    "tiny": "14edd01b05ce82064e850a391e2267580793749320fad03b2bc82d80884a9627",
    "small": "ca9c9f2957f1b7d8ed33c35ec64963fd98ce3e64454864dcde1bc25943d4d8a5",
}
EVERY = {"tiny": 1, "small": 16}


@pytest.fixture(scope="module", params=SIZES)
def examples(request: pytest.FixtureRequest) -> Examples:
    return fashion_sample(request.param)


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
    examples = fashion_sample("small")
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
        assert set(stages(fashion_sample(size))[0]) == published


def test_each_type_has_one_place_in_the_catalogue(examples: Examples) -> None:
    columns = (examples.columns[name] for name in ("articleType", "masterCategory", "subCategory"))
    for name, master, sub in zip(*columns, strict=True):
        assert (master, sub) == (ARTICLES[name].master, ARTICLES[name].sub)


def test_every_type_has_a_shape_of_its_own() -> None:
    assert set(ARTICLES) == set(PRIMITIVES) | set(TOPS) and not set(PRIMITIVES) & set(TOPS)
    assert set(WORDS) <= set(ARTICLES)
    for name, article in ARTICLES.items():
        others = {*article.alike, *(article.passes[:1] if article.passes else ())}
        assert others <= set(ARTICLES) - {name}
        assert set(article.colours) <= {*RGB, "Multi"}
        one, two = (GoodsImage(key, name, "Red", "solid").render() for key in "ab")
        assert (np.abs(one.astype(int) - two) > 40).any(axis=2).mean() > 0.03, "no two look the same"


def test_the_pictures_show_their_types() -> None:
    """The nearest class mean of small grey pixels is right far more often than the most frequent class."""
    from PIL import Image
    from sklearn.neighbors import NearestCentroid

    examples = fashion_sample("small")
    top = set(stages(examples)[0])
    rows = [row for row, name in enumerate(examples.columns["articleType"]) if name in top]
    small = np.array(
        [
            np.asarray(Image.fromarray(examples.images.read(row)).convert("L").resize((16, 16))).ravel()
            for row in rows
        ],
        float,
    )
    small -= small.mean(axis=1, keepdims=True)
    truth, even = np.array(examples.columns["articleType"])[rows], np.array(even_years(examples))[rows]
    found = NearestCentroid().fit(small[even], truth[even]).predict(small[~even])
    assert 0.4 < (found == truth[~even]).mean() < 0.9, "learnable, and not trivial"


def test_equal_hashes_are_equal_pictures_and_others_differ() -> None:
    examples = fashion_sample("tiny")
    by_hash: dict[str, set[bytes]] = {}
    for index, content in enumerate(examples.images.content_hashes()):
        by_hash.setdefault(content, set()).add(examples.images.read(index).tobytes())
    assert all(len(pictures) == 1 for pictures in by_hash.values())
    assert len(set.union(*by_hash.values())) == len(by_hash)
    assert len(by_hash) < len(examples), "at least one picture appears twice"


def test_some_pictures_of_test_are_also_in_train(examples: Examples) -> None:
    hashes = examples.images.content_hashes()
    even = even_years(examples)
    train = {content for content, is_even in zip(hashes, even, strict=True) if is_even}
    assert train & {content for content, is_even in zip(hashes, even, strict=True) if not is_even}


def test_threads_read_what_one_reader_reads() -> None:
    examples = fashion_sample("tiny")
    alone = [examples.images.read(index).tobytes() for index in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda index: examples.images.read(index).tobytes(), [*range(40)] * 2))
    assert together == alone * 2


def test_another_seed_is_another_sample() -> None:
    one, two = fashion_sample("tiny", 0), fashion_sample("tiny", 1)
    assert one.fingerprint != two.fingerprint
    assert not set(one.images.content_hashes()) & set(two.images.content_hashes())
    assert counts(one) == counts(two)


def test_rows_and_hashes_need_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> np.ndarray:
        raise AssertionError("an image was rendered")

    monkeypatch.setattr(picture, "draw", refuse)
    examples = fashion_sample("small")
    assert len(examples.images.content_hashes()) == len(examples)
    assert examples.fingerprint == fashion_sample("small").fingerprint


def test_the_fingerprint_follows_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {size: fashion_sample(size).fingerprint for size in SIZES}
    assert len(set(before.values())) == len(SIZES)
    monkeypatch.setattr(images, "VERSION", images.VERSION + 1)
    assert all(fashion_sample(size).fingerprint != before[size] for size in SIZES)


def test_rows_do_not_import_numpy() -> None:
    code = "import sys; from bench.data.synthetic.fashion import fashion_sample as d\n"
    code += "d('tiny').images.content_hashes()"
    subprocess.run([sys.executable, "-c", code + "; assert 'numpy' not in sys.modules"], check=True)


def test_rows_are_cheap() -> None:
    """Some 120 calls a row take a hundredth of a second; a tenth would be felt in every command."""
    rows = len(fashion_sample("small"))
    assert count_calls(lambda: fashion_sample("small")) < 200 * rows


def test_an_unknown_size_names_the_nearest() -> None:
    with pytest.raises(BenchError, match="'smal'; did you mean 'small'"):
        fashion_sample("smal")


def test_the_real_reader_reads_what_was_written(tmp_path: Path) -> None:
    drawn = fashion_sample("tiny")
    write_fashion(drawn, tmp_path / "data")
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
        write_fashion(fashion_sample("tiny"), tmp_path / "file")


@pytest.mark.parametrize("item", ["../up", "a/b", "", "nul\0", "C:"])
def test_an_id_that_is_a_path_is_refused(tmp_path: Path, item: str) -> None:
    drawn = fashion_sample("tiny")
    hostile = Examples((item, *drawn.items[1:]), drawn.columns, drawn.images, "", "drawn-tiny")
    with pytest.raises(DataError, match="cannot be the name of an image file"):
        write_fashion(hostile, tmp_path / "data")
    assert not (tmp_path / "data").exists()
