"""Few-shot episodes: nothing shared between support and queries, learners against libraries, the command."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import NearestCentroid
from statsmodels.stats.weightstats import DescrStatsW
from threadpoolctl import threadpool_limits

from bench.backbones.feature_cache import Extraction
from bench.commands.main import cli
from bench.core.errors import BenchError, DataError
from bench.inference.class_lists import read_classes
from bench.inference.episodes import (
    CENTRED,
    CENTRED_L2,
    L2,
    LEARNERS,
    PLAIN,
    draw_episodes,
    logistic,
    logistic_head,
    nearest_direction,
    nearest_mean,
    score_episodes,
    transformed,
)
from bench.inference.fewshot import EpisodeSettings, choose_classes, rows_of, without_copies

D = 12


def units_of(sizes: list[int], images: int = 1) -> list[list[np.ndarray]]:
    """Return classes of so many units of so many images, numbered one after the other."""
    number, out = 0, []
    for size in sizes:
        own = []
        for _ in range(size):
            own.append(np.arange(number, number + images))
            number += images
        out.append(own)
    return out


def problem(
    shot: int, seed: int = 0, way: int = 4, d: int = D, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return a support (way, shot, d) and 40 queries of overlapping classes."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(way, d))
    support = means[:, None] + spread * rng.normal(size=(way, shot, d))
    return support, means[rng.integers(way, size=40)] + spread * rng.normal(size=(40, d))


@settings(max_examples=40)
@given(
    st.lists(st.integers(5, 9), min_size=3, max_size=6),
    st.integers(1, 3),
    st.integers(2, 3),
    st.integers(1, 3),
    st.integers(0, 2**31),
)
def test_an_episode_shares_no_unit_between_support_and_queries(
    sizes: list[int], images: int, way: int, shot: int, seed: int
) -> None:
    units = units_of(sizes, images)
    drawn = draw_episodes(units, way, shot, 2, 5, seed)
    assert drawn.support.shape == (5, way, shot) and drawn.queries.shape == (5, way, 2)
    home = {
        int(row): (label, place)
        for label, own in enumerate(units)
        for place, u in enumerate(own)
        for row in u
    }
    for classes, support, queries in zip(drawn.classes, drawn.support, drawn.queries, strict=True):
        assert len(set(classes.tolist())) == way
        for label, known, asked in zip(classes.tolist(), support, queries, strict=True):
            homes = [home[row] for row in [*known.tolist(), *asked.tolist()]]
            assert {own for own, _ in homes} == {label}
            assert len(set(homes)) == shot + 2, "one image of a unit at most"


def test_the_first_episodes_and_shots_stay_when_more_are_asked_for() -> None:
    units = units_of([9, 12, 10, 8], 2)
    many, few = (draw_episodes(units, 3, shot, 3, count, seed=7) for shot, count in ((5, 20), (2, 6)))
    np.testing.assert_array_equal(many.classes[:6], few.classes)
    np.testing.assert_array_equal(many.queries[:6], few.queries)
    np.testing.assert_array_equal(many.support[:6, :, :2], few.support)
    other = draw_episodes(units, 3, 5, 3, 20, seed=8)
    assert (other.queries != many.queries).any()


def test_every_class_and_image_comes_about_equally_often() -> None:
    drawn = draw_episodes(units_of([8] * 5, 2), 2, 1, 1, 4000, seed=0)
    counts = np.bincount(drawn.queries.ravel(), minlength=80)
    assert counts.sum() == 8000
    # Each of 80 images is expected 100 times, with a deviation below 10.
    assert counts.min() > 55 and counts.max() < 150


@pytest.mark.parametrize("shot", [1, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_prototypes_are_nearest_centroids(shot: int, seed: int) -> None:
    support, queries = problem(shot, seed)
    way = len(support)
    # Twice the same rows, a little to either side: scikit-learn's wants some spread within a class.
    rows = np.concatenate([support.reshape(-1, D) + side for side in (-0.01, 0.01)])
    model = NearestCentroid().fit(rows, np.tile(np.repeat(np.arange(way), shot), 2))
    np.testing.assert_array_equal(nearest_mean(support, queries), model.predict(queries))
    cosines = cdist(queries, support.mean(axis=1), "cosine")
    np.testing.assert_array_equal(nearest_direction(support, queries), cosines.argmin(axis=1))


@pytest.mark.parametrize(("shot", "d"), [(1, 3), (1, 40), (5, 8), (5, 40)])
@pytest.mark.parametrize("size", [0.2, 6.0])
def test_the_logistic_head_is_scikit_learns(shot: int, d: int, size: float) -> None:
    support, queries = (size * array for array in problem(shot, d=d))
    way = len(support)
    theirs = LogisticRegression(C=1.0, tol=1e-9, max_iter=20_000).fit(
        support.reshape(-1, d), np.repeat(np.arange(way), shot)
    )
    truth = np.repeat(np.arange(way), shot)

    def cost(kernel: np.ndarray, bias: np.ndarray) -> float:
        lost = log_loss(truth, softmax(support.reshape(-1, d) @ kernel + bias, axis=1), normalize=False)
        return float(lost + (kernel**2).sum() / 2)

    kernel, bias = logistic_head(support)
    least = cost(theirs.coef_.T, theirs.intercept_)
    assert cost(kernel, bias) == pytest.approx(least, rel=1e-5, abs=1e-5)
    np.testing.assert_allclose(kernel, theirs.coef_.T, atol=0.02 * np.abs(theirs.coef_).max())
    np.testing.assert_array_equal(logistic(support, queries), theirs.predict(queries))


def test_equal_and_empty_support_images_are_no_trouble() -> None:
    support = np.zeros((3, 2, D))
    assert logistic(support, np.ones((2, D))).shape == (2,)
    support[1] = 1.0
    for learn in (nearest_mean, nearest_direction, logistic):
        assert learn(support, np.ones((2, D))).tolist() == [1, 1]


def test_features_are_centred_before_they_are_brought_to_length_one() -> None:
    rows, centre = np.array([[4.0, 6.0], [1.0, 2.0]], np.float32), np.array([1.0, 2.0])
    assert transformed(rows, PLAIN, centre).tolist() == rows.tolist()
    assert transformed(rows, CENTRED, centre).tolist() == [[3.0, 4.0], [0.0, 0.0]]
    assert transformed(rows, CENTRED_L2, centre).tolist() == [[0.6, 0.8], [0.0, 0.0]]
    np.testing.assert_allclose(transformed(rows, L2, centre)[0], np.array([4, 6]) / np.sqrt(52))


def test_scores_are_those_of_each_episode_on_its_own() -> None:
    rng = np.random.default_rng(3)
    units = units_of([10] * 6)
    features = (rng.normal(size=(6, D)).repeat(10, axis=0) + rng.normal(size=(60, D))).astype(np.float32)
    centre = features.mean(axis=0).astype(np.float64)
    drawn = draw_episodes(units, 3, 4, 5, 2, seed=1)
    scores = np.stack(list(score_episodes(features, centre, drawn, (1, 4))))
    assert scores.shape == (2, 2, len(LEARNERS))
    for episode in range(2):
        for place, shot in enumerate((1, 4)):
            for column, learner in enumerate(LEARNERS):
                table = features.astype(np.float64)
                if learner.features in (CENTRED, CENTRED_L2):
                    table = table - centre
                if learner.features in (L2, CENTRED_L2):
                    table = table / np.sqrt((table * table).sum(axis=1))[:, None]
                right = 0
                known = [table[drawn.support[episode, k, :shot]] for k in range(3)]
                model = LogisticRegression(tol=1e-6, max_iter=5_000)
                if learner.method == "logistic":
                    model.fit(np.concatenate(known), np.repeat(np.arange(3), shot))
                for k in range(3):
                    for row in drawn.queries[episode, k]:
                        x = table[row]
                        if learner.method == "logistic":
                            answer = int(model.predict(x[None])[0])
                        elif learner.distance == "cosine":
                            means = [m.mean(axis=0) for m in known]
                            cosine = [x @ m / np.sqrt(m @ m) for m in means]
                            answer = int(np.argmax(cosine))
                        else:
                            answer = int(np.argmin([((x - m.mean(axis=0)) ** 2).sum() for m in known]))
                        right += answer == k
                assert scores[episode, place, column] == right, (learner, shot)


def test_features_that_say_nothing_are_at_chance_and_perfect_ones_are_perfect() -> None:
    rng = np.random.default_rng(0)
    units = units_of([30] * 8)
    drawn = draw_episodes(units, 5, 1, 10, 80, seed=0)
    noise = rng.normal(size=(240, 6)).astype(np.float32)
    with threadpool_limits(1, "blas"):
        scores = np.stack(list(score_episodes(noise, np.zeros(6), drawn, (1,)))) / 50
    assert np.abs(scores.mean(axis=0) - 0.2).max() < 0.03
    drawn = draw_episodes(units, 5, 1, 10, 10, seed=0)
    perfect = np.eye(8, dtype=np.float32).repeat(30, axis=0)
    scores = np.stack(list(score_episodes(perfect, perfect.mean(axis=0), drawn, (1,)))) / 50
    assert (scores == 1.0).all()


def found_of(right: np.ndarray, shots: tuple[int, ...]) -> Any:
    ask = EpisodeSettings(5, shots, 15, len(right), 0)
    return SimpleNamespace(ask=ask, right={"net": right})


def test_the_interval_is_the_normal_one_of_the_mean() -> None:
    right = np.random.default_rng(1).integers(30, 76, size=(50, 2, len(LEARNERS)))
    rows = rows_of(found_of(right, (1, 5)))
    assert len(rows) == 2 * len(LEARNERS)
    for row in rows:
        column = next(
            i
            for i, learner in enumerate(LEARNERS)
            if (learner.method, learner.features, learner.distance or None)
            == (row["method"], row["features"], row["distance"])
        )
        own = DescrStatsW(right[:, (1, 5).index(row["shot"]), column] / 75)
        assert row["accuracy"] == pytest.approx(own.mean)
        assert (row["low"], row["high"]) == pytest.approx(own.zconfint_mean(0.05))
    assert rows_of(found_of(right[:1], (1, 5)))[0]["half"] is None


def test_no_interval_reaches_beyond_what_a_share_can_be() -> None:
    right = np.full((4, 1, len(LEARNERS)), 75)
    right[0] = 70
    for told, side in ((right, "high"), (75 - right, "low")):
        for row in rows_of(found_of(told, (1,))):
            assert row[side] == (1.0 if side == "high" else 0.0) != row["accuracy"]
            assert row["low"] < row["accuracy"] < row["high"]


def test_of_images_with_the_same_bytes_one_is_used_and_none_where_labels_differ() -> None:
    labels = ["a", "a", "a", "b", "c", "", "d", "d"]
    hashes = ["1", "1", "2", "3", "3", "2", "4", "4"]
    train = np.array([False, True, False, False, False, False, False, False])
    readable = np.array([True] * 7 + [False])
    usable, copies = without_copies(labels, hashes, train, readable)
    # Row 1 trains and keeps row 0 out; rows 3 and 4 contradict each other; row 7 cannot be read.
    assert np.flatnonzero(usable).tolist() == [1, 2, 6]
    assert copies == 3


def parts_of(
    sizes: dict[str, tuple[int, int]], groups: dict[int, str] | None = None
) -> tuple[Any, np.ndarray]:
    """Return parts of classes with (train, test) images, all usable. groups: of some rows."""
    given = [name for name, (a, b) in sizes.items() for _ in range(a + b)]
    train = np.concatenate([np.arange(a + b) < a for a, b in sizes.values()])
    items = tuple(f"i{row}" for row in range(len(given)))
    ids = None if groups is None else tuple(groups.get(row, item) for row, item in enumerate(items))
    parts = SimpleNamespace(
        given=tuple(given), train=train, groups=ids, examples=SimpleNamespace(items=items)
    )
    return parts, np.ones(len(given), bool)


SIZES = {"a": (2, 6), "b": (1, 6), "c": (0, 6), "d": (3, 6), "e": (0, 7), "f": (5, 2), "g": (0, 1)}


def test_classes_are_parted_by_the_seed_and_each_side_has_its_own_images() -> None:
    parts, usable = parts_of(SIZES)
    labels, seen = np.array(parts.given), set()
    for seed in range(12):
        made = choose_classes(parts, usable, EpisodeSettings(2, (1, 3), 3, 10, seed), None)
        assert made.test == choose_classes(parts, usable, EpisodeSettings(2, (1, 3), 3, 10, seed), None).test
        assert len(made.test) == 3 and set(made.test) < set("abcde"), "half of five, f and g are too small"
        assert set(made.train) | set(made.test) == set(SIZES) and not set(made.train) & set(made.test)
        assert set(labels[made.fitted]) <= set(made.train) and parts.train[made.fitted].all()
        for name, units in zip(made.test, made.units, strict=True):
            rows = np.concatenate(units)
            assert (labels[rows] == name).all() and not parts.train[rows].any()
            assert len(units) == len(rows) == SIZES[name][1]
        seen.add(made.test)
    assert len(seen) > 3


def test_small_data_still_has_as_many_meta_test_classes_as_an_episode() -> None:
    parts, usable = parts_of(SIZES)
    assert len(choose_classes(parts, usable, EpisodeSettings(5, (3,), 3, 1, 0), None).test) == 5
    with pytest.raises(DataError, match="5 classes have the 6 separate test images.*6-way"):
        choose_classes(parts, usable, EpisodeSettings(6, (3,), 3, 1, 0), None)


def test_photos_of_one_group_are_one_unit() -> None:
    parts, usable = parts_of({"a": (2, 6), "b": (2, 6), "c": (2, 6)}, {2: "x", 3: "x"})
    made = choose_classes(parts, usable, EpisodeSettings(2, (2,), 3, 1, 0), {"meta_test": ("a", "b")})
    assert [len(units) for units in made.units] == [5, 6]
    assert sorted(map(len, made.units[0])) == [1, 1, 1, 1, 2]
    with pytest.raises(DataError, match="class 'a' has 5 separate test images, 3 shots and 3 queries need 6"):
        choose_classes(
            parts, usable, EpisodeSettings(2, (3,), 3, 1, 0, Path("f.csv")), {"meta_test": ("a", "b")}
        )


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"meta_test": ("a", "bb")}, "no image of class 'bb'; did you mean 'b'?"),
        ({"meta_test": ("a", "b"), "meta_train": ("x",)}, "no image of class 'x'"),
        ({"meta_test": ("a", "f")}, "class 'f' has 2 separate test images, 3 shots and 3 queries need 6"),
        ({"meta_test": ("a",)}, "1 meta_test classes are too few for 2-way"),
        ({"meta_test": ("a", "b"), "meta_train": ("c", "g")}, "the 2 meta_train classes have no training"),
    ],
)
def test_lists_that_do_not_fit_the_data_are_one_clear_line(
    lists: dict[str, tuple[str, ...]], why: str
) -> None:
    parts, usable = parts_of(SIZES)
    with pytest.raises(BenchError) as error:
        choose_classes(parts, usable, EpisodeSettings(2, (1, 3), 3, 10, 0, Path("lists.toml")), lists)
    assert why in str(error.value) and "\n" not in str(error.value)


def test_class_lists_are_read_from_toml_and_csv(tmp_path: Path) -> None:
    toml, table = tmp_path / "a.toml", tmp_path / "a.csv"
    toml.write_text('meta_train = ["Tôps", "a, b"]\nmeta_test = ["c"]\n', encoding="utf-8")
    table.write_text(
        'part,class,note\nmeta_train,Tôps,\nmeta_test,c,x\nmeta_train,"a, b",\n', encoding="utf-8"
    )
    assert read_classes(toml) == read_classes(table) == {"meta_train": ("Tôps", "a, b"), "meta_test": ("c",)}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.txt", "x", "must end in .toml or .csv"),
        ("a.toml", "meta_test = [", "not a readable list"),
        ("a.toml", "meta_tset = ['a']", "did you mean 'meta_test'"),
        ("a.toml", "meta_test = 'a'", "must be a list of class names"),
        ("a.toml", "meta_test = [1]", "must be a list of class names"),
        ("a.toml", "meta_test = []", "has no meta_test class"),
        ("a.toml", "meta_train = ['a']", "has no meta_test class"),
        ("a.toml", "meta_test = ['a']\nmeta_train = ['a']", "class 'a' is repeated"),
        ("a.csv", "class,part\na,test\n", "line 2: part 'test' is neither meta_train nor meta_test"),
        ("a.csv", "class\na\n", "part"),
        ("a.csv", "class,part\na,meta_test,x\n", "fields"),
        ("a.csv", "class,part\n", "has no meta_test class"),
        ("a.csv", "", "class"),
    ],
)
def test_a_faulty_list_of_classes_is_one_clear_line(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BenchError) as error:
        read_classes(tmp_path / name)
    assert why in str(error.value) and "\n" not in str(error.value)


def test_a_missing_list_of_classes_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no such file"):
        read_classes(tmp_path / "none.toml")


@settings(max_examples=60)
@given(st.binary(max_size=60), st.sampled_from(["a.toml", "a.csv"]))
def test_any_bytes_are_a_list_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("lists") / name
    path.write_bytes(raw)
    try:
        assert read_classes(path)["meta_test"]
    except BenchError as error:
        assert "\n" not in str(error)


def bench(*args: object) -> Any:
    return CliRunner().invoke(cli, ["fewshot", *map(str, args)], standalone_mode=False)


TINY = ("--task", "fashion", "--sample", "tiny", "--way", "3", "--shot", "1", "--queries", "1")


@pytest.fixture
def labelled_features(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the backbones: noise about a centre of each class's own. Gives who was asked."""
    asked: list[str] = []

    def features(made: Extraction) -> np.ndarray:
        asked.append(made.info.name)
        rng = np.random.default_rng(len(made.info.name))
        return rng.normal(size=(len(made.pixels), 16)).astype(np.float32)

    monkeypatch.setattr(Extraction, "features", features)
    return asked


