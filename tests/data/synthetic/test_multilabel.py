"""The synthetic multilabel sample: images show the true labels, and a written folder reads back the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BenchError, DataError
from bench.data.examples import Examples
from bench.data.label_file import open_label_file
from bench.data.synthetic.multilabel import ATTRIBUTES, SIZES, STYLES, Outfit, multilabel_sample, write_labels
from bench.data.synthetic.picture import SIDE

PLAIN = Outfit("k", "short", True, "plain", False, False, False)


def table(examples: Examples, columns: str) -> np.ndarray:
    """(n, k) of 1, 0 and -1."""
    source = examples.columns if columns == "given" else examples.answers
    return np.array([[int(cell or -1) for cell in source[name]] for name in ATTRIBUTES]).T


@pytest.fixture(scope="module")
def small() -> Examples:
    return multilabel_sample("small")


@pytest.mark.parametrize("size", SIZES)
def test_a_sample_is_the_same_each_time_and_as_large_as_it_says(size: str) -> None:
    got = multilabel_sample(size)
    assert got == multilabel_sample(size) and len(got) == SIZES[size]
    assert got.attributes == ATTRIBUTES and set(got.answers) == set(ATTRIBUTES)
    assert multilabel_sample(size, 1).images != got.images
    truth, given = table(got, "truth"), table(got, "given")
    assert set(np.unique(truth)) == {0, 1}
    for name, cells in zip(ATTRIBUTES, given.T, strict=True):
        assert {0, 1} <= set(cells.tolist()), f"{name} is known both ways"


def test_labels_are_as_common_as_the_styles_say_and_a_fifth_is_missing(small: Examples) -> None:
    truth, given = table(small, "truth"), table(small, "given")
    expected = {
        "sleeves": sum(
            s.share * (sum(s.sleeves.values()) - s.sleeves.get("none", 0)) / sum(s.sleeves.values())
            for s in STYLES.values()
        ),
        "dotted": sum(s.share * s.pattern["dotted"] / 100 for s in STYLES.values()),
        "collar": sum(s.share * s.collar / 100 for s in STYLES.values()),
    }
    for name, percent in expected.items():
        assert 100 * truth[:, ATTRIBUTES.index(name)].mean() == pytest.approx(percent, abs=4)
    shares = truth.mean(axis=0)
    assert shares.max() == pytest.approx(0.8, abs=0.03) and shares.min() == pytest.approx(0.08, abs=0.02)
    missing = (given < 0).mean(axis=0)
    assert ((missing > 0.19) & (missing < 0.26)).all()
    by_truth = [(given[truth == value] < 0).mean() for value in (0, 1)]
    assert by_truth[0] == pytest.approx(by_truth[1], abs=0.02), "missing at random"
    assert (given < 0).all(axis=1).sum() == 1
    together = np.corrcoef(truth.T)
    assert together[0, 1] > 0.3 and together[1, 6] > 0.3 and together[0, 7] < -0.3


def test_pictures_that_are_there_twice_and_the_one_wrong_label(small: Examples) -> None:
    truth, given = table(small, "truth"), table(small, "given")
    wrong = (given >= 0) & (given != truth)
    assert wrong.sum() == 1
    hashes = small.images.content_hashes()
    twice = [content for content, count in Counter(hashes).items() if count > 1]
    pairs = [[row for row, content in enumerate(hashes) if content == one] for one in twice]
    assert len(pairs) == 6 and all(len(rows) == 2 for rows in pairs)
    for one, two in pairs:
        assert np.array_equal(small.images.read(one), small.images.read(two))
        assert np.array_equal(truth[one], truth[two])
    torn = [(a, b) for a, b in pairs if ((given[a] >= 0) & (given[b] >= 0) & (given[a] != given[b])).any()]
    assert len(torn) == 1 and np.flatnonzero(wrong.any(axis=1))[0] in torn[0]


def test_a_written_folder_reads_back_the_same(tmp_path: Path) -> None:
    drawn = multilabel_sample("tiny")
    write_labels(drawn, tmp_path / "d")
    got = open_label_file(tmp_path / "d", tmp_path / "c", ())
    assert (got.items, got.columns, got.attributes) == (drawn.items, drawn.columns, drawn.attributes)
    assert got.answers == drawn.answers
    assert Counter(problem.code for problem in got.problems) == {
        "other_column": 1,
        "no_known_label": 1,
        # The one pair of images whose labels contradict each other.
        "truth_disagrees": 1,
    }
    copies = [Counter(examples.images.content_hashes()).values() for examples in (got, drawn)]
    assert sorted(copies[0]) == sorted(copies[1])
    near = np.abs(got.images.read(3).astype(int) - drawn.images.read(3)).mean()
    assert near < 6, "the same picture, but for what JPEG costs"


CHANGES = {
    "sleeves": {"sleeves": "none"},
    "long sleeves": {"sleeves": "long"},
    "dark": {"dark": False},
    "striped": {"pattern": "striped"},
    "dotted": {"pattern": "dotted"},
    "two colours": {"two": True},
    "collar": {"collar": True},
    "long": {"long": True},
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_attribute_is_what_its_outfit_says(name: str) -> None:
    other = replace(PLAIN, **CHANGES[name])  # type: ignore[arg-type]
    pairs = zip(ATTRIBUTES, PLAIN.truth(), other.truth(), strict=True)
    assert [attribute for attribute, one, two in pairs if one != two] == [name]
    assert other.content_hash != PLAIN.content_hash
    first, second = PLAIN.render(), other.render()
    assert first.shape == (SIDE, SIDE, 3) and first.dtype == np.uint8
    assert (np.abs(first.astype(int) - second) > 40).any(axis=2).sum() > 30


def test_the_pictures_show_their_attributes(small: Examples) -> None:
    """Logistic regression on small pixels, trained on the given labels, tells most attributes."""
    from PIL import Image
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.arange(600)
    pixels = np.stack(
        [
            np.asarray(Image.fromarray(small.images.read(row)).resize((16, 16))).ravel()
            for row in rows.tolist()
        ]
    ).astype(float)
    pixels = PCA(80, random_state=0).fit_transform(pixels)
    truth, given, trains = table(small, "truth")[rows], table(small, "given")[rows], rows < 450
    scores = {}
    for place, name in enumerate(ATTRIBUTES):
        known = trains & (given[:, place] >= 0)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(
            pixels[known], given[known, place]
        )
        scores[name] = roc_auc_score(truth[~trains, place], model.decision_function(pixels[~trains]))
    assert np.mean(list(scores.values())) > 0.75, scores
    assert scores["dark"] > 0.9 and scores["long sleeves"] > 0.8 and scores["long"] > 0.85


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="did you mean 'tiny'"):
        multilabel_sample("tinny")
    drawn = multilabel_sample("tiny")
    with pytest.raises(DataError, match="cannot be the name"):
        write_labels(replace(drawn, items=("../x.jpg", *drawn.items[1:])), tmp_path / "d")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write the sample"):
        write_labels(drawn, tmp_path / "file")
