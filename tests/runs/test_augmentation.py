"""Changed, blended and pasted images by the real command, in every regime that has them."""

from __future__ import annotations

import json

import pytest

from bench.data.augmentation import RECIPES
from bench.store.read import PREDICTIONS, Stored
from tests.place import Place

RUN = (
    *("run", "--task", "fashion", "--sample", "tiny", "--stage", "top20", "--backbone", "lenet"),
    *("--seed", "0", "--quiet"),
)
FEW = "augment(randaug,classes=minority)"
ALL = (
    *("none", FEW, "augment(flip)+cmo", "mixup(classes=minority)", "cutmix"),
    *(f"augment({name})" for name in RECIPES if name != "standard"),
    *("augment", "oversample+augment(crop,classes=minority)"),
    *("mixup", "cutmix(classes=minority)", "cmo", "cmo(power=0.5)"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("augmentation"))


def _run(place: Place, methods: tuple[str, ...], *more: str, results: str = "results") -> dict[str, Stored]:
    """Run methods and return the stored cells by method."""
    from bench.store.write import Store

    place.bench(*RUN, "--set", "epochs=2", "--method", ",".join(methods), *more, "--results", results)
    cells, problems = Store(place.folder / results).load("fashion")
    assert not problems
    return {stored.record["cell"]["method_text"]: stored for stored in cells}


def _bits(stored: Stored) -> bytes:
    return (stored.folder / PREDICTIONS).read_bytes()


@pytest.mark.slow
def test_nets_learn_from_each_what_they_learn_from_it_alone(place: Place) -> None:
    cells = _run(place, ALL, "--regime", "scratch", results=f"together{len(ALL)}")
    assert {stored.record["status"] for stored in cells.values()} == {"ok"}
    assert len(cells) == len(ALL) == len({_bits(stored) for stored in cells.values()})
    facts = cells[FEW].record["choices"]["augment"]
    assert 0 < facts["minority_classes"] < 20 and facts["minority_images"] > 0
    assert "augment" not in cells["augment(flip)+cmo"].record["choices"]
    last = cells[ALL[2]]
    alone = _run(place, (ALL[2],), "--regime", "scratch", results=f"alone{len(ALL)}")
    assert _bits(alone[ALL[2]]) == _bits(last)


def _folders(place: Place) -> dict[str, int]:
    """Return when what is cached of images was written."""
    files = (place.folder / "cache" / "features").glob("*/features.npy")
    return {str(path.relative_to(place.folder)): path.stat().st_mtime_ns for path in files}


def test_heads_of_minority_classes_draw_from_the_views_that_are_there(place: Place) -> None:
    frozen = ("--regime", "frozen", "--weights", "random")
    cells = _run(place, ("none", "augment(crop,views=2)"), *frozen, results="frozen")
    before = _folders(place)
    assert len(before) == 3
    few = "augment(crop,views=2,classes=minority)"
    cells |= _run(place, (few, f"{few}+mixup", "mixup(classes=minority)"), *frozen, results="frozen")
    assert _folders(place) == before
    assert len({_bits(stored) for stored in cells.values()}) == 5
    assert cells[few].record["choices"]["augment"]["minority_images"] > 0
    described = [(place.folder / path).with_name("features.json") for path in before]
    named = [json.loads(path.read_text()) for path in described]
    assert sorted(meta.get("view", -1) for meta in named) == [-1, 0, 1]


@pytest.mark.parametrize(
    ("method", "regime", "why"),
    [
        ("cutmix", "frozen", "cutmix pastes pixels; the frozen regime keeps features"),
        ("cmo", "frozen", "cmo pastes pixels; the frozen regime keeps features"),
        (
            "augment(views=8)",
            "scratch",
            "augment changes images in every epoch in regime scratch; views",
        ),
        (
            "cutmix+mixup",
            "scratch",
            "cutmix and mixup cannot be combined: a method mixes its images in one way",
        ),
        ("cmo+elr", "scratch", "cmo and elr cannot be combined: elr goes by single images"),
        ("augment(classes=majority)", "scratch", "augment: classes must be all or minority, not 'majority'"),
    ],
)
def test_what_makes_no_sense_is_one_line(place: Place, method: str, regime: str, why: str) -> None:
    weights = ("--weights", "random") if regime == "frozen" else ()
    process = place.start(*RUN, "--method", method, "--regime", regime, *weights)
    out, err = process.communicate(timeout=600)
    assert process.returncode in (2, 5) and why in err and "Traceback" not in out + err


@pytest.mark.parametrize("method", ["cutmix", "cmo"])
def test_patches_are_for_one_class_per_image(place: Place, method: str) -> None:
    _, err = place.bench(
        *("run", "--task", "multilabel", "--sample", "tiny", "--regime", "scratch", "--backbone", "lenet"),
        *("--method", method, "--quiet"),
        code=5,
    )
    assert f"{method} is for multiclass tasks, not for multilabel" in err


@pytest.mark.slow
def test_attributes_are_blended_and_changed_too(place: Place) -> None:
    from bench.store.write import Store

    methods = "none,mixup,mixup(classes=minority),augment(standard,classes=minority)"
    place.bench(
        *("run", "--task", "multilabel", "--sample", "tiny", "--regime", "scratch", "--backbone", "lenet"),
        *("--method", methods, "--seed", "0", "--set", "epochs=2", "--results", "many", "--quiet"),
    )
    cells, problems = Store(place.folder / "many").load("multilabel")
    assert not problems and len(cells) == 4
    assert {stored.record["status"] for stored in cells} == {"ok"}
    assert len({_bits(stored) for stored in cells}) == 4


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bits(place: Place) -> None:
    """Regime finetune, stopped by a signal after its first checkpoint."""
    args = (
        *(
            *RUN,
            "--method",
            "augment(randaug)+cmo",
            "--regime",
            "finetune",
            "--weights",
            place.draw_weights(),
        ),
        *("--set", "epochs=12", "--set", "patience=0"),
    )
    place.bench(*args, "--results", "whole")
    assert place.kill(*args, "--results", "killed", cache="cache") < 12
    place.bench(*args, "--results", "killed")
    from bench.store.write import Store

    one, other = (Store(place.folder / name).load("fashion")[0][0] for name in ("whole", "killed"))
    assert one.id == other.id and _bits(one) == _bits(other)
