"""Space in which photos are compared: maps of features, fitted on training photos without labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import accumulate
from threading import Lock

import numpy as np

from bench.core.cell import Step
from bench.core.errors import BenchError
from bench.kinds.verification.match import AUTO, REDUCING
from bench.training.standardize import mean_and_deviation

EXACT = 1024
"""Axes are exact up to so many photos or features, whichever are fewer; beyond, the search is randomised."""

ROOM = 256 * 2**20
"""Bytes of axes cached for other methods."""

TINY = 1e-12
"""Below this share of the largest variance an axis counts as empty."""


@dataclass(frozen=True)
class Power:
    """sign(x) |x|^exponent of every feature."""

    exponent: float

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, d) float32 for (n, d) float32."""
        out: np.ndarray = np.sign(rows) * np.abs(rows) ** np.float32(self.exponent)
        return out


@dataclass(frozen=True)
class Unit:
    """Every part of a row over its Euclidean length; widths: of the parts. Rows of zeros stay as they are."""

    widths: tuple[int, ...]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, d) float32 for (n, d) float32."""
        return np.concatenate([unit(rows[:, part]) for part in parts_of(self.widths)], axis=1)


@dataclass(frozen=True, eq=False)
class Affine:
    """Every part of a row, less its mean, times its kernel; the results side by side.

    means: (d_i,) float32 for each part. kernels: (d_i, k_i) float32, or (d_i,) for factors.
    """

    means: tuple[np.ndarray, ...]
    kernels: tuple[np.ndarray, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """What every part has become."""
        return tuple(kernel.shape[-1] for kernel in self.kernels)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 for (n, d) float32."""
        out = []
        parts = parts_of([len(mean) for mean in self.means])
        for part, mean, kernel in zip(parts, self.means, self.kernels, strict=True):
            own = rows[:, part] - mean
            out.append(own * kernel if kernel.ndim == 1 else own @ kernel)
        return np.concatenate(out, axis=1)


Map = Power | Unit | Affine
Axes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Mean (d,), axes (d, k), variances along them (k,), of one part of a row."""


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """Maps that are taken one after the other. widths: of the parts of a row when all are done."""

    maps: tuple[Map, ...]
    widths: tuple[int, ...]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (n, k) float32 for (n, d) float32."""
        out = np.asarray(rows, np.float32)
        for one in self.maps:
            out = one(out)
        return out

    def then(self, one: Map) -> FeatureSpace:
        """Return the space with one more map at its end."""
        return FeatureSpace((*self.maps, one), one.widths if isinstance(one, Affine) else self.widths)


