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
        price: largest price of energy, the start of every multiplier.
    """

    problem: DispatchProblem
    tree: Tree
    yields: Flags
    linked: Flags
    special: npt.NDArray[np.intp]
    price: float


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
    return Fleet(
        problem=problem,
        tree=make_tree(problem),
        yields=yields,
        linked=find_linked(problem),
        special=special,
        price=largest if largest > 0 else 1.0,
    )
