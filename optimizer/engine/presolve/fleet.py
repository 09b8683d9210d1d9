"""What is decided once for the whole problem, before it falls into pieces of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine import slopes
from optimizer.engine.presolve.links import find_linked
from optimizer.engine.tree import Tree, make_tree
from optimizer.reach import band_yields

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fleet:
    """What all pieces of work share.

    Attributes:
        problem: what is asked.
        tree: groups with rows.
        yields: batteries whose band may be left at a price, shape (N,).
        linked: batteries with rows beside their balances, shape (N,).
        special: cells whose energy has several slopes, sorted, shape (q, 2).
        special_start: shape (N+1,), the first such cell of each battery.
        target: targets by battery, shape (K,).
        target_start: shape (N+1,), the first place of each battery among them.
        price: largest price of energy, the start of every multiplier.
    """

    problem: DispatchProblem
    tree: Tree
    yields: Flags
    linked: Flags
    special: npt.NDArray[np.intp]
    special_start: Ints
    target: Ints
    target_start: Ints
    price: float

    def targets_of(self, rows: Ints) -> Ints:
        """Targets of some batteries, in their order in the problem."""
        found, _ = _runs(self.target_start, rows)
        return np.sort(self.target[found])

    def special_of(self, rows: Ints) -> tuple[Ints, Ints]:
        """Places in `special` of some batteries, and which of `rows` each belongs to."""
        return _runs(self.special_start, rows)


def _runs(start: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Places that start[row] to start[row + 1] name, and which of `rows` each belongs to."""
    first, count = start[rows], start[rows + 1] - start[rows]
    which = np.repeat(np.arange(len(rows)), count)
    return first[which] + np.arange(len(which)) - (np.cumsum(count) - count)[which], which


def make_fleet(problem: DispatchProblem) -> Fleet:
    """What is decided once for the whole problem."""
    yields = band_yields(problem)
    b, groups = problem.batteries, problem.groups
    sites = groups.is_site
    prices = [problem.price_import_per_kwh, problem.price_export_per_kwh]
    prices += [groups.price_import_per_kwh[sites], groups.price_export_per_kwh[sites]]
    prices += [b.wear_cost_charge_per_kwh, b.wear_cost_discharge_per_kwh, b.end_value_per_kwh]
    largest = max(float(np.abs(column).max(initial=0.0)) for column in prices)
    special = slopes.special_cells(problem, yields)
    target = np.argsort(problem.targets.battery, kind="stable")
    batteries = np.arange(len(b) + 1)
    return Fleet(
        problem=problem,
        tree=make_tree(problem),
        yields=yields,
        linked=find_linked(problem),
        special=special,
        special_start=np.searchsorted(special[:, 0], batteries),
        target=target,
        target_start=np.searchsorted(problem.targets.battery[target], batteries),
        price=largest if largest > 0 else 1.0,
    )
