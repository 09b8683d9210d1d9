"""The interior-point loop over one piece of work: predictor, corrector, steps, stop.

Parts that share no row have steps and a stop of their own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.engine import across, batteries, boxes, linked, nodes, ties
from optimizer.engine.boxes import BY_BOTH, BY_PRICE, BY_STEP, GAP, STEP_DUAL, STEP_PRIMAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    import numpy.typing as npt

    from optimizer.engine.batteries import Alone, Blocks, Cells
    from optimizer.engine.boxes import Box, Runs
    from optimizer.engine.linked import Links
    from optimizer.engine.nodes import Nodes
    from optimizer.engine.ties import Ties
    from optimizer.engine.top import Top

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

ITERATIONS_MAX = 100
_BACK_FROM_BOUND = 0.995
_STALL = 1e-10
_SHARE_BY_STEP = 10.0
"""Second order terms count in full from a tenth on of the product of both predictor steps."""
_SPENT = 0.1
"""Share of the gap asked for at which Σxz has no more to give."""
_TIED_LEAST = 2e-5
"""Rows between the intervals of a net lose their digits beyond this share of the scale."""


@dataclass(frozen=True)
class Team:
    """Threads that share the turns of a kernel.

    Turns are independent and write to places of their own; every sum over turns is taken
    afterwards in one order. So the bits do not depend on the number of threads.
    """

    pool: Executor | None
    threads: int

    def share(self, turns: int, kernel: Callable[..., None], *args: Any) -> None:
        """Run ``kernel(*args, first, last)`` over all turns."""
        if self.pool is None or turns < self.threads:
            kernel(*args, 0, turns)
            return
        edges = [turns * at // self.threads for at in range(self.threads + 1)]
        runs = [
            self.pool.submit(kernel, *args, first, last)
            for first, last in itertools.pairwise(edges)
        ]
        for run in runs:
            run.result()


@dataclass(frozen=True, eq=False)
class Work:
    """Batteries and groups that are solved in one go, in any number of independent parts.

    Attributes:
        cells, links, blocks, nodes: the state beside the boxes; see there.
        box, pieces, net_box: boxes of the batteries, of further pieces of energy, and of nets.
        levels: nodes by height in the tree, the lowest first.
        boxes: every box, flat, with its runs.
        parts: number of independent parts.
        bounds: shape (parts,), bounds of each part: what Σxz is shared over.
        scale: shape (parts,), money that a part's gap is measured against.
        rows: the fleet's rows (batteries, then generators) of the cells.
        nodes_at: place of each node in the tree.
        alone: units that network rows name by themselves.
        top: network rows, if there are any.
        ties, top_box, edge_box: rows between the intervals of nets, and their boxes.
        tie_rows: shape (E,), places of these rows in the fleet's.
    """

    cells: Cells
    links: Links
    blocks: Blocks
    nodes: Nodes
    box: Box
    pieces: Box
    net_box: Box
    levels: tuple[Ints, ...]
    boxes: tuple[tuple[Box, Runs], ...]
    parts: int
    bounds: Floats
    scale: Floats
    rows: Ints
    nodes_at: Ints
    alone: Alone
    top: Top | None
    ties: Ties
    top_box: Box
    edge_box: Box
    tie_rows: Ints


@dataclass(frozen=True)
class Outcome:
    """How a loop ended.

    Attributes:
        iterations: of the slowest part.
        gap: Σxz and residuals at their prices, in money, over all parts.
        mended: Cholesky pivots that had to be mended.
        finished: whether every part came as close as was asked.
    """

    iterations: int
    gap: float
    mended: int
    finished: bool


def iterate(work: Work, tolerance: float, stop: Callable[[], bool], team: Team) -> Outcome:
    """Solve to a gap of `tolerance` times each part's scale; the state is changed in place.

    Args:
        work: started boxes.
        tolerance: relative to `Work.scale`.
        stop: asked before each iteration; ends the loop early.
        team: the threads that share one iteration.
    """
    done = np.zeros(work.parts, dtype=bool)
    if work.ties.node.size:
        tolerance = max(tolerance, _TIED_LEAST)
    sums = [np.zeros((runs.start.size, 6)) for _, runs in work.boxes]
    gap = np.full(work.parts, np.inf)
    iterations = 0
    while not done.all() and iterations < ITERATIONS_MAX and not stop():
        _factorise(work, team, done)
        _direct(work, team, done)
        for (box, runs), found in zip(work.boxes, sums, strict=True):
            team.share(runs.start.size, boxes.predict, box, runs, done, found)
        alive, before, products = ~done, gap.copy(), _added(work, sums, GAP)
        gap[alive] = (products + _missed(work))[alive]
        done |= gap <= tolerance * work.scale
        # Further on only rounding would grow: what is missed no longer falls with the products.
        done |= (products <= _SPENT * tolerance * work.scale) & (gap >= before)
        primal, dual = _lengths(work, sums, done, 1.0)
        target = _centring(work, sums, primal, dual)
        for box, runs in work.boxes:
            team.share(runs.start.size, boxes.centre, box, runs, done, target)
        _direct(work, team, done)
        for (box, runs), found in zip(work.boxes, sums, strict=True):
            team.share(runs.start.size, boxes.measure, box, runs, done, target, found)
        primal, dual = _lengths(work, sums, done, _BACK_FROM_BOUND)
        _move(work, team, done, target, primal, dual)
        # A part that no longer moves is as good as it gets in this arithmetic.
        done |= (primal < _STALL) & (dual < _STALL)
        iterations += 1
    finished = bool((gap <= tolerance * work.scale).all())
    return Outcome(iterations, float(gap.sum()), _mended(work), finished)


def _mended(work: Work) -> int:
    """Cholesky pivots that had to be mended."""
    of_rows = 0 if work.top is None else work.top.mended[0]
    return int(work.nodes.mended.sum() + work.links.mended.sum() + of_rows)


def _of_batteries(work: Work) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What the kernels of batteries work on, without and with further rows of their own."""
    boxes_and_blocks = (work.box, work.pieces, work.blocks, work.alone)
    return (work.cells, *boxes_and_blocks), (work.cells, work.links, *boxes_and_blocks)


