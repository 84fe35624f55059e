"""The method grammar: spellings, canonical text, one-line errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bench.core.cell import canonical_json
from bench.core.errors import BenchError
from bench.methods.grammar import (
    MAX_LIST,
    NONE,
    functions_of,
    needs_features,
    parse_method,
    parse_methods,
    problems_for,
)
from bench.methods.registry import STEPS, Param, StepInfo


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("none", "none"),
        (" none ", "none"),
        ("class_weight+oversample", "oversample+class_weight"),
        ("focal ( 1.50 ) + oversample( median )", "oversample(median)+focal(gamma=1.5)"),
        ("focal(gamma=2)", "focal"),
        ("focal(2.0, alpha=1)", "focal"),
        ("focal()", "focal"),
        ("focal(-0)", "focal(gamma=0)"),
        ("focal(2e-1)", "focal(gamma=0.2)"),
        ("focal(alpha=.25)", "focal(alpha=0.25)"),
        ("class_weight(inverse)", "class_weight(inverse)"),
        ("class_weight(scheme=balanced)", "class_weight"),
        ("class_balanced(gamma=1,loss=focal,beta=.99)", "class_balanced(beta=0.99,loss=focal,gamma=1)"),
        ("logit_adjust(tau=1, form=posthoc)+class_weight", "class_weight+logit_adjust(form=posthoc)"),
        ("logit_adjust(tau=auto, form=posthoc)", "logit_adjust(tau=auto,form=posthoc)"),
        ("tau_norm(tau=auto)+label_smoothing(0.05)", "label_smoothing(epsilon=0.05)+tau_norm"),
        ("smote(3, mean)", "smote(k=3,target=mean)"),
        ("clean(confident)", "clean"),
        ("gce+oversample+clean(action=relabel)", "clean(action=relabel)+oversample+gce"),
        ("clean(confident, weight, folds=3)", "clean(action=weight,folds=3)"),
        ("sce(alpha=6, log_zero=-4)", "sce(alpha=6)"),
        ("bootstrap(mode=soft)", "bootstrap(mode=soft)"),
    ],
)
def test_canonical_text(text: str, canonical: str) -> None:
    spec = parse_method(text)
    assert spec.text == canonical
    assert parse_method(canonical) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a method is empty"),
        ("  ", "a method is empty"),
        ("+focal", "empty beside a '\\+'"),
        ("foccal", "unknown method step 'foccal'; did you mean 'focal'"),
        ("Focal", "did you mean 'focal'"),
        ("nane", "did you mean 'none'"),
        ("none+focal", "'none' stands alone"),
        ("none()", "'none' stands alone"),
        ("focal(gama=1)", "focal has no argument 'gama'; did you mean 'gamma'"),
        ("focal(zzz=1)", "it takes gamma, alpha"),
        ("focal(1,2,3)", "3 arguments are too many"),
        ("balanced_softmax(1)", "it takes none"),
        ("focal(1,gamma=2)", "gamma is given twice"),
        ("focal(gamma=1,gamma=2)", "gamma is given twice"),
        ("focal(gamma=1,2)", "name '2' too"),
        ("focal(gamma=x)", "gamma must be a number, not 'x'"),
        ("focal(gamma=)", "gamma must be a number, not ''"),
        ("focal(1,)", "alpha must be a number, not ''"),
        ("focal(gamma=nan)", "gamma must be a number, not 'nan'"),
        ("focal(gamma=inf)", "gamma must be a number, not 'inf'"),
        ("focal(1e999)", "gamma must be between 0 and 20, not inf"),
        ("focal(-1)", "gamma must be between 0 and 20, not -1"),
        ("focal(1_0)", "gamma must be a number, not '1_0'"),
        ("focal(\u0661)", "gamma must be a number"),
        ("smote(k=2.5)", "k must be a whole number, not '2.5'"),
        ("smote(k=0)", "k must be between 1 and 100, not 0"),
        ("class_weight(inversed)", "did you mean 'inverse'"),
        ("tau_norm(tau=automatic)", "tau must be a number or auto"),
        ("logit_adjust(auto)", "add form=posthoc"),
        ("class_balanced(gamma=1)", "gamma belongs to loss=focal"),
        ("focal(gamma=1", "'\\(' without its '\\)'"),
        ("focal)", "'\\)' without its '\\('"),
        ("focal((1))", "parentheses inside parentheses"),
        ("focal(1)(2)", "cannot read the method step"),
        ("a b", "cannot read the method step 'a b'"),
        ("fo\ncal", "cannot read the method step 'fo\\\\ncal'"),
        ("focal+label_smoothing", "a method has one loss"),
        ("focal+logit_adjust", "a method has one loss"),
        ("oversample+smote", "samples in one way"),
        ("class_weight+class_balanced", "both weight the classes"),
        ("tau_norm+logit_adjust(form=posthoc)", "changes the trained head once"),
        ("focal+focal", "focal appears twice"),
        ("clean(action=delete)", "action must be drop or relabel or weight"),
        ("clean(folds=1)", "folds must be between 2 and 50, not 1"),
        ("gce+bootstrap", "a method has one loss"),
        ("gce(q=0)", "q must be between 0.001 and 1, not 0"),
        ("sce(alpha=0,beta=0)", "nothing is left to minimise"),
        ("logit_adjust+logit_adjust(form=posthoc)", "logit_adjust appears twice"),
        ("x" * 301, "301 characters is too long"),
    ],
)
def test_errors_are_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        parse_method(text)
    shown = str(caught.value)
    assert "\n" not in shown
    assert len(shown) < 200


def test_lists_split_outside_parentheses_and_forget_repeats() -> None:
    methods = parse_methods(
        "none,focal(gamma=2),logit_adjust(tau=1, form=posthoc)+class_weight(inverse), focal"
    )
    assert [method.text for method in methods] == [
        "none",
        "focal",
        "class_weight(inverse)+logit_adjust(form=posthoc)",
    ]


@pytest.mark.parametrize(
    "text", ["", ",", "none,", "none,,focal", "focal(1,2", "none,)focal(", "n" * (MAX_LIST + 1)]
)
def test_lists_with_holes_are_errors(text: str) -> None:
    with pytest.raises(BenchError):
        parse_methods(text)


def test_arguments_are_resolved_and_typed() -> None:
    (step,) = parse_method("focal(1)").steps
    assert step.args == (("alpha", 1.0), ("gamma", 1.0))
    assert isinstance(step["gamma"], float)
    assert isinstance(parse_method("smote").steps[0]["k"], int)
    assert (
        canonical_json(parse_method("focal(gamma=1)").canonical()) == '[["focal",{"alpha":1.0,"gamma":1.0}]]'
    )
    assert NONE.canonical() == []


def test_a_loss_with_weights_of_its_own_takes_both_stages() -> None:
    (step,) = parse_method("class_balanced").steps
    assert set(functions_of(step)) == {"weight", "loss"}


@pytest.mark.parametrize(
    ("text", "kind", "regime", "reason"),
    [
        ("none", "multiclass", "scratch", None),
        ("oversample+focal", "multiclass", "scratch", None),
        ("smote", "multiclass", "frozen", None),
        ("smote+focal", "multiclass", "scratch", "smote works on features; the scratch regime has none"),
        (
            "focal",
            "verification",
            "frozen",
            "focal is for multiclass and multilabel tasks, not for verification",
        ),
        ("clean", "multiclass", "scratch", "clean works on features; the scratch regime has none"),
        ("gce+oversample", "multiclass", "scratch", None),
        ("elr", "multiclass", "scratch", None),
        ("mlp", "multiclass", "scratch", "mlp runs in the frozen regime, not in scratch"),
        ("focal", "multiclass", "finetune", None),
    ],
)
def test_problems_for(text: str, kind: str, regime: str, reason: str | None) -> None:
    assert problems_for(parse_method(text), kind, regime) == reason


def test_a_step_whose_package_is_missing_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.methods.grammar.find_spec", lambda name: None)
    assert problems_for(parse_method("clean+focal"), "multiclass", "frozen") == (
        "clean needs cleanlab, which is not installed: pip install 'messybench[clean]'"
    )
    assert problems_for(parse_method("smote+focal"), "multiclass", "frozen") is None


def test_needs_features() -> None:
    assert needs_features(parse_method("clean"))
    assert not needs_features(parse_method("elr"))
    assert needs_features(parse_method("smote+focal"))
    assert not needs_features(parse_method("oversample+focal"))
    assert not needs_features(NONE)


def test_planning_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bench.methods.grammar import parse_methods; parse_methods('smote+focal,tau_norm');"
        "print([m for m in ('numpy', 'tensorflow', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _values(param: Param) -> st.SearchStrategy[str]:
    words = st.sampled_from(param.choices) if param.choices else st.nothing()
    if param.type is float:
        return words | st.floats(param.low, param.high, allow_nan=False).map(repr)
    return (
        words | st.integers(int(param.low or 0), int(param.high or 9)).map(str)
        if param.type is int
        else words
    )


@st.composite
def _written_step(draw: st.DrawFn, info: StepInfo) -> str:
    chosen = draw(st.lists(st.sampled_from(info.params), unique=True)) if info.params else []
    args = [f"{param.name} = {draw(_values(param))}" for param in chosen]
    return f"{info.name}({', '.join(args)})"


@st.composite
def _written_steps(draw: st.DrawFn) -> list[str]:
    infos = draw(
        st.lists(st.sampled_from(list(STEPS.values())), min_size=1, max_size=4, unique_by=lambda i: i.name)
    )
    return [draw(_written_step(info)) for info in infos]


@given(steps=_written_steps(), data=st.data())
@settings(deadline=None)
def test_round_trip_and_order_independence(steps: list[str], data: st.DataObject) -> None:
    try:
        spec = parse_method("+".join(steps))
    except BenchError:
        assume(False)
    assert parse_method(spec.text) == spec
    shuffled = data.draw(st.permutations(steps))
    assert parse_method(" + ".join(shuffled)) == spec


@given(text=st.text(alphabet="focalnsmte_(),=+.0123 \n\x00é", max_size=40) | st.text(max_size=40))
@settings(deadline=None)
def test_any_text_gives_a_method_or_one_line(text: str) -> None:
    try:
        spec = parse_method(text)
    except BenchError as error:
        assert "\n" not in str(error)
    else:
        assert parse_method(spec.text) == spec


@pytest.mark.parametrize("text", ["assume_negative+large_loss", "impute(leml)+splc", "drop_rows+splc"])
def test_what_leaves_no_unknown_cell_is_not_joined_with_a_loss_about_them(text: str) -> None:
    with pytest.raises(BenchError, match="cannot be combined: the loss is about unknown cells"):
        parse_method(text)


@pytest.mark.parametrize(
    "text",
    ["a|b+" * 1500 + "a|b", "|".join(["focal"] * 1100), ",".join(["focal(gamma=1|2|3|4|5|6|7|8|9)"] * 200)],
)
def test_far_too_many_alternatives_are_one_line(text: str) -> None:
    with pytest.raises(BenchError, match="at most 1000 in all") as caught:
        parse_methods(text)
    assert len(str(caught.value)) < 200


def test_alternatives_vary_last_first() -> None:
    found = parse_methods("focal(gamma=1|3)+oversample(median|max), none")
    assert [method.text for method in found] == [
        "oversample(median)+focal(gamma=1)",
        "oversample+focal(gamma=1)",
        "oversample(median)+focal(gamma=3)",
        "oversample+focal(gamma=3)",
        "none",
    ]


def test_a_stored_method_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stranger.py").write_text("def soft(truth, logits): return logits[:, 0]\n")
    assert parse_method("loss(function=stranger:soft)", stored=True).steps[0].name == "loss"
    assert "stranger" not in sys.modules
    assert dict(parse_method("loss(function=stranger:soft)").steps[0].args)["source"]
    assert sys.modules.pop("stranger")
