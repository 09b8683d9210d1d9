"""One group of a plan planned again, with everything outside it held as it is.

The part has the group, all below it and the groups above it with their limits; what is held enters
as fixed power in the nearest group above, so that the room it leaves is what the part may use.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.breaches import find_breaches, net_power_kw
from optimizer.certificate import certify
from optimizer.certificate.flows import stored_energy_kwh
from optimizer.edge_rows import edge_rows
from optimizer.excerpt import Kept, excerpt, keep_below, with_firm_price
from optimizer.plan import Plan, Status
from optimizer.problem import NO_GROUP
from optimizer.solve import solve

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.excerpt import Excerpt
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem, Groups, NetworkRows, Reserves

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Replanned:
    """A plan in which one group was planned again.

    Attributes:
        group_id: of that group.
        plan: of the whole, certified as a whole: its gap also holds what planning the rest again
            could bring.
        part: of the group alone, with the rest as fixed power; its certificate says how good the
            group's plan is while the rest is held.
    """

    group_id: str
    plan: Plan
    part: Plan


def replan_group(
    plan: Plan, group_id: str, problem: DispatchProblem | None = None, **how: Any
) -> Replanned:
    """The cheapest plan of one group and all below it, while every other power is held.

    Args:
        plan: whose powers are held outside the group.
        group_id: the group, for example a feeder.
        problem: what is asked now, with the same rows and intervals as the plan's; left out, what
            the plan was made for. It may have other prices, states, limits and targets.
        how: for `optimizer.solve.solve`.

    Raises:
        ValueError: there is no such group, it has nothing to plan, or the problem has other rows or
            intervals.
        InfeasibleError, SolveError: as `solve` raises them for the part.
    """
    problem = plan.problem if problem is None else problem
    _check(plan.problem, problem, group_id)
    root = problem.groups.group_id.index(group_id)
    below = keep_below(problem, root)
    if not (below.batteries.any() or below.generators.any()):
        raise ValueError(f"group {group_id!r} of {problem.name} has no battery and no generator")
    held = _held(plan, problem, below)
    part = _part(held, below, root)
    mine = solve(part.problem, **how)
    merged = _merged(held, part, mine)
    gap = how.get("gap", 1e-6)
    assert merged.certificate is not None
    is_optimal = merged.certificate.gap <= gap and mine.status is Status.OPTIMAL
    status = Status.OPTIMAL if is_optimal else Status.FEASIBLE
    return Replanned(group_id, replace(merged, status=status), mine)


def _check(before: DispatchProblem, now: DispatchProblem, group_id: str) -> None:
    if group_id not in now.groups.group_id:
        raise ValueError(f"{now.name} has no group {group_id!r}")
    names = {
        "batteries": (before.batteries.battery_id, now.batteries.battery_id),
        "generators": (before.generators.generator_id, now.generators.generator_id),
        "groups": (before.groups.group_id, now.groups.group_id),
        "limits": (before.limits.limit_id, now.limits.limit_id),
        "intervals": (before.grid.instants.tolist(), now.grid.instants.tolist()),
    }
    other = [what for what, (old, new) in names.items() if old != new]
    if other:
        raise ValueError(f"the plan of {before.name} was made for other {', '.join(other)}")


def _held(plan: Plan, problem: DispatchProblem, below: Kept) -> Plan:
    """The plan for the problem of now, with the group's own units at rest."""
    free = below.batteries[:, None]
    charge, discharge = (
        np.where(free, 0.0, plan.p_charge_kw),
        np.where(free, 0.0, plan.p_discharge_kw),
    )
    generation = np.where(
        below.generators[:, None], problem.generators.p_kw_min, plan.generation_kw
    )
    reserve = _reserve_by_pair(plan, problem)
    reserve[below.batteries[problem.reserve_pairs[:, 1]]] = 0.0
    return replace(
        plan,
        problem=problem,
        p_charge_kw=charge,
        p_discharge_kw=discharge,
        generation_kw=generation,
        reserve_kw=reserve,
        certificate=None,
        breaches=(),
    )


