"""What a report says of pairs of photos: findings against scikit-learn and by hand, and the page itself."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import auc, roc_curve

from bench.compare.leaderboard import boards
from bench.compare.stored_cells import read_bootstraps
from bench.core.plotting import LIGHT, rendered
from bench.core.predictions import PairFacts, Predictions
from bench.data.synthetic.faces import faces_sample
from bench.kinds.verification import findings as pair_findings
from bench.kinds.verification.metrics import answers, facts, summary
from bench.kinds.verification.notes import fold_line, pair_notes, rates
from bench.report.cell_tables import class_table
from bench.report.findings import POINTS
from bench.report.html import INDEX
from bench.report.leaderboard_tables import leaderboard_table
from bench.report.render import render
from bench.report.result_tables import grid_table
from bench.report.thumbnails import jpeg, side_by_side
from bench.store.settings import settings_of
from bench.store.write import Store
from tests.grids import faces, put
from tests.report.pages import EVIL, Seen, report

PRED = faces(500, 60, 1.2, 4, folds=2)


def test_the_curve_is_scikit_learns() -> None:
    line = pair_findings.roc("x", PRED)
    assert line is not None and (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 1, 1)
    far, tar, _ = roc_curve(PRED.truth, PRED.scores[:, 0], drop_intermediate=False)
    assert {*zip(line.x, line.y, strict=True)} <= {*zip(far, tar, strict=True)}
    assert auc(line.x, line.y) == pytest.approx(auc(far, tar), abs=2e-3)
    assert (np.diff(line.x) >= 0).all() and len(line.x) <= POINTS + 1
    assert pair_findings.roc("x", PRED.take(np.flatnonzero(PRED.truth == 1))) is None


def test_the_histogram_counts_every_pair_around_the_cut() -> None:
    bars = pair_findings.histogram(PRED)
    assert bars.same.sum() == pytest.approx(1) and bars.different.sum() == pytest.approx(1)
    above = PRED.scores[:, 0] - facts(PRED).cuts
    inside = (above >= bars.edges[10]) & (above < bars.edges[11]) & (PRED.truth == 0)
    assert bars.different[10] == pytest.approx(inside.sum() / 250)
    flat = pair_findings.histogram(replace(PRED, scores=np.zeros_like(PRED.scores)))
    assert flat.same.sum() == pytest.approx(1)


def test_folds_stand_one_by_one() -> None:
    found, whole = pair_findings.by_fold(PRED), summary(PRED)
    assert len(found) == 2 and np.mean(found) == pytest.approx(whole["accuracy"])
    line = fold_line([0.7125, 0.75], 0.01234)
    assert line == "Accuracy by fold: .713, .750; standard error of the mean 0.0123."


def test_the_hardest_pairs_are_wrong_and_of_both_sorts() -> None:
    found = pair_findings.hardest(PRED, 12)
    assert len(found) == 12 and sum(hard.same for hard in found) == 6
    margins = [hard.margin for hard in found]
    assert margins == sorted(margins, reverse=True)
    wrong = answers(PRED) != (PRED.truth == 1)
    for hard in found:
        assert wrong[hard.row] and hard.same == bool(PRED.truth[hard.row])
        assert hard.photos == facts(PRED).photos[hard.row]
        assert hard.margin == pytest.approx(abs(hard.score - hard.cut))
    above = PRED.scores[:, 0] - facts(PRED).cuts
    assert max(h.margin for h in found if not h.same) == pytest.approx(above[PRED.truth == 0].max())
    right = np.where(PRED.truth == 1, 9.0, -9.0).astype(np.float32)[:, None]
    assert pair_findings.hardest(replace(PRED, scores=right), 5) == []
    few = right.copy()
    few[:3] = -few[:3]
    assert len(pair_findings.hardest(replace(PRED, scores=few), 12)) == 3


@pytest.mark.parametrize(
    ("negatives", "said"),
    [
        (3000, "1e-1 of 3,000 different pairs: 300 may pass; 1e-2: 30 may pass; 1e-3: 3 may pass."),
        (500, "1e-1 of 500 different pairs: 50 may pass; 1e-2: 5 may pass; 1e-3: not one may."),
        (9, "1e-1 of 9 different pairs: not one may; 1e-2: not one may; 1e-3: not one may."),
    ],
)
def test_rates_say_on_how_many_pairs_they_rest(negatives: int, said: str) -> None:
    assert rates(negatives) == f"FAR {said}"


def test_two_photos_stand_side_by_side() -> None:
    left, right = (jpeg(np.full((60, 40, 3), shade, np.uint8)) for shade in (10, 240))
    both = Image.open(io.BytesIO(side_by_side(left, right)))
    assert both.height == Image.open(io.BytesIO(left)).height
    pixels = np.asarray(both)
    assert pixels[:, :20].mean() < 30 and pixels[:, -20:].mean() > 220


def on(examples: Any, skill: float, seed: int, folds: int = 1) -> Predictions:
    """Return pairs of the drawn sample's photos; one person has a hostile name."""
    rng = np.random.default_rng(0)
    person = examples.columns["person"]
    named = {name: EVIL if place == 0 else name for place, name in enumerate(dict.fromkeys(person))}
    first = rng.integers(0, len(person), 160)
    by_person = {name: [i for i, other in enumerate(person) if other == name] for name in set(person)}
    second = [
        int(rng.choice(by_person[person[a]])) if i % 2 == 0 else int(rng.integers(0, len(person)))
        for i, a in enumerate(first)
    ]
    truth = np.array([person[a] == person[b] for a, b in zip(first, second, strict=True)], np.int32)
    scores = np.random.default_rng(seed).normal(size=160) + skill * truth
    photos = tuple((examples.items[a], examples.items[b]) for a, b in zip(first, second, strict=True))
    return Predictions(
        items=tuple(f"{a} | {b} {i}" for i, (a, b) in enumerate(photos)),
        groups=tuple(named[person[a]] for a in first),
        truth=truth,
        scores=scores.astype(np.float32)[:, None],
        classes=("same",),
        train_support=np.array([10]),
        known=np.array([20]),
        pairs=PairFacts(
            photos,
            tuple(named[person[b]] for b in second),
            (np.arange(160) * folds // 160).astype(np.int32),
            np.full(160, skill / 2, np.float32),
        ),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about two methods and three seeds on the drawn sample."""
    root, examples = tmp_path_factory.mktemp("pairs"), faces_sample("tiny")
    fields: dict[str, Any] = {
        "source": "drawn-tiny",
        "fingerprint": examples.fingerprint,
        "task": "faces",
        "stage": "all",
    }
    for method, skill in (("cosine", 0.7), ("siamese", 1.5)):
        for seed in range(3):
            put(root, on(examples, skill, seed, 2), seed, kind="verification", method=method, **fields)
    assert report(root, root / "out").return_value == 0
    return root


def test_the_page_has_a_section_for_everything(made: Path) -> None:
    text = (made / "out" / INDEX).read_text(encoding="utf-8")
    seen = Seen(text)
    titles = [title for tag in ("h2", "h3", "h4") for title in seen.texts.get(tag, [])]
    for title in ("Conclusions", "Effects of methods", "Ranking", "People", "ROC", "Scores", "Hardest pairs"):
        assert any(title == found.strip() for found in titles), title
    for said in ("Accuracy by fold", "160 test pairs of", "Seeds: ", "may pass"):
        assert said in text, said
    assert EVIL not in text and "&lt;script&gt;alert(1)" in text
    assert "Effects of methods, relative to cosine" in text
    pictures = [str(img["src"]) for img in seen.all("img")]
    assert any(src.startswith("data:image/jpeg") for src in pictures)
    plots = {path.stem for path in (made / "out/plots").iterdir()}
    assert {"faces-all-roc", "faces-all-scores", "faces-all-leaderboard"} <= plots


def test_scales_of_powers_have_plain_labels(made: Path) -> None:
    from bench.kinds.verification.plots import roc

    line = pair_findings.roc("a line", PRED)
    assert line is not None
    text = rendered(roc([line], 1 / 250), LIGHT, ("svg",))["svg"].decode()
    assert "mathdefault" not in text and ">0.01<" in text


def test_seeds_have_a_line_of_their_own(made: Path) -> None:
    records = [cell.record for cell in Store(made).load()[0]]
    (line,) = [note for note in pair_notes(settings_of(records)) if note.startswith("Seeds")]
    values = [r["metrics"]["test"]["accuracy"] for r in records if r["cell"]["method_text"] == "siamese"]
    low, high = (f"{pick(values) + 1e-12:.3f}".removeprefix("0") for pick in (min, max))
    deviation = f"{np.std(values, ddof=1):.3f}".removeprefix("0")
    assert f"siamese: accuracy over 3 seeds {low} to {high}, standard deviation {deviation}" in line
    assert pair_notes([]) == []


def test_tables_are_as_committed(tmp_path: Path, golden: Any) -> None:
    like = faces(400, 60, 0.0, 99, folds=2)
    for method, skill in (("cosine", 0.7), ("siamese", 1.5)):
        for seed in range(3):
            pred = faces(400, 60, skill, seed, like, folds=2)
            put(tmp_path, pred, seed, kind="verification", method=method, task="faces", stage="all")
    cells = Store(tmp_path).load()[0]
    records = [cell.record for cell in cells]
    parts = [grid_table(records), class_table(cells[0].result)]
    found, _ = read_bootstraps(cells, ["accuracy"], draws=400)
    parts.append(leaderboard_table(boards(records, found, "accuracy")))
    golden("pairs.txt", "\n\n".join(render(table, "table") for table in parts))
