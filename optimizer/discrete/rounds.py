"""Rounds between schedules and prices, as long as continuous batteries can absorb what is left.

Every round a share of the discrete batteries takes up its best answer to the prices of the last,
and the engine plans the rest around them. The shares 1, 1/2, 1/3, … make it a Frank-Wolfe method
whose points are whole schedules (Bonnans and others, arXiv:2204.02366): the more batteries stand
behind a row, the less it matters that none of them can do half of two schedules.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate.bound import profit_bound
from optimizer.certificate.certify import gap_scale
from optimizer.certificate.cost import cost_of, idle_cost
from optimizer.discrete.oracle import respond
from optimizer.discrete.split import Rest, without
from optimizer.engine.engine import solve_structured

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

_SEED = 20
_ENGINE_GAP = 1e-6
CLOSE_GAP, ROUND_CUTS = 1e-3, 0.25
"""Below this gap a round that cuts less than this share of it is the last."""


@dataclass
class Search:
    """The best plan and the best prices so far.

    Attributes:
        problem: what is asked.
        rest: the problem without the batteries whose schedules are searched.
        prices: of the last round.
        p_kw: best schedules of the batteries in `rest.rows`, shape (n, T).
        powers: charge, discharge and generation of the best plan.
        profit: of the best plan.
        multipliers: those that prove the most.
        bound: what they prove.
        rounds: plans made.
        seconds: by phase.
    """

    problem: DispatchProblem
    rest: Rest
    prices: Multipliers
    p_kw: Floats
    powers: tuple[Floats, Floats, Floats]
    profit: float
    multipliers: Multipliers
    bound: float
    threads: int | None
    deadline: float
    rounds: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def gap(self) -> float:
        """Relative gap as in `Certificate.gap`, infinite before there is a plan."""
        if self.profit == -np.inf:
            return np.inf
        return (self.bound - self.profit) / gap_scale(self.problem, *self.powers)

    @property
    def is_late(self) -> bool:
        """Whether the time is up."""
        return time.perf_counter() > self.deadline

    def offer_prices(self, multipliers: Multipliers) -> None:
        """Keep prices if they prove more than those before."""
        at = time.perf_counter()
        bound = profit_bound(self.problem, multipliers)
        if bound < self.bound:
            self.bound, self.multipliers = bound, multipliers
        self.seconds["bound"] += time.perf_counter() - at

    def offer_schedules(self, p_kw: Floats) -> None:
        """Plan the rest around schedules, and keep what is better than before."""
        at, problem = time.perf_counter(), self.problem
        self.rounds += 1
        if self.rest.part is not None:
            plan = solve_structured(self.rest.at(p_kw), gap=_ENGINE_GAP, threads=self.threads)
            assert plan.multipliers is not None
            charge, discharge, generation = (
                plan.p_charge_kw,
                plan.p_discharge_kw,
                plan.generation_kw,
            )
            self.prices = self.rest.widened(plan.multipliers, self.prices)
        else:
            charge = discharge = generation = np.zeros((0, len(problem.grid)))
        powers = (*self.rest.powers(p_kw, charge, discharge), generation)
        profit = idle_cost(problem).total - cost_of(problem, *powers).total
        if profit > self.profit:
            self.profit, self.p_kw, self.powers = profit, p_kw, powers
        self.seconds["engine"] += time.perf_counter() - at


def start(
    problem: DispatchProblem,
    rows: Rows,
    prices: Multipliers,
    threads: int | None,
    deadline: float,
) -> Search:
    """Nothing planned yet, and the prices of the relaxation."""
    none = np.zeros(problem.shape)
    search = Search(
        problem=problem,
        rest=without(problem, rows),
        prices=prices,
        p_kw=np.zeros((len(rows), len(problem.grid))),
        powers=(none, none, np.zeros((len(problem.generators), len(problem.grid)))),
        profit=-np.inf,
        multipliers=prices,
        bound=np.inf,
        threads=threads,
        deadline=deadline,
    )
    search.offer_prices(prices)
    return search


def run_rounds(search: Search, gap: float, most: int) -> None:
    """Up to `most` rounds: until the gap is reached, hardly closes any more, or the time is up."""
    rng = np.random.default_rng(_SEED)
    before = np.inf
    rows, current = search.rest.rows, search.p_kw
    for turn in range(most):
        at = time.perf_counter()
        wanted = respond(search.problem, search.prices, rows).p_kw
        search.seconds["oracle"] += time.perf_counter() - at
        changes = _drawn(search.problem.batteries.group[rows], 1.0 / (turn + 1), rng)
        current = np.where(changes[:, None], wanted, current)
        search.offer_schedules(current)
        search.offer_prices(search.prices)
        settled = search.gap <= CLOSE_GAP and search.gap > (1.0 - ROUND_CUTS) * before
        if search.gap <= gap or search.is_late or settled:
            return
        before = search.gap


def _drawn(
    group: npt.NDArray[np.int64], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """A share of every group's members, drawn at random, rounded at random."""
    order = np.lexsort((rng.random(len(group)), group))
    place = np.empty(len(group))
    place[order] = np.arange(len(group))
    offset = rng.random()
    return np.asarray(np.floor((place + 1) * share + offset) > np.floor(place * share + offset))
