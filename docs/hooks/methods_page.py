"""Page of methods, from the registry: summary, formula, paper, arguments and measured effect of each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from effects import Effect
from effects import read as read_effects
from latex2mathml.converter import convert

from bench.methods.grammar import MASK
from bench.methods.registry import STAGES, STEPS, Param, StepInfo

DETAILS = Path(__file__).with_name("methods.toml")

HEAD = f"""# Methods

A method is `none`, a step, or several steps joined by `+`: `oversample+class_weight`,
`impute(leml)+mlp(units=32)`. Values joined by `|` are run one after the other: `mlp(units=16|64)`. `{MASK}`
is another name for `none`: the loss leaves unknown labels out unless a step fills them in.

    bench list methods
    bench plan --task fashion --method "oversample+class_weight,focal(gamma=1|2)"

**Symbols.** *z*: logits, *p*: their softmax (their sigmoid σ where a label has many attributes), *y*:
the label, *x*: the features of an image, *n<sub>c</sub>*: training images of class *c*, *n*: all of
them, *C*: the number of classes, *π*: the classes' shares in training, *m<sub>c</sub>*: the mean of a
class's features. For pairs of photos: *a*, *b*: their features, *s*: how similar they are, *D*: their
distance on the unit sphere, *θ<sub>k</sub>*: the angle to the direction of class, or person, *k*.

**Effects** are differences on test to `none` (pairs of photos: to `cosine`) under the same protocol. Brackets
hold 95% intervals, over test items and seeds. *With default arguments* means one grid for each task on real
photos: three seeds of frozen MobileNet 0.25, 30% of the training labels hidden in multilabel, LFW's View 1:

    bench run --task TASK --data DIR --regime frozen --backbone mobilenet_025 --seed 0-2 \\
      --method none,METHOD,...
    bench run --task multilabel --data DIR --regime frozen --backbone mobilenet_025 --seed 0-2 \\
      --set source=fashion --set hide=random --set hide_rate=0.3 --method none,METHOD,...
    bench leaderboard --task TASK --effects

Steps that need a net are measured on LeNet trained from scratch (`--regime scratch --backbone lenet`),
transforms of features as `STEP+cosine`, `l2` as `l2+euclidean`, `pairs` as `pairs+pair_logistic`. *On the
pages of results* are other arguments, backbones and noise, some of an earlier default protocol:
[fashion](../results-fashion.md), [titles](../results-titles.md),
[marketplace](../results-marketplace.md), [multilabel](../results-multilabel.md),
[faces](../results-faces.md). Two figures are for frozen MobileNet 0.25 and MobileNetV2 0.35, one is for
MobileNetV2 0.35; *two backbones* are both side by side. A difference without an interval can be chance:
three to five seeds of fashion vary by .002 to .04, of faces by .00 to .02.
"""

TITLES = {
    "labels": "Labels",
    "sampling": "Sampling",
    "augment": "Augmentation",
    "mix": "Mixtures of images",
    "head": "Heads",
    "space": "Pairs: transforms of features",
    "match": "Pairs: similarity",
    "mining": "Pairs: mining",
    "weight": "Class weights",
    "loss": "Losses",
    "posthoc": "After training",
}


def page() -> str:
    """Return the page as Markdown. Raises ValueError unless the details are those of the registry."""
    details, effects = read_details(), read_effects()
    parts = [HEAD]
    for stage in STAGES:
        steps = [info for info in STEPS.values() if _stage(info) == stage]
        parts.append(f"## {TITLES[stage]}\n")
        for info in sorted(steps, key=lambda info: info.name):
            parts.append(_step(info, details[info.name], effects.get(info.name, {})))
    return "\n".join(parts)


def read_details() -> Mapping[str, Any]:
    """Return formula and effects by step. Raises ValueError unless every step has them, and no other name."""
    details = tomllib.loads(DETAILS.read_text(encoding="utf-8"))
    if missing := sorted(STEPS.keys() - details.keys()):
        raise ValueError(f"{DETAILS.name} has no formula of {', '.join(missing)}")
    if unknown := sorted(details.keys() - STEPS.keys()):
        raise ValueError(f"{DETAILS.name} has steps that no registry knows: {', '.join(unknown)}")
    return details


def _stage(info: StepInfo) -> str:
    return info.stage_of({param.name: param.default for param in info.params})


def _step(info: StepInfo, details: Mapping[str, Any], effects: Mapping[str, Sequence[Effect]]) -> str:
    formula = convert(details["formula"], display="block")
    lines = [
        f"### {info.name}\n",
        f"{info.summary[:1].upper()}{info.summary[1:]}.\n",
        f"It helps when {info.helps}.\n",
        f'<div class="formula">{formula}</div>\n',
        f"*{' and '.join(info.kinds)}; {', '.join(info.regimes)}*\n",
        f"Paper: {info.paper}.\n",
    ]
    if info.params:
        lines += ["| argument | default | values | |", "| --- | --- | --- | --- |"]
        lines += [_row(param) for param in info.params]
        lines.append("")
    if effects:
        lines.append("With default arguments:\n")
        lines += [f"- {place}: {', '.join(one.shown() for one in found)}" for place, found in effects.items()]
        lines.append("")
    if details["measured"]:
        lines += ["On the pages of results:\n", *(f"- {effect}" for effect in details["measured"]), ""]
    if not effects and not details["measured"]:
        lines.append("Not measured yet on any of the four tasks.\n")
    return "\n".join(lines)


def _row(param: Param) -> str:
    if param.choices:
        values = ", ".join(f"`{choice}`" for choice in param.choices)
        values = values if param.type in (str, bool) else f"a number, or {values}"
    elif param.type is bool:
        values = "`true`, `false`"
    elif param.low is not None and param.high is not None:
        values = f"{param.low:g} to {param.high:g}"
    else:
        values = "a text" if param.type is str else "a number"
    default = f"`{_shown(param.default)}`" if param.default != "" else ""
    return f"| `{param.name}` | {default} | {values} | {param.help.replace('|', '&#124;')} |"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
