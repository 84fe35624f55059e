"""What half precision and XLA do to the time of a training step of a whole net.

    python -m benchmarks.precision [--backbone mobilenetv2_035] [--size 96] [--steps 4] [--rounds 3]

A net with random weights, a linear head for 20 classes and Adam take the same steps on drawn pixels as Keras
compiles them: in float32, under the policies mixed_bfloat16 and mixed_float16, and in float32 with
jit_compile. They take turns: so many steps of each are a round, a first step, in which the net is compiled,
is not counted. The ratio of a round is the time of float32 over that of the other, above 1 where the other
helps, by the clock and by the processor's time; on a machine that does other work besides, the latter is the
one to look at.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from bench.core.environment import quiet

CLASSES = 20
WAYS = {
    "float32": ("float32", False),
    "mixed_bfloat16": ("mixed_bfloat16", False),
    "mixed_float16": ("mixed_float16", False),
    "float32, XLA": ("float32", True),
}
"""What is compared: the policy of the layers, and whether XLA compiles the step."""


def compiled(backbone: str, side: int, policy: str, xla: bool) -> Any:
    """Return a net that is ready to train, its head in float32 as Keras advises."""
    import keras

    from bench.backbones.registry import build_backbone, get_backbone

    keras.config.set_dtype_policy(policy)
    try:
        body = build_backbone(get_backbone(backbone), (side, side), "random", 0)
        answer = keras.layers.Dense(CLASSES, dtype="float32")(body.output)
        net = keras.Model(body.input, answer)
    finally:
        keras.config.set_dtype_policy("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=xla)
    return net


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--backbone", default="mobilenetv2_035")
    for name, default in (("size", 96), ("batch", 32), ("steps", 4), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument(
        "--ways", default="; ".join(WAYS), help="which of these, joined by ';', float32 first"
    )
    asked = parser.parse_args()
    quiet()
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (asked.batch, asked.size, asked.size, 3)).astype(np.float32)
    y = rng.integers(0, CLASSES, asked.batch)
    ways = [way.strip() for way in asked.ways.split(";")]
    nets = {way: compiled(asked.backbone, asked.size, *WAYS[way]) for way in ways}
    for way, net in nets.items():
        began = time.perf_counter()
        net.train_on_batch(x, y)
        print(f"{way}: compiled, with a first step, in {time.perf_counter() - began:.1f} s", flush=True)
    spent: dict[str, list[tuple[float, float]]] = {way: [] for way in nets}
    for _ in range(asked.rounds):
        for way, net in nets.items():
            start = time.perf_counter(), time.process_time()
            for _ in range(asked.steps):
                net.train_on_batch(x, y)
            wall = (time.perf_counter() - start[0]) / asked.steps
            spent[way].append((wall, (time.process_time() - start[1]) / asked.steps))
    print(f"\n{'way':<16} {'s/step':>8} {'cpu s/step':>11} {'ratio':>7} {'by cpu':>7}")
    for way, times in spent.items():
        wall, processor = (statistics.median(column) for column in zip(*times, strict=True))
        ratios = [
            statistics.median(
                one[part] / other[part] for one, other in zip(spent["float32"], times, strict=True)
            )
            for part in (0, 1)
        ]
        print(f"{way:<16} {wall:>8.3f} {processor:>11.3f} {ratios[0]:>7.2f} {ratios[1]:>7.2f}")


if __name__ == "__main__":
    main()
