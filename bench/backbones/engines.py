"""Engines that run a backbone over batches of pixels: a frozen TensorFlow graph, or OpenVINO."""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from bench.backbones.engine_choice import NO_OPENVINO
from bench.backbones.info import POOLS, FeatureSpec
from bench.backbones.precision import FLOAT32
from bench.core.errors import BenchError, unknown
from bench.core.memory_limits import capped

Extract = Callable[[np.ndarray], np.ndarray]
"""(b, h, w, 3) uint8 -> (b, d) or (b, y, x, c) float32; safe to call from STREAMS threads at once."""

STREAMS = 2
"""Concurrent batches: small nets do not keep all cores busy with one."""

_PIXELS = 16 * 224 * 224
_FREEZE_LIMIT = 150_000_000
"""Nets with more parameters run unfrozen: their constants would not fit into one graph file."""


def batch_for(size: tuple[int, int]) -> int:
    """Return how many images of this (height, width) make a batch.

    16 at 224x224, and about as many pixels at any other size: on CPUs the best of 8 to 64 within noise, with
    bounded memory. It depends on the size alone, because an image's features may depend on it.
    """
    return max(2, min(128, _PIXELS // (size[0] * size[1])))


def load_engine(name: str, net: Any, scale: Callable[[Any], Any], size: tuple[int, int]) -> Extract:
    """Return the function from batches of exactly `batch_for(size)` images to a net's features.

    name: `tensorflow` or `openvino`. net: a built backbone. scale: its preprocessing. Raises BenchError
    when OpenVINO is not installed, or cannot convert the net.
    """
    return {"tensorflow": _tensorflow, "openvino": _openvino}[name](net, scale, size)


def unpooled(net: Any) -> Any:
    """Return the built backbone up to its last feature map: a keras.Model from images to (n, h, w, c).

    The map is the input of the net's last pooling layer (lenet: of its Flatten). Raises BenchError for a net
    without one.
    """
    import keras

    ends = (keras.layers.GlobalAveragePooling2D, keras.layers.Flatten)
    last = next((layer for layer in reversed(net.layers) if isinstance(layer, ends)), None)
    if last is None:
        raise BenchError(f"{net.name} has no feature map: leave out pool, and conv")
    return keras.Model(net.inputs, last.input, name=f"{net.name}_map")


def feature_extractor(net: Any, spec: FeatureSpec) -> Any:
    """Return the built backbone up to the layers read: a keras.Model from images to (n, d).

    Maps are averaged as a whole or over each field of a grid (row-major, channels last), rows stay unchanged,
    and several layers are concatenated. With `unit` each field is L2-normalised and divided by the side of
    the grid, so that each layer has length one. Raises BenchError for an unknown layer, naming the nearest,
    for an output that is neither map nor row, and for a map smaller than the grid.
    """
    import keras

    if spec.plain:
        return net
    outputs = {name: _output_of(net, name) for name in spec.layers}
    if not outputs:
        outputs = {"the last": net.outputs[0] if spec.pool == "average" else unpooled(net).outputs[0]}
    rows = [_as_row(output, f"{name} of {net.name}", spec) for name, output in outputs.items()]
    row = rows[0] if len(rows) == 1 else keras.ops.concatenate(rows, axis=-1)
    return keras.Model(net.inputs, row, name=f"{net.name}_read")


def _output_of(net: Any, name: str) -> Any:
    names = [layer.name for layer in net.layers]
    if name not in names:
        where = f"for --set layers; in a joined backbone write {net.name}:layer"
        raise unknown("layer", name, names, f"layers of {net.name}, {where}")
    return net.get_layer(name).output


def _as_row(output: Any, what: str, spec: FeatureSpec) -> Any:
    from keras import ops

    grid = POOLS[spec.pool]
    if isinstance(output, (list, tuple)) or len(output.shape) not in (2, 4):
        raise BenchError(f"layer {what} outputs neither a map nor a row of features: name another")
    if output.dtype != FLOAT32:
        # Means and norms are computed in float32.
        output = ops.cast(output, FLOAT32)
    if len(output.shape) == 2:
        return _unit(output) if spec.unit else output
    height, width = output.shape[1:3]
    if min(height, width) < grid:
        raise BenchError(
            f"layer {what} is {height}x{width}, too small for a grid of {grid}x{grid}: use another pool"
        )
    fields = [
        ops.mean(output[:, top:bottom, left:right], axis=(1, 2))
        for top, bottom in _edges(height, grid)
        for left, right in _edges(width, grid)
    ]
    if spec.unit:
        fields = [_unit(field) / grid for field in fields]
    return fields[0] if grid == 1 else ops.concatenate(fields, axis=-1)


def _unit(rows: Any) -> Any:
    """L2-normalise rows; a row of zeros stays. Keras's layer leaves rows below 3e-4 shorter."""
    from keras import ops

    return rows / ops.maximum(ops.sqrt(ops.sum(rows * rows, axis=-1, keepdims=True)), 1e-12)


def _edges(length: int, fields: int) -> list[tuple[int, int]]:
    """Return start and end of the fields along one side; they overlap by one unless they divide it.

    >>> _edges(7, 2)
    [(0, 4), (3, 7)]
    """
    return [(field * length // fields, -(-(field + 1) * length // fields)) for field in range(fields)]


def run_engine(
    extract: Extract, batches: Iterable[tuple[np.ndarray, np.ndarray]], batch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (positions, features) for every (positions, images), in order.

    The last batch is padded with zeros, so that features do not depend on the number of images.
    """
    waiting: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
    streams = capped(STREAMS)
    with ThreadPoolExecutor(streams) as pool:
        for positions, images in batches:
            waiting.append((positions, pool.submit(extract, _padded(images, batch))))
            if len(waiting) > streams:
                yield _next_of(waiting)
        while waiting:
            yield _next_of(waiting)


def _padded(images: np.ndarray, batch: int) -> np.ndarray:
    if len(images) == batch:
        return images
    whole = np.zeros((batch, *images.shape[1:]), np.uint8)
    whole[: len(images)] = images
    return whole


def _next_of(waiting: deque[tuple[np.ndarray, Future[np.ndarray]]]) -> tuple[np.ndarray, np.ndarray]:
    positions, future = waiting.popleft()
    return positions, future.result()[: len(positions)]


def _graph(net: Any, scale: Callable[[Any], Any], size: tuple[int, int]) -> Any:
    """Return the net with its preprocessing as one TensorFlow function of fixed shape."""
    import tensorflow as tf

    signature = [tf.TensorSpec((batch_for(size), *size, 3), tf.uint8)]
    # Never jit_compile: XLA runs depthwise convolutions at 0.06x on CPUs.
    forward = tf.function(
        lambda pixels: tf.cast(net(scale(pixels), training=False), tf.float32),
        input_signature=signature,
        autograph=False,
    )
    return forward.get_concrete_function()


def _frozen(graph: Any) -> Any:
    """Return the graph with its variables as constants, and batch normalisation folded into convolutions."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    return convert_variables_to_constants_v2(graph)


def _tensorflow(net: Any, scale: Callable[[Any], Any], size: tuple[int, int]) -> Extract:
    import tensorflow as tf

    graph = _graph(net, scale, size)
    if net.count_params() > _FREEZE_LIMIT:
        return lambda images: np.asarray(graph(tf.constant(images)).numpy())
    frozen = _frozen(graph)
    return lambda images: np.asarray(frozen(tf.constant(images))[0].numpy())


def import_openvino() -> Any:
    """Return the module openvino without its telemetry. Raises BenchError if it is not installed.

    On import openvino writes a machine id into the home folder and sends an event, unless its telemetry
    package cannot be imported.
    """
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError:
        raise BenchError(NO_OPENVINO) from None
    return openvino


def compile_model(model: Any) -> Any:
    """Return an OpenVINO model compiled for this CPU in float32, for STREAMS concurrent batches."""
    hints = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": str(STREAMS),
    }
    return import_openvino().Core().compile_model(model, "CPU", hints)


def frozen_graph(net: Any, scale: Callable[[Any], Any], size: tuple[int, int]) -> bytes:
    """Return the net with its preprocessing as a serialised GraphDef, for `load_graph`."""
    graph = _frozen(_graph(net, scale, size)).graph.as_graph_def()
    return bytes(graph.SerializeToString(deterministic=True))


def load_graph(graph: bytes, name: str) -> Extract:
    """Return OpenVINO's function from batches of images to the features of a `frozen_graph`.

    Imports no TensorFlow. Raises BenchError when OpenVINO is not installed, or cannot convert the net.
    """
    openvino = import_openvino()
    # Not `openvino.convert_model`, which sends telemetry.
    with tempfile.TemporaryDirectory(prefix="bench-openvino-") as folder:
        path = Path(folder) / "net.pb"
        path.write_bytes(graph)
        try:
            model = compile_model(openvino.Core().read_model(str(path)))
        except RuntimeError as error:
            why = " ".join(str(error).split())[:300]
            raise BenchError(f"OpenVINO cannot convert {name}: add --set engine=tensorflow ({why})") from None
    thread = local()

    def extract(images: np.ndarray) -> np.ndarray:
        if not hasattr(thread, "request"):
            thread.request = model.create_infer_request()
        thread.request.infer({0: images})
        return np.array(thread.request.get_output_tensor(0).data, np.float32)

    return extract


def _openvino(net: Any, scale: Callable[[Any], Any], size: tuple[int, int]) -> Extract:
    import_openvino()
    return load_graph(frozen_graph(net, scale, size), net.name)
