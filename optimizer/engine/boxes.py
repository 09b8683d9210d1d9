"""What every bounded variable does in an iteration, whatever row it stands in.

With the distances x to its bounds and their multipliers z, θ = z_low/x_low + z_high/x_high. Given
p, its reduced cost less what the complementarity wants, its Newton step is −p/θ. Predictor and
corrector are those of Mehrotra (SIAM J. Optim. 2, 1992).

All compiled functions that call each other stand in this one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from twins.jit import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

STEP_PRIMAL, STEP_DUAL, GAP, BY_STEP, BY_PRICE, BY_BOTH = range(6)
"""Columns of `sums`: the longest steps, and Σxz with its change by x, by z and by both."""
LONGEST = 1e30
LEAST = 1e-9
"""Boxes narrower than this (kW, kWh) are fixed."""


class Box(NamedTuple):
    """Bounded variables with the interior point's state; all arrays have one shape.

    Attributes:
        low: lower bound; the value of a fixed variable.
        cost: linear cost.
        free: 1 where the bounds differ, 0 where the variable is fixed.
        above: distance to the lower bound, > 0.
        below: distance to the upper bound, > 0.
        price_low: multiplier of the lower bound, > 0.
        price_high: multiplier of the upper bound, > 0.
        inverse: 1/θ, 0 for a fixed variable.
        pull: reduced cost less what the complementarity wants.
        affine: step of the predictor.
        step: step of the corrector.
    """

    low: Floats
    cost: Floats
    free: Floats
    above: Floats
    below: Floats
    price_low: Floats
    price_high: Floats
    inverse: Floats
    pull: Floats
    affine: Floats
    step: Floats


class Runs(NamedTuple):
    """Ranges of a flat box, each of one independent part: the unit of parallel work."""

    start: Ints
    stop: Ints
    part: Ints


def make_box(low: Floats, high: Floats, cost: Floats, least: float) -> Box:
    """Boxes before their start is set; those narrower than `least` are fixed in the middle."""
    width = high - low
    is_free = width > least
    half = np.where(is_free, 0.5 * width, 1.0)
    return Box(
        low=np.where(is_free, low, 0.5 * (low + high)),
        cost=np.ascontiguousarray(cost),
        free=is_free.astype(float),
        above=half,
        below=half.copy(),
        **{
            name: np.zeros_like(half)
            for name in ("price_low", "price_high", "inverse", "pull", "affine", "step")
        },
    )


def start_box(box: Box, reduced: Floats, base: Floats | float) -> None:
    """Start near the central path: dual feasible, and dear boxes near their cheap end.

    The middle of each box with equal multipliers would do for cheap boxes; one at the firm price
    would start with a product x·z far from all others.
    """
    width = box.above + box.below
    near = 0.5 * width * base / (base + np.abs(reduced))
    is_free, low_end = box.free > 0, reduced >= 0
    box.above[:] = np.where(is_free, np.where(low_end, near, width - near), 1.0)
    box.below[:] = np.where(is_free, np.where(low_end, width - near, near), 1.0)
    box.price_low[:] = np.where(is_free, base + np.maximum(reduced, 0.0), 1.0)
    box.price_high[:] = np.where(is_free, base + np.maximum(-reduced, 0.0), 1.0)


def value_of(box: Box) -> Floats:
    """The variables themselves."""
    return np.asarray(box.low + box.free * box.above)


def flat(box: Box) -> Box:
    """The same memory in one dimension."""
    return Box(*(column.reshape(-1) for column in box))


@compiled
def _wanted(step: float, price: float, over: float, target: float, weight: float) -> float:
    """σμ less a share of the product of the predictor's steps of a distance and its multiplier."""
    return target + weight * step * price * (1.0 + step * over)


@compiled
def _price_step(step: float, price: float, over: float, wanted: float) -> float:
    """Step of a multiplier whose distance, 1/`over`, moves by `step`."""
    return (wanted - price * step) * over - price


@compiled
def _cut(box: Box, start: int, stop: int) -> Box:
    """A range of a box; loops that count from 0 become vector instructions."""
    return Box(
        box.low[start:stop],
        box.cost[start:stop],
        box.free[start:stop],
        box.above[start:stop],
        box.below[start:stop],
        box.price_low[start:stop],
        box.price_high[start:stop],
        box.inverse[start:stop],
        box.pull[start:stop],
        box.affine[start:stop],
        box.step[start:stop],
    )


@compiled
def invert(box: Box, runs: Runs, done: Flags, first: int, last: int) -> None:
    """1/θ, and an empty pull for the predictor."""
    for run in range(first, last):
        if done[runs.part[run]]:
            continue
        here = _cut(box, runs.start[run], runs.stop[run])
        for k in range(here.low.size):
            above, below = here.above[k], here.below[k]
            # 1/θ = 1/(z_low/x_low + z_high/x_high) with one division.
            theta = here.price_low[k] * below + here.price_high[k] * above
            here.inverse[k] = here.free[k] * above * below / theta
        here.pull[:] = 0.0


