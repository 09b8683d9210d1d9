"""Network rows as the kernels want them: sorted by interval, with the weight of every unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


class Network(NamedTuple):
    """The entries of the network rows, with rows in the order of their intervals.

    Attributes:
        order: shape (R,), the problem's row at each place.
        start: shape (T+1,), first place of each interval.
        row: shape (E,), place of the row of each entry.
        unit, group, weight: shape (E,), see `optimizer.tables.network.NetworkRows`.
    """

    order: Ints
    start: Ints
    row: Ints
    unit: Ints
    group: Ints
    weight: Floats


def sort_network(problem: DispatchProblem) -> Network:
    """The rows of a problem by interval."""
    rows = problem.network
    order = np.argsort(rows.interval, kind="stable")
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = np.arange(len(rows))
    start = np.searchsorted(rows.interval[order], np.arange(len(problem.grid) + 1))
    return Network(
        order, start, place[rows.entry_row], rows.entry_unit, rows.entry_group, rows.weight
    )


def row_values(network: Network, net_kw: Floats, p_kw: Floats, generation_kw: Floats) -> Floats:
    """What each row sums, in kW; `net_kw` has the whole as its last row."""
    count = len(p_kw)
    t = (np.searchsorted(network.start, np.arange(len(network.order)), side="right") - 1)[
        network.row
    ]
    power = np.empty(len(network.row))
    for chosen, values, index in (
        (network.unit < 0, net_kw, network.group),
        ((network.unit >= 0) & (network.unit < count), p_kw, network.unit),
        (network.unit >= count, -generation_kw, network.unit - count),
    ):
        power[chosen] = values[index[chosen], t[chosen]]
    sums = np.bincount(network.row, network.weight * power, len(network.order))
    return sums.astype(np.float64)


def unit_weights(network: Network, problem: DispatchProblem, units: Ints, groups: Ints) -> Floats:
    """What each row gains by one more kW of each unit's net power, shape (units, R).

    Args:
        network: the rows.
        problem: what was asked.
        units: numbers of batteries, or N and more for generators.
        groups: the group of each.
    """
    weight = np.zeros((len(units), len(network.order)))
    if not len(network.order):
        return weight
    by_unit = np.argsort(units)
    own = np.flatnonzero(np.isin(network.unit, units))
    at = by_unit[np.searchsorted(units, network.unit[own], sorter=by_unit)]
    np.add.at(weight, (at, network.row[own]), network.weight[own])
    distinct, which = np.unique(groups, return_inverse=True)
    by_group = np.flatnonzero(network.unit < 0)
    by_group = by_group[np.argsort(network.group[by_group], kind="stable")]
    of_group = np.zeros((len(distinct), len(network.order)))
    for at_group, group in enumerate(distinct.tolist()):
        chain = () if group == NO_GROUP else problem.groups.ancestors[group]
        for above in (*chain, NO_GROUP):
            first, last = np.searchsorted(network.group[by_group], [above, above + 1])
            mine = by_group[first:last]
            np.add.at(of_group[at_group], network.row[mine], network.weight[mine])
    return weight + of_group[which]
