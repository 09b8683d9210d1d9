"""A problem without its discrete batteries: relaxed to any power, or fixed and left out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.excerpt import Excerpt, excerpt, keep_all, with_firm_price
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Rows = npt.NDArray[np.intp]

_OF_BATTERIES = (
    "energy_value_per_kwh", "ramp_up_per_kw", "ramp_down_per_kw", "cycles_per_kwh",
)  # fmt: skip
_OF_TARGETS = ("target_min_per_kwh", "target_max_per_kwh")
HOLDER = "fixed batteries of no group"


def relaxed(problem: DispatchProblem) -> DispatchProblem:
    """The same problem with any power from 0 to the most for every battery."""
    b = problem.batteries
    none = np.zeros(len(b))
    batteries = replace(
        b,
        power_levels=np.zeros(len(b), dtype=np.int64),
        p_charge_kw_min=none,
        p_discharge_kw_min=none,
    )
    return with_firm_price(replace(problem, batteries=batteries), problem.firm_price_per_kwh)


@dataclass(frozen=True, eq=False)
class Rest:
    """What is left of a problem when some batteries are fixed.

    Attributes:
        problem: the whole.
        rows: the fixed batteries.
        others: batteries that are not fixed.
        part: what is left, with a group for the power of fixed batteries that lie in none; None
            where nothing is.
    """

    problem: DispatchProblem
    rows: Rows
    others: Rows
    part: Excerpt | None

    def at(self, p_kw: Floats) -> DispatchProblem:
        """The part with the fixed batteries' powers, shape (n, T), as load and generation."""
        assert self.part is not None
        group = self.problem.batteries.group[self.rows]
        part = self.part.problem
        holder = len(part.groups) - 1
        load, generation = part.groups.load_kw.copy(), part.groups.generation_kw.copy()
        group = np.where(group == NO_GROUP, holder, group)
        np.add.at(load, group, np.maximum(p_kw, 0.0))
        np.add.at(generation, group, np.maximum(-p_kw, 0.0))
        groups = replace(part.groups, load_kw=load, generation_kw=generation)
        fixed = replace(part, groups=groups)
        return with_firm_price(fixed, self.problem.firm_price_per_kwh)

    def widened(self, found: Multipliers, into: Multipliers) -> Multipliers:
        """Prices of the part's rows among those of the whole; what it has not is from `into`."""
        assert self.part is not None
        columns = {}
        for column in fields(into):
            values = getattr(found, column.name)
            rows: Rows | slice = slice(None)
            if column.name in _OF_BATTERIES:
                rows = self.part.batteries
            elif column.name in _OF_TARGETS:
                rows = self.part.targets
            elif column.name == "site_price_per_kwh":
                values = values[:-1]
            whole = getattr(into, column.name).copy()
            if whole.size:
                whole[rows] = values
            columns[column.name] = whole
        return replace(into, **columns)

    def powers(self, p_kw: Floats, charge: Floats, discharge: Floats) -> tuple[Floats, Floats]:
        """Powers of all batteries, shape (N, T): the fixed ones' and the part's."""
        both = np.empty((2, *self.problem.shape))
        both[:, self.rows] = np.maximum(p_kw, 0.0), np.maximum(-p_kw, 0.0)
        both[:, self.others] = charge, discharge
        return both[0], both[1]


def without(problem: DispatchProblem, rows: Rows) -> Rest:
    """Take batteries out; what they do is given later."""
    kept = keep_all(problem)
    batteries = np.ones(len(problem.batteries), dtype=bool)
    batteries[rows] = False
    others = np.flatnonzero(batteries)
    if not len(others) and not len(problem.generators):
        return Rest(problem, rows, others, None)
    part = excerpt(problem, kept._replace(batteries=batteries), problem.name, whole=True)
    groups = part.problem.groups
    holder: dict[str, Any] = {"group_id": (HOLDER,), "where": (HOLDER,), "parent": NO_GROUP}
    columns = {}
    for column in fields(groups):
        value, more = getattr(groups, column.name), holder.get(column.name, 0)
        if isinstance(value, tuple):
            columns[column.name] = value + more
        else:
            row = np.full((1, *value.shape[1:]), more, dtype=value.dtype)
            columns[column.name] = np.concatenate([value, row])
    with_holder = replace(part.problem, groups=replace(groups, **columns))
    with_firm_price(with_holder, problem.firm_price_per_kwh)
    return Rest(problem, rows, others, replace(part, problem=with_holder))