def unit(rows: np.ndarray) -> np.ndarray:
    """Return rows of length one; rows of zeros stay zeros. rows: (n, d)."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    out: np.ndarray = rows / np.where(lengths > 0, lengths, np.float32(1))
    return out


class Fitter:
    """Fits spaces on training photos, and remembers what took long.

    read: positions of photos -> (m, d) float32 features. widths: of the parts of a row. Safe for several
    threads.
    """

    def __init__(self, read: Callable[[np.ndarray], np.ndarray], widths: Sequence[int]) -> None:
        self.read, self.widths = read, tuple(widths)
        self.known: dict[Hashable, Future[list[Axes]]] = {}
        self.lock = Lock()

    def fit(self, alternatives: Sequence[Sequence[Step]], rows: np.ndarray) -> list[FeatureSpace]:
        """Return spaces fitted on the photos at these positions, whose steps differ in `dims` alone.

        Steps with dims=auto must have been given a number (`at_dims`). Raises BenchError where there are too
        few photos for as many axes.
        """
        steps, start = alternatives[0], FeatureSpace((), self.widths)
        turn = next((place for place, step in enumerate(steps) if step.name in REDUCING), len(steps))
        if not steps:
            return [start for _ in alternatives]
        space, at = _fit_plain(steps[:turn], self.read(rows), start)
        if turn == len(steps):
            return [space for _ in alternatives]
        own = space.widths if steps[turn]["by"] == "part" else (sum(space.widths),)
        dims = [int(str(other[turn]["dims"])) for other in alternatives]
        key = (tuple(steps[:turn]), own, max(dims), digest(rows))
        name = steps[turn].name
        axes = self._axes(key, lambda: [_first_axes(name, at[:, part], max(dims)) for part in parts_of(own)])
        out = []
        for other in alternatives:
            one = Affine(*zip(*(_reduced(other[turn], *part) for part in axes), strict=True))
            found = space.then(one)
            # What comes after the axes is not fitted on anything.
            for step in other[turn + 1 :]:
                found = found.then(_plain_map(step, at[:0], found.widths))
            out.append(found)
        return out

    def _axes(self, key: Hashable, find: Callable[[], list[Axes]]) -> list[Axes]:
        """Return the result for this key; a thread waits for another that already computes it."""
        with self.lock:
            known = self.known.get(key)
            future = self.known[key] = Future() if known is None else known
        if known is None:
            try:
                future.set_result(find())
            except BaseException as error:
                future.set_exception(error)
            self._forget()
        return future.result()

    def _forget(self) -> None:
        """Drop the oldest axes until the others fit into ROOM; those just found stay."""
        with self.lock:
            sizes = {key: _size(future) for key, future in self.known.items() if future.done()}
            for key in list(sizes)[:-1]:
                if sum(sizes.values()) <= ROOM:
                    break
                del self.known[key], sizes[key]


def _size(future: Future[list[Axes]]) -> int:
    failed = future.exception() is not None
    return 0 if failed else sum(array.nbytes for part in future.result() for array in part)


def _fit_plain(
    steps: Sequence[Step], rows: np.ndarray, space: FeatureSpace
) -> tuple[FeatureSpace, np.ndarray]:
    """Fit steps that turn onto no axes; return the longer space, and the rows in it."""
    at = np.asarray(rows, np.float32)
    for step in steps:
        one = _plain_map(step, at, space.widths)
        space, at = space.then(one), one(at)
    return space, at


def _plain_map(step: Step, rows: np.ndarray, widths: tuple[int, ...]) -> Map:
    if step.name == "power":
        return Power(float(str(step["exponent"])))
    if step.name == "l2":
        return Unit(widths if step["by"] == "part" else (sum(widths),))
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    parts = list(parts_of(widths))
    ones = np.ones(len(mean), np.float32)
    return Affine(tuple(mean[part] for part in parts), tuple(ones[part] for part in parts))


def standardised(rows: np.ndarray) -> Affine:
    """Return the map to zero mean and unit variance over these rows; constant features become 0."""
    mean, scale = mean_and_deviation(rows)
    return Affine((mean.astype(np.float32),), ((1.0 / scale).astype(np.float32),))


def _first_axes(name: str, rows: np.ndarray, dims: int) -> Axes:
    n, d = rows.shape
    if dims > min(d, n - 1):
        why = f"{n} training photos" if n - 1 < d else f"{d} features"
        raise BenchError(f"{name}(dims={dims}): {why} give {max(min(d, n - 1), 0)} axes at most")
    return principal_axes(rows, dims)


def _reduced(
    step: Step, mean: np.ndarray, axes: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (d,) and the kernel (d, k) of a step that turns rows onto their first k axes."""
    dims = int(str(step["dims"]))
    axes, variances = axes[:, :dims], variances[:dims]
    if step.name == "whiten":
        shrink = float(str(step["shrink"]))
        variances = (1.0 - shrink) * variances + shrink * variances.mean()
        if variances.min() <= TINY * max(variances.max(), TINY):
            raise BenchError(
                f"whiten(dims={dims}): the training photos vary along fewer axes; ask for fewer, or shrink"
            )
        axes = axes / np.sqrt(variances)
    return mean.astype(np.float32), axes.astype(np.float32)


def principal_axes(rows: np.ndarray, dims: int) -> Axes:
    """Return the mean (d,), the first axes (d, dims) and the variances along them (dims,), falling.

    rows: (n, d) float32, dims at most min(d, n - 1). Variances are over n - 1. Equal rows give equal bits on
    one machine, signs included: scikit-learn points every axis to where its largest entry is positive. The
    randomised search is that of Halko et al. 2011, arXiv:0909.4061, with a fixed seed.
    """
    from sklearn.decomposition import PCA

    n, d = rows.shape
    if min(n, d) > EXACT and dims < 0.8 * min(n, d):
        found = PCA(dims, svd_solver="randomized", random_state=0).fit(rows)
    else:
        solver = "covariance_eigh" if d <= n else "full"
        found = PCA(dims, svd_solver=solver).fit(rows.astype(np.float64))
    return found.mean_, found.components_.T, found.explained_variance_


def at_dims(steps: Sequence[Step], dims: int) -> tuple[Step, ...]:
    """Return the steps with every dims=auto made this number."""
    return tuple(
        Step(
            step.name,
            tuple((key, dims if (key, value) == ("dims", AUTO) else value) for key, value in step.args),
        )
        for step in steps
    )


def asks_for_dims(steps: Sequence[Step]) -> bool:
    """Return whether a step leaves its number of axes open."""
    return any(step.name in REDUCING and step["dims"] == AUTO for step in steps)


def most_dims(steps: Sequence[Step], n: int, widths: Sequence[int]) -> int:
    """Return how many axes n training photos can have at most, in every part that a step looks at."""
    by_part = any(step.name in REDUCING and step["by"] == "part" for step in steps)
    return max(0, min(n - 1, min(widths) if by_part else sum(widths)))


def parts_of(widths: Sequence[int]) -> Iterator[slice]:
    """Yield where each part of a row lies."""
    ends = list(accumulate(widths))
    yield from (slice(end - width, end) for end, width in zip(ends, widths, strict=True))


def digest(array: np.ndarray) -> bytes:
    """Return what equal arrays share."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
