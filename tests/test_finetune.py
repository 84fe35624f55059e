"""Whole nets from trained weights, by the real command: stages that follow each other, layers that stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.store.head_file import load_head
from bench.store.read import PREDICTIONS, Stored
from tests.place import Place

FINETUNE = (
    *("run", "--task", "fashion", "--sample", "tiny", "--backbone", "lenet", "--regime", "finetune"),
    *("--weights", "lenet.weights.h5", "--method", "none", "--seed", "0", "--set", "epochs=2", "--quiet"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place with weights of a small net, and what two stages made of them, the second from the first."""
    place = Place(tmp_path_factory.mktemp("finetune"))
    place.draw_weights()
    place.bench(*FINETUNE, "--set", "staged=true", "--keep-model")
    return place


def _cells(place: Place, results: str = "results") -> dict[str, Stored]:
    from bench.store.write import Store

    cells, problems = Store(place.folder / results).load("fashion")
    assert not problems
    return {stored.record["cell"]["stage"]: stored for stored in cells}


def _weights(place: Place) -> list[np.ndarray]:
    """Return the variables of the net in the weights file."""
    from bench.backbones.registry import build_backbone, get_backbone

    net = build_backbone(get_backbone("lenet"), (32, 32), str(place.folder / "lenet.weights.h5"))
    return [held.value.numpy() for held in net.variables]


def test_a_later_stage_alone_is_what_it_is_after_the_first(place: Place) -> None:
    """Its predecessor is trained again without being stored."""
    place.bench(*FINETUNE, "--set", "staged=true", "--stage", "remaining", "--results", "alone")
    alone, both = _cells(place, "alone"), _cells(place)
    assert set(alone) == {"remaining"} and set(both) == {"top20", "remaining"}
    one, other = alone["remaining"], both["remaining"]
    assert one.id == other.id
    assert (one.folder / PREDICTIONS).read_bytes() == (other.folder / PREDICTIONS).read_bytes()


@pytest.mark.slow
def test_a_stage_goes_on_from_the_net_before_it(place: Place) -> None:
    still = ("--set", "staged=true", "--set", "backbone_rate=0", "--keep-model", "--results", "still")
    place.bench(*FINETUNE, *still)
    nets = {stage: load_head(stored.folder).net for stage, stored in _cells(place, "still").items()}
    for one, other in zip(nets["top20"], nets["remaining"], strict=True):
        np.testing.assert_array_equal(one, other)
    learned = load_head(_cells(place)["top20"].folder).net
    assert any((one != other).any() for one, other in zip(nets["top20"], learned, strict=True))
    place.bench(*FINETUNE, "--results", "apart")
    apart, staged = _cells(place, "apart"), _cells(place)
    assert apart["remaining"].id != staged["remaining"].id
    kinds = [stored.predictions().scores.tobytes() for stored in (apart["remaining"], staged["remaining"])]
    assert kinds[0] != kinds[1]


@pytest.mark.slow
def test_layers_before_the_named_one_stay_as_the_file_has_them(place: Place) -> None:
    frozen = ("--set", "train_from=dense_1", "--keep-model", "--results", "frozen", "--stage", "top20")
    place.bench(*FINETUNE, *frozen)
    trained, all_of_it = (
        load_head(_cells(place, "frozen")["top20"].folder).net,
        load_head(_cells(place)["top20"].folder).net,
    )
    begun = _weights(place)
    # Kernels and biases of two convolutions, then of two dense layers.
    same = [np.array_equal(one, other) for one, other in zip(trained, begun, strict=True)]
    assert same == [True] * 4 + [False] * 4
    assert not any(np.array_equal(one, other) for one, other in zip(all_of_it, begun, strict=True))


def test_an_unknown_layer_fails_its_cells_in_one_line(place: Place) -> None:
    _, err = place.bench(*FINETUNE, "--set", "train_from=nosuch", "--results", "no", code=5)
    assert "unknown layer 'nosuch'" in err
    assert {stored.record["status"] for stored in _cells(place, "no").values()} == {"failed"}


def test_finetune_without_trained_weights_is_refused(place: Place) -> None:
    args = [part if part != "lenet.weights.h5" else "random" for part in FINETUNE]
    _, err = place.bench(*args, code=5)
    assert "regime finetune starts from trained weights" in err


def test_a_net_without_published_weights_is_not_sent_from_one_refusal_to_the_next(place: Place) -> None:
    args = [part for part in FINETUNE if part not in ("--weights", "lenet.weights.h5")]
    _, err = place.bench(*args, code=5)
    assert "lenet has no published ImageNet weights: use --weights a file" in err


def test_a_stage_without_classes_says_so_before_the_one_before_it_is_trained(place: Place) -> None:
    card = (Path(__file__).resolve().parents[1] / "tasks" / "fashion" / "task.toml").read_text(
        encoding="utf-8"
    )
    folder = place.folder / "cards" / "fashion"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(card.replace("\nfirst = 20\n", "\nfirst = 400\n"), encoding="utf-8")
    own = ("--tasks", "cards", "--stage", "remaining", "--results", "late")
    _, err = place.bench(*FINETUNE, *own, "--set", "staged=true", "--set", "top20.train_from=nosuch", code=5)
    assert "stage 'remaining' begins at class 401" in err and "nosuch" not in err.splitlines()[-1]


def test_a_stage_before_that_fails_in_its_second_epoch_leaves_no_checkpoint(place: Place) -> None:
    wild = ("--set", "top20.unfreeze=1", "--set", "top20.backbone_rate=1e30", "--set", "staged=true")
    _, err = place.bench(*FINETUNE, *wild, "--stage", "remaining", "--results", "wild", code=5)
    assert "stage top20, which remaining starts from: " in err and "became NaN in epoch 2" in err
    test_nothing_is_left_in_the_folder_of_checkpoints(place)


def test_nothing_is_left_in_the_folder_of_checkpoints(place: Place) -> None:
    assert list((place.folder / "cache" / "checkpoints").glob("*")) == []
