"""The blocks of a net, from the top, for gradual unfreezing: layers that start to train together."""

from __future__ import annotations

import re
from typing import Any

_NAMED = re.compile(r".*(?:block|stage|mixed|expanded_conv)_?[0-9]+[a-z]?")
"""The part of a layer's name that names its block."""


def blocks_of(net: Any) -> list[list[Any]]:
    """Return the layers of a built keras.Model that are trained, block by block, the last block first.

    A block starts at every convolution or dense layer that all paths lead through, so that branches and skip
    connections stay whole, and normalisation is with the layer before it; layers with the name of one block
    (`conv5_block3_...`, `block_16_...`) are one. Layers without trainable variables are in none.
    """
    blocks: list[list[Any]] = []
    name, cut = None, True
    for layer, closed in zip(net.layers, _all_pass(net), strict=True):
        if layer.weights:
            own = _named(layer.name)
            # A named block starts with its first layer, even if that is a normalisation.
            starts = own != name if own else _has_kernel(layer)
            if (cut and starts) or not blocks:
                blocks.append([])
            blocks[-1].append(layer)
            name, cut = own, False
        cut = cut or closed
    trained = [[layer for layer in block if layer.trainable_variables] for block in blocks]
    return [block for block in reversed(trained) if block]


def _named(name: str) -> str | None:
    found = _NAMED.match(name)
    return None if found is None else found[0]


def _has_kernel(layer: Any) -> bool:
    return any(len(variable.shape) > 1 for variable in layer.weights)


def _all_pass(net: Any) -> list[bool]:
    """Return for each layer whether every path leads through it: nothing before it is used after it.

    A Keras model lists its layers in topological order.
    """
    place = {id(layer): number for number, layer in enumerate(net.layers)}
    # The last layer that uses the output of each.
    last = list(range(len(net.layers)))
    for number, layer in enumerate(net.layers):
        for node in layer._inbound_nodes:
            for parent in node.parent_nodes:
                source = place.get(id(parent.operation), number)
                last[source] = max(last[source], number)
    farthest, found = 0, []
    for number, reach in enumerate(last):
        found.append(farthest <= number)
        farthest = max(farthest, reach)
    return found
