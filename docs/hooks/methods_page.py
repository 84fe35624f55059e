"""Page of methods, from the registry: summary, formula, paper, arguments and measured effect of each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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

**Measured** is the difference on test to `none` (pairs of photos: to `cosine`) under the same protocol,
from the pages of results: [fashion](../results-fashion.md), [titles](../results-titles.md),
[marketplace](../results-marketplace.md), [multilabel](../results-multilabel.md),
[faces](../results-faces.md). Two figures are for frozen MobileNet 0.25 and MobileNetV2 0.35, one is for
MobileNetV2 0.35; *two backbones* are both side by side. Brackets hold 95% intervals; a difference
without one can be chance: three to five seeds of fashion vary by .002 to .04, of faces by .00 to .02.
Where nothing is measured, the page says so; on data of your own:

    bench run --task TASK --data DIR --method none,METHOD --seed 0-4
    bench leaderboard --task TASK --effects
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
    details = read_details()
    parts = [HEAD]
    for stage in STAGES:
        steps = [info for info in STEPS.values() if _stage(info) == stage]
        parts.append(f"## {TITLES[stage]}\n")
        parts += [_step(info, details[info.name]) for info in sorted(steps, key=lambda info: info.name)]
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


def _step(info: StepInfo, details: Mapping[str, Any]) -> str:
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
    if details["measured"]:
        lines += ["Measured:\n", *(f"- {effect}" for effect in details["measured"]), ""]
    else:
        lines.append("Measured: not yet, on any of the four tasks.\n")
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
