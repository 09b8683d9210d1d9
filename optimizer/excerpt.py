"""A part of a problem as a problem of its own: some batteries, groups, limits and targets.

What is left outside enters as prices (`settled_at`) or as fixed power (the caller's own `replace`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from optimizer.edge_rows import edge_rows
from optimizer.plan import LATER_COLUMNS
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]

Table = TypeVar("Table")

_OF_KEEPING = (
    "reserve_charge_per_kw",
    "reserve_discharge_per_kw",
    "reserve_energy_min_per_kwh",
    "reserve_energy_max_per_kwh",
)


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Rows of a problem, and the problem that they make.

    Attributes:
        problem: the part.
        batteries, generators, groups, limits, targets, network, positions, reserves: rows of the
            whole, in the part's order.
    """

    problem: DispatchProblem
    batteries: Ints
    generators: Ints
    groups: Ints
    limits: Ints
    targets: Ints
    network: Ints
    positions: Ints
    reserves: Ints
    whole_keeping: Ints
    """Batteries of the whole that may keep reserves."""

    def multipliers(self, of_whole: Multipliers) -> Multipliers:
        """The prices of the part's own rows."""
        batteries, limits, targets = self.batteries, self.limits, self.targets
        rows = {
            "energy_value_per_kwh": batteries,
            "site_price_per_kwh": self.groups,
            "limit_max_per_kw": limits,
            "limit_min_per_kw": limits,
            "ramp_up_per_kw": batteries,
            "ramp_down_per_kw": batteries,
            "cycles_per_kwh": batteries,
            "target_min_per_kwh": targets,
            "target_max_per_kwh": targets,
            "network_max_per_kw": self.network,
            "network_min_per_kw": self.network,
            "limit_ramp_up_per_kw": limits,
            "limit_ramp_down_per_kw": limits,
            "position_per_kwh": self.positions,
        }
        keeping = self.batteries[self.problem.reserve_batteries]
        of_keeping = np.searchsorted(self.whole_keeping, keeping)
        rows |= dict.fromkeys(_OF_KEEPING, of_keeping) | {"reserve_per_kw": self.reserves}
        given = {n for n in rows if n not in LATER_COLUMNS or getattr(of_whole, n).size}
        rows = {n: at for n, at in rows.items() if n in given}
        return replace(of_whole, **{n: getattr(of_whole, n)[at] for n, at in rows.items()})


class Kept(NamedTuple):
    """Which rows of a problem a part has.

    Attributes:
        batteries: shape (N,); their targets come along.
        generators: shape (M,).
        groups: shape (G,).
        limits: shape (L,); none on a group that is left out; one on the whole then speaks of the
            part.
    """

    batteries: Flags
    generators: Flags
    groups: Flags
    limits: Flags


def keep_all(problem: DispatchProblem, kept: bool = True) -> Kept:
    """Every row, or none."""
    tables = (problem.batteries, problem.generators, problem.groups, problem.limits)
    return Kept(*(np.full(len(table), kept) for table in tables))


def keep_below(problem: DispatchProblem, root: int) -> Kept:
    """What lies in a group or in those below it, with the limits on them."""
    groups = subtree(problem, root)
    held = np.append(groups, root == NO_GROUP)  # the last place is for what lies in no group
    of = (problem.batteries.group, problem.generators.group)
    batteries, generators = (np.asarray(held[group]) for group in of)
    return Kept(batteries, generators, groups, np.asarray(held[problem.limits.group]))


def subtree(problem: DispatchProblem, root: int) -> Flags:
    """Groups at or below `root`, shape (G,); all of them for `NO_GROUP`."""
    if root == NO_GROUP:
        return np.ones(len(problem.groups), dtype=bool)
    return np.array([root in chain for chain in problem.groups.ancestors], dtype=bool)


def excerpt(problem: DispatchProblem, kept: Kept, name: str, *, whole: bool = False) -> Excerpt:
    """Rows of a problem as a problem; what lay in a group that is left out lies in none.

    Firm rules keep the price that they have in the whole. Network rows that cross the part's edge
    are left out; see `optimizer.edge_rows`. So are positions and reserves of groups that
    are left out, and of the whole unless the part stands for it.

    Args:
        problem: the whole.
        kept: what the part has.
        name: of the part.
        whole: whether the part's own total stands for that of the problem.
    """
    held = np.append(kept.groups, whole)  # the last place is for the whole
    rows = edge_rows(problem, kept, whole=whole)
    inner = rows.take(rows.is_inner)
    place = np.append(np.where(kept.groups, np.cumsum(kept.groups) - 1, NO_GROUP), NO_GROUP)
    found = Excerpt(
        problem=problem,
        batteries=np.flatnonzero(kept.batteries),
        generators=np.flatnonzero(kept.generators),
        groups=np.flatnonzero(kept.groups),
        limits=np.flatnonzero(kept.limits),
        targets=np.flatnonzero(kept.batteries[problem.targets.battery]),
        network=inner.rows,
        positions=np.flatnonzero(held[problem.positions.group]),
        reserves=np.flatnonzero(held[problem.reserves.group]),
        whole_keeping=problem.reserve_batteries,
    )
    targets = take(problem.targets, found.targets)
    of_targets = np.searchsorted(found.batteries, targets.battery)
    part = replace(
        problem,
        batteries=_regrouped(take(problem.batteries, found.batteries), place),
        generators=_regrouped(take(problem.generators, found.generators), place),
        groups=_regrouped(take(problem.groups, found.groups), place, "parent"),
        limits=_regrouped(take(problem.limits, found.limits), place),
        targets=replace(targets, battery=of_targets),
        network=inner.table,
        positions=_regrouped(take(problem.positions, found.positions), place),
        reserves=_regrouped(take(problem.reserves, found.reserves), place),
        name=name,
        document=None,
    )
    return replace(found, problem=with_firm_price(part, problem.firm_price_per_kwh))


def take(table: Table, rows: Ints) -> Table:
    """Rows of a table of a problem."""
    columns = {}
    for column in fields(table):  # type: ignore[arg-type]
        value = getattr(table, column.name)
        is_array = isinstance(value, np.ndarray)
        columns[column.name] = value[rows] if is_array else tuple(value[at] for at in rows)
    return type(table)(**columns)


def _regrouped(table: Table, place: Ints, name: str = "group") -> Table:
    return replace(table, **{name: place[getattr(table, name)]})  # type: ignore[type-var]


def with_firm_price(problem: DispatchProblem, price_per_kwh: float) -> DispatchProblem:
    """The same problem with the firm price of another: its own prices would give it a new one."""
    vars(problem)["firm_price_per_kwh"] = price_per_kwh  # where `cached_property` keeps it
    return problem


def settled_at(
    part: DispatchProblem, draw_per_kwh: Floats, feed_per_kwh: Floats
) -> DispatchProblem:
    """A part at the prices of the place in the whole that it hangs at.

    Units outside every site see these prices, and meters pay what comes on top of the market's.

    Args:
        part: as `excerpt` makes it.
        draw_per_kwh: shape (T,), for what is drawn there.
        feed_per_kwh: shape (T,), for what is fed in.
    """
    extra = np.where(part.groups.is_site[:, None], draw_per_kwh - part.price_import_per_kwh, 0.0)
    groups = replace(
        part.groups,
        price_import_per_kwh=part.groups.price_import_per_kwh + extra,
        price_export_per_kwh=part.groups.price_export_per_kwh + extra,
    )
    priced = replace(
        part, price_import_per_kwh=draw_per_kwh, price_export_per_kwh=feed_per_kwh, groups=groups
    )
    return with_firm_price(priced, part.firm_price_per_kwh)
