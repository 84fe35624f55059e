"""What tuning tries of a method: every numeric argument has a space, or a reason to have none."""

from __future__ import annotations

import pytest

from bench.methods.grammar import parse_method
from bench.methods.registry import STEPS, Param, StepInfo
from bench.methods.search import search_space, with_arguments

UNTUNED = {
    ("augment", "views"): "another number of views is another pass of the backbone",
    ("pair_augment", "views"): "another number of views is another pass of the backbone",
    ("clean", "folds"): "more folds take longer and are no other method",
    ("temperature", "t"): "fitted on a calibration part already, and no answer depends on it",
    ("temperature", "share"): "another share is another training set",
    ("conformal", "alpha"): "the coverage that is asked for",
    ("conformal", "share"): "another share is another training set",
    ("focal", "alpha"): "a factor of the whole loss, which the learning rate is too",
    ("multitask", "main"): "only its ratio to weight counts",
    ("tau_norm", "tau"): "chosen on validation already",
    ("impute", "l2"): "chosen on held-out cells already",
    ("self_train", "l2"): "chosen on held-out cells already",
    ("joint_bayes", "dims"): "chosen on validation already",
    ("pca", "dims"): "chosen on validation already",
    ("whiten", "dims"): "chosen on validation already",
}
NUMBERS = [(info, param) for info in STEPS.values() for param in info.params if param.type in (int, float)]


@pytest.mark.parametrize(("info", "param"), NUMBERS, ids=lambda one: one.name)
def test_every_number_is_searched_within_its_bounds_or_says_why_not(info: StepInfo, param: Param) -> None:
    assert (param.search is None) == ((info.name, param.name) in UNTUNED)
    if param.search is None:
        return
    low, high = param.search.ends
    assert not param.search.fault
    assert (param.low is None or param.low <= low) and (param.high is None or high <= param.high)
    if isinstance(param.default, int | float):
        assert low <= param.default <= high or param.default == 0.0


def names(text: str, kind: str = "multiclass", regime: str = "frozen") -> list[str]:
    return [f"{one.step}.{one.name}" for one in search_space(parse_method(text), kind, regime)]


def test_composed_methods_search_every_step() -> None:
    assert names("none") == names("oversample+class_weight") == []
    assert names("focal+smote+mlp") == ["smote.k", "mlp.units", "focal.gamma"]


def test_arguments_that_the_method_sets_stay() -> None:
    assert names("focal(gamma=1)") == [] and names("mlp(units=32)+focal") == ["focal.gamma"]


def test_arguments_without_meaning_beside_the_others_stay() -> None:
    assert names("class_balanced") == ["class_balanced.beta"]
    assert names("class_balanced(loss=focal)") == ["class_balanced.beta", "class_balanced.gamma"]
    assert names("ldam(drw=false)") == ["ldam.margin", "ldam.scale"]
    assert names("impute(knn)", "multilabel") == ["impute.neighbours"]
    assert names("impute(leml)", "multilabel") == ["impute.rank"]


def test_strength_is_searched_where_images_are_changed_anew_in_each_epoch() -> None:
    assert names("augment", regime="scratch") == ["augment.strength"] and names("augment") == []
    assert names("augment(flip)", regime="scratch") == []


def test_a_method_at_other_values_can_be_typed() -> None:
    method = parse_method("smote+focal")
    other = with_arguments(method, search_space(method, "multiclass", "frozen"), [7, 1.234e-05])
    assert other.text == "smote(k=7)+focal(gamma=1.234e-05)" and parse_method(other.text) == other