def test_the_command_prints_a_row_per_backbone_learner_and_shot(
    labelled_features: list[str], tmp_path: Path
) -> None:
    args = (
        *TINY,
        "--backbone",
        "mobilenet_025,mobilenetv2_035",
        "--episodes",
        "30",
        "--out",
        tmp_path / "a.json",
    )
    done = bench(*args, "--format", "csv")
    assert done.exit_code == 0, done.exception
    assert labelled_features == ["mobilenet_025", "mobilenetv2_035"]
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 2 * len(LEARNERS)
    whole = json.loads((tmp_path / "a.json").read_text())
    assert [row["accuracy"] for row in whole["rows"]] == [float(row["accuracy"]) for row in rows]
    right = np.array(whole["right"]["mobilenetv2_035"])
    assert right.shape == (30, 1, len(LEARNERS)) and whole["queries"] == 1 and whole["way"] == 3
    np.testing.assert_allclose(right.mean(axis=(0, 1)) / 3, [row["accuracy"] for row in whole["rows"][7:]])
    first = (tmp_path / "a.json").read_bytes()
    assert bench(*args, "--format", "csv").stdout == done.stdout
    assert (tmp_path / "a.json").read_bytes() == first
    assert bench(*args, "--seed", "1", "--format", "csv").stdout != done.stdout
    shown = bench(*args).stdout
    assert "3-way, 30 episodes, seed 0" in shown and "chance is 0.333" in shown