@compiled
def centre(box: Box, runs: Runs, done: Flags, target: Floats, first: int, last: int) -> None:
    """The corrector's pull towards x·z = σμ, with second order terms.

    `target` holds σμ of each part and the share of its second order terms, shape (2, parts).
    """
    for run in range(first, last):
        part = runs.part[run]
        if done[part]:
            continue
        here = _cut(box, runs.start[run], runs.stop[run])
        for k in range(here.low.size):
            over, under, lead = 1.0 / here.above[k], 1.0 / here.below[k], here.affine[k]
            low = _wanted(lead, here.price_low[k], over, target[0, part], target[1, part])
            high = _wanted(-lead, here.price_high[k], under, target[0, part], target[1, part])
            here.pull[k] = high * under - low * over


@compiled
def predict(box: Box, runs: Runs, done: Flags, sums: Floats, first: int, last: int) -> None:
    """Steps towards x·z = 0, how far they may go, and what Σxz becomes; `sums` by run."""
    for run in range(first, last):
        if done[runs.part[run]]:
            continue
        primal, dual, gap, by_step, by_price, by_both = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        here = _cut(box, runs.start[run], runs.stop[run])
        for k in range(here.low.size):
            above, below, free = here.above[k], here.below[k], here.free[k]
            low, high = here.price_low[k], here.price_high[k]
            step = -here.inverse[k] * here.pull[k]
            low_step = free * _price_step(step, low, 1.0 / above, 0.0)
            high_step = free * _price_step(-step, high, 1.0 / below, 0.0)
            here.affine[k] = step
            gap += free * (above * low + below * high)
            by_step += step * (low - high)
            by_price += above * low_step + below * high_step
            by_both += step * (low_step - high_step)
            # Divided only where it sets a new mark.
            if -step > primal * above:
                primal = -step / above
            if step > primal * below:
                primal = step / below
            if -low_step > dual * low:
                dual = -low_step / low
            if -high_step > dual * high:
                dual = -high_step / high
        _record(sums[run], primal, dual)
        sums[run, GAP], sums[run, BY_STEP] = gap, by_step
        sums[run, BY_PRICE], sums[run, BY_BOTH] = by_price, by_both


@compiled
def _record(sums: Floats, primal: float, dual: float) -> None:
    """Longest steps, from the largest share of a distance that a unit step would use up."""
    sums[STEP_PRIMAL] = 1.0 / primal if primal > 0.0 else LONGEST
    sums[STEP_DUAL] = 1.0 / dual if dual > 0.0 else LONGEST


@compiled
def measure(
    box: Box, runs: Runs, done: Flags, target: Floats, sums: Floats, first: int, last: int
) -> None:
    """The corrector's steps, and how far they may go."""
    for run in range(first, last):
        part = runs.part[run]
        if done[part]:
            continue
        primal, dual = 0.0, 0.0
        here = _cut(box, runs.start[run], runs.stop[run])
        for k in range(here.low.size):
            above, below, lead = here.above[k], here.below[k], here.affine[k]
            low, high, free = here.price_low[k], here.price_high[k], here.free[k]
            over, under, step = 1.0 / above, 1.0 / below, -here.inverse[k] * here.pull[k]
            wanted = _wanted(lead, low, over, target[0, part], target[1, part])
            low_step = free * _price_step(step, low, over, wanted)
            wanted = _wanted(-lead, high, under, target[0, part], target[1, part])
            high_step = free * _price_step(-step, high, under, wanted)
            here.step[k] = step
            # Divided only where it sets a new mark.
            if -step > primal * above:
                primal = -step / above
            if step > primal * below:
                primal = step / below
            if -low_step > dual * low:
                dual = -low_step / low
            if -high_step > dual * high:
                dual = -high_step / high
        _record(sums[run], primal, dual)


@compiled
def move(
    box: Box,
    runs: Runs,
    done: Flags,
    target: Floats,
    primal: Floats,
    dual: Floats,
    first: int,
    last: int,
) -> None:
    """Take the corrector's step; `primal` and `dual` are its lengths by part."""
    for run in range(first, last):
        part = runs.part[run]
        if done[part]:
            continue
        here = _cut(box, runs.start[run], runs.stop[run])
        for k in range(here.low.size):
            above, below, lead = here.above[k], here.below[k], here.affine[k]
            low, high, step, free = (
                here.price_low[k],
                here.price_high[k],
                here.step[k],
                here.free[k],
            )
            over, under = 1.0 / above, 1.0 / below
            wanted = _wanted(lead, low, over, target[0, part], target[1, part])
            low_step = _price_step(step, low, over, wanted)
            wanted = _wanted(-lead, high, under, target[0, part], target[1, part])
            high_step = _price_step(-step, high, under, wanted)
            here.above[k] = above + primal[part] * step
            here.below[k] = below - primal[part] * step
            here.price_low[k] = low + dual[part] * free * low_step
            here.price_high[k] = high + dual[part] * free * high_step