def _reserve_by_pair(plan: Plan, problem: DispatchProblem) -> Floats:
    """What the plan keeps, by the pairs of the problem."""
    at = {tuple(pair): place for place, pair in enumerate(plan.problem.reserve_pairs.tolist())}
    kept = np.zeros((len(problem.reserve_pairs), len(problem.grid)))
    for place, pair in enumerate(problem.reserve_pairs.tolist()):
        if tuple(pair) in at:
            kept[place] = plan.reserve_kw[at[tuple(pair)]]
    return kept


def _part(held: Plan, below: Kept, root: int) -> Excerpt:
    """The group with the chain above it, and all that is held as fixed power of that chain."""
    problem = held.problem
    chain = problem.groups.ancestors[root]
    groups = below.groups.copy()
    groups[list(chain)] = True
    limits = np.append(groups, True)[problem.limits.group]
    kept = Kept(below.batteries, below.generators, groups, np.asarray(limits))
    part = excerpt(problem, kept, f"{problem.groups.group_id[root]} of {problem.name}", whole=True)
    table, rows = _network(held, kept)
    changed = replace(
        part.problem,
        groups=_with_fixed(part.problem.groups, _fixed_kw(held, kept)),
        network=table,
        reserves=_reserves(held, part),
    )
    changed = with_firm_price(changed, problem.firm_price_per_kwh)
    return replace(part, problem=changed, network=rows)


def _fixed_kw(held: Plan, kept: Kept) -> Floats:
    """Power held in each group of the part, own load apart, and in none; shape (G' + 1, T)."""
    problem = held.problem
    place = np.append(np.where(kept.groups, np.cumsum(kept.groups) - 1, NO_GROUP), NO_GROUP)
    nearest = [
        next((place[above] for above in chain if kept.groups[above]), NO_GROUP)
        for chain in problem.groups.ancestors
    ]
    at = np.array([*nearest, NO_GROUP], dtype=np.int64)
    found = np.zeros((int(kept.groups.sum()) + 1, len(problem.grid)))
    own = problem.groups.load_kw - problem.groups.generation_kw
    np.add.at(found, at[:-1][~kept.groups], own[~kept.groups])
    power = held.p_charge_kw - held.p_discharge_kw
    outside = ~kept.batteries
    np.add.at(found, at[problem.batteries.group[outside]], power[outside])
    outside = ~kept.generators
    np.add.at(found, at[problem.generators.group[outside]], -held.generation_kw[outside])
    return found


def _with_fixed(groups: Groups, fixed_kw: Floats) -> Groups:
    """The part's groups with fixed power, and a last one for what lies in none of them."""
    name = "everything else"
    while name in groups.group_id:
        name += "'"
    nothing = np.zeros_like(fixed_kw[-1:])
    return replace(
        groups,
        group_id=(*groups.group_id, name),
        where=(*groups.where, name),
        parent=np.append(groups.parent, NO_GROUP),
        is_site=np.append(groups.is_site, False),
        load_kw=np.vstack([groups.load_kw, nothing]) + np.maximum(fixed_kw, 0.0),
        generation_kw=np.vstack([groups.generation_kw, nothing]) + np.maximum(-fixed_kw, 0.0),
        price_import_per_kwh=np.vstack([groups.price_import_per_kwh, nothing]),
        price_export_per_kwh=np.vstack([groups.price_export_per_kwh, nothing]),
    )


def _network(held: Plan, kept: Kept) -> tuple[NetworkRows, Ints]:
    """Rows that sum anything free, with their bounds moved by what they sum of the rest."""
    problem = held.problem
    rows = edge_rows(problem, kept, whole=True)
    whole, mine = problem.network, rows.table
    value = _entry_values(held, whole)
    is_unit = whole.entry_unit >= 0
    free = np.append(kept.groups, True)
    units = np.concatenate([kept.batteries, kept.generators])
    outside = ~np.where(is_unit, units[whole.entry_unit], free[whole.entry_group])
    offset = np.bincount(
        whole.entry_row[outside], (whole.weight * value)[outside], minlength=len(whole)
    )[rows.rows]
    moved = replace(mine, p_kw_max=mine.p_kw_max - offset, p_kw_min=mine.p_kw_min - offset)
    return moved, rows.rows