def test_the_command_takes_class_lists(labelled_features: list[str], tmp_path: Path) -> None:
    lists = tmp_path / "lists.toml"
    lists.write_text('meta_test = ["Tshirts", "Shirts", "Casual Shoes"]\nmeta_train = ["Watches", "Tops"]\n')
    out, victim = tmp_path / "out.json", tmp_path / "victim"
    victim.write_text("precious")
    out.symlink_to(victim)
    done = bench(*TINY, "--backbone", "mobilenet_025", "--classes", lists, "--episodes", "3", "--out", out)
    assert done.exit_code == 0, done.exception
    assert victim.read_text() == "precious"
    whole = json.loads(out.read_text())
    assert whole["meta_train"] == ["Tops", "Watches"]
    assert list(whole["meta_test"]) == ["Casual Shoes", "Shirts", "Tshirts"]
    lists.write_text('meta_test = ["Tshirts", "Shirts", "Casual Shoe"]')
    fault = bench(*TINY, "--backbone", "mobilenet_025", "--classes", lists)
    assert "did you mean 'Casual Shoes'" in str(fault.exception)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("--shot", "0"), "--shot '0': write whole numbers"),
        (("--shot", "1,,5"), "write whole numbers"),
        (("--shot", "5,5"), "given twice"),
        (("--shot", "²"), "write whole numbers"),
        (("--shot", "99999999999"), "write whole numbers"),
        (("--backbone", "mobilnet_025"), "unknown backbone"),
        (("--backbone", "mobilenet_025,"), "a name is empty"),
        (("--backbone", "lenet"), "no published ImageNet weights"),
        (("--set", "noise=uniform", "--set", "noise_rate=0.2"), "the data's own labels"),
        (("--set", "epochs=3"), "--set epochs has no effect on episodes"),
        (("--set", "remaining.lr=0.1"), "--set remaining.lr has no effect on episodes"),
        (("--out", "no/such/place.json"), "there is no folder"),
        (("--classes", "none.toml"), "no such file"),
        (("--way", "30"), "30-way episodes need 30"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    labelled_features: list[str], args: tuple[str, ...], why: str
) -> None:
    done = bench(*TINY, "--backbone", "mobilenet_025", *args)
    assert isinstance(done.exception, BenchError) and why in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_task_with_many_labels_per_image_is_refused() -> None:
    done = bench("--task", "multilabel", "--sample", "tiny")
    assert isinstance(done.exception, BenchError) and "one class per image" in str(done.exception)


def test_a_real_backbone_with_random_weights(tmp_path: Path) -> None:
    done = bench(
        *TINY, "--backbone", "lenet", "--weights", "random", "--episodes", "20", "--format", "json",
        "--cache", os.environ["BENCH_CACHE"],
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    rows = json.loads(done.stdout)
    assert [row["backbone"] for row in rows] == ["lenet"] * len(LEARNERS)
    assert all(0 <= row["low"] <= row["accuracy"] <= row["high"] for row in rows)