def _factorise(work: Work, team: Team, done: npt.NDArray[np.bool_]) -> None:
    for box, runs in work.boxes:
        team.share(runs.start.size, boxes.invert, box, runs, done)
    own, further = _of_batteries(work)
    turns = work.blocks.start.size
    team.share(turns, batteries.factorise, *own, done)
    if work.links.kind.size:
        team.share(turns, linked.factorise, *further, done)
    _share_ties(work, team, ties.factorise, done)
    found = (work.blocks.response, work.blocks.net, done)
    for level in work.levels:
        team.share(level.size, nodes.gather, work.nodes, work.net_box, level, *found)
    if work.top is not None:
        work.top.factorise(work.nodes, work.alone, work.levels, done, team)


def _share_ties(
    work: Work, team: Team, kernel: Callable[..., None], done: npt.NDArray[np.bool_]
) -> None:
    if work.ties.node.size:
        boxes_of_ties = (work.net_box, work.top_box, work.edge_box)
        team.share(work.ties.node.size, kernel, work.ties, work.nodes, *boxes_of_ties, done)


def _direct(work: Work, team: Team, done: npt.NDArray[np.bool_]) -> None:
    """Newton steps of all prices, and the pull that they leave on every box."""
    own, further = _of_batteries(work)
    turns = work.blocks.start.size
    team.share(turns, batteries.respond, *own, work.nodes.total, done)
    if work.links.kind.size:
        team.share(turns, linked.respond, *further, work.nodes.total, done)
    _share_ties(work, team, ties.respond, done)
    for level in work.levels:
        nodes.climb(work.nodes, work.net_box, level, work.blocks.flow, done)
    if work.top is not None:
        work.top.direct(work.nodes, work.alone, done, team)
    for level in reversed(work.levels):
        nodes.descend(work.nodes, work.net_box, level, done)
    _share_ties(work, team, ties.follow, done)
    team.share(turns, batteries.follow, *own, work.nodes.total_step, done)
    if work.links.kind.size:
        team.share(turns, linked.follow, *further, work.nodes.total_step, done)


def _move(
    work: Work,
    team: Team,
    done: npt.NDArray[np.bool_],
    target: Floats,
    primal: Floats,
    dual: Floats,
) -> None:
    for box, runs in work.boxes:
        team.share(runs.start.size, boxes.move, box, runs, done, target, primal, dual)
    turns = work.blocks.start.size
    team.share(turns, batteries.move_values, work.cells, work.blocks, done, dual)
    if work.links.kind.size:
        team.share(turns, linked.move_prices, work.cells, work.links, work.blocks, done, dual)
    nodes.move_prices(work.nodes, done, dual, 0, work.nodes.parent.size)
    ties.move_prices(work.ties, work.nodes, done, dual, 0, work.ties.node.size)
    if work.top is not None:
        across.move_rows(work.top.across, work.alone, done, dual)


def _added(work: Work, sums: list[Floats], column: int) -> Floats:
    """A column of the sums, by part, always added in the same order."""
    total = np.zeros(work.parts)
    for (_, runs), found in zip(work.boxes, sums, strict=True):
        total += np.bincount(runs.part, found[:, column], work.parts)
    return total


def _missed(work: Work) -> Floats:
    """Residuals at their prices: what a mended plan may still cost."""
    missed = np.bincount(work.blocks.part, work.blocks.missed, work.parts)
    missed += np.bincount(work.nodes.part, work.nodes.missed, work.parts)
    missed += np.bincount(work.nodes.part[work.ties.node], work.ties.missed, work.parts)
    if work.top is not None:
        missed += np.bincount(work.top.across.part, work.top.across.missed, work.parts)
    return np.asarray(missed)


def _lengths(
    work: Work, sums: list[Floats], done: npt.NDArray[np.bool_], back: float
) -> tuple[Floats, Floats]:
    """Step lengths by part: up to 1, and `back` of the way to the nearest bound."""
    found = []
    for column in (STEP_PRIMAL, STEP_DUAL):
        longest = np.full(work.parts, boxes.LONGEST)
        for (_, runs), values in zip(work.boxes, sums, strict=True):
            np.minimum.at(longest, runs.part, values[:, column])
        found.append(np.where(done, 1.0, np.minimum(1.0, back * longest)))
    return found[0], found[1]


def _centring(work: Work, sums: list[Floats], primal: Floats, dual: Floats) -> Floats:
    """σμ with Mehrotra's σ = (μ after the predictor / μ)³, and the share of second order terms.

    These suppose a full step of the predictor; after a very short one they lead astray.
    """
    now = _added(work, sums, GAP)
    after = now + primal * _added(work, sums, BY_STEP) + dual * _added(work, sums, BY_PRICE)
    after += primal * dual * _added(work, sums, BY_BOTH)
    share = np.clip(after / np.where(now > 0, now, 1.0), 0.0, 1.0)
    pull = share**3 * now / np.maximum(work.bounds, 1.0)
    return np.stack([pull, np.minimum(_SHARE_BY_STEP * primal * dual, 1.0)])