def _entry_values(held: Plan, network: NetworkRows) -> Floats:
    """Power of each entry of network rows, shape (E,)."""
    power = held.p_charge_kw - held.p_discharge_kw
    net = net_power_kw(held.problem, power, held.generation_kw)
    units = np.vstack([power, -held.generation_kw])
    at = network.interval[network.entry_row]
    of_unit = units[network.entry_unit, at]
    return np.where(network.entry_unit >= 0, of_unit, net[network.entry_group, at])


def _reserves(held: Plan, part: Excerpt) -> Reserves:
    """The part's products, less what the rest keeps of them."""
    table = part.problem.reserves
    if not len(table):
        return table
    kept = held.reserve_by_product_kw[part.reserves]
    return replace(table, p_kw_required=np.maximum(table.p_kw_required - kept, 0.0))


def _merged(held: Plan, part: Excerpt, mine: Plan) -> Plan:
    """The part's plan within the whole; of the outer prices those that prove more."""
    problem = held.problem
    charge, discharge = held.p_charge_kw.copy(), held.p_discharge_kw.copy()
    generation, reserve = held.generation_kw.copy(), held.reserve_kw.copy()
    charge[part.batteries], discharge[part.batteries] = mine.p_charge_kw, mine.p_discharge_kw
    generation[part.generators] = mine.generation_kw
    place = {tuple(pair): at for at, pair in enumerate(problem.reserve_pairs.tolist())}
    for at, (product, battery) in enumerate(mine.problem.reserve_pairs.tolist()):
        reserve[place[part.reserves[product], part.batteries[battery]]] = mine.reserve_kw[at]
    energy = stored_energy_kwh(problem, charge, discharge)
    powers = (charge, discharge, generation, energy)
    whole = Plan(
        problem=problem,
        p_charge_kw=charge,
        p_discharge_kw=discharge,
        energy_kwh=energy,
        generation_kw=generation,
        status=Status.FEASIBLE,
        stop_reason=mine.stop_reason,
        breaches=find_breaches(problem, *powers, reserve),
        solver=mine.solver,
        reserve_kw=reserve,
    )
    tried = [
        replace(whole, multipliers=prices, certificate=certify(replace(whole, multipliers=prices)))
        for prices in _prices(held, part, mine)
    ]
    return min(tried, key=_gap)


def _gap(plan: Plan) -> float:
    assert plan.certificate is not None
    return plan.certificate.gap_absolute


def _prices(held: Plan, part: Excerpt, mine: Plan) -> list[Multipliers | None]:
    """Prices of the whole to try: those of before, and those with the part's put in."""
    before, now = held.multipliers, mine.multipliers
    if before is None or now is None:
        return [before]
    rows: dict[str, Ints] = {
        "energy_value_per_kwh": part.batteries,
        "site_price_per_kwh": part.groups,
        "ramp_up_per_kw": part.batteries,
        "ramp_down_per_kw": part.batteries,
        "cycles_per_kwh": part.batteries,
        "target_min_per_kwh": part.targets,
        "target_max_per_kwh": part.targets,
    }
    outer: dict[str, Ints] = {
        "limit_max_per_kw": part.limits,
        "limit_min_per_kw": part.limits,
        "limit_ramp_up_per_kw": part.limits,
        "limit_ramp_down_per_kw": part.limits,
        "network_max_per_kw": part.network,
        "network_min_per_kw": part.network,
        "position_per_kwh": part.positions,
        "reserve_per_kw": part.reserves,
    }
    return [before, _put(before, now, rows), _put(before, now, rows | outer)]


def _put(before: Multipliers, now: Multipliers, rows: dict[str, Ints]) -> Multipliers:
    """Prices with some rows of others; a column that either lacks stays as it is."""
    changed = {}
    for column in fields(before):
        old, new, at = (
            getattr(before, column.name),
            getattr(now, column.name),
            rows.get(column.name),
        )
        if at is not None and old.size and new.size:
            put = old.copy()
            put[at] = new[: len(at)]
            changed[column.name] = put
    return replace(before, **changed)
