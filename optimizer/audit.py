"""One drawn area of a large plan, solved again as the Pyomo model with HiGHS.

The prices of everything outside the area (limits above it, the meter of a site that it lies in) are
fixed at the plan's multipliers; its own limits stay limits. At these prices the area falls out of
the problem, and what the plan earns there, what the plan's multipliers prove there and what the
model finds must agree. That puts engine, certificate and formulation to a test in every solve.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.breaches import find_breaches
from optimizer.certificate import certify
from optimizer.certificate.certify import gap_scale
from optimizer.certificate.prices import node_prices, project
from optimizer.edge_reserves import priced_reserves, reserve_in_part
from optimizer.edge_rows import edge_rows, joined, priced_rows
from optimizer.excerpt import excerpt, keep_all, keep_below, settled_at, with_firm_price
from optimizer.plan import Audit, Plan, Status
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.excerpt import Excerpt, Kept
    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

BATTERIES_MOST = 120
"""Batteries of an audited area: the model of so many takes about half a second."""
MODEL_GAP, MODEL_S = 1e-4, 20.0
"""Gap and seconds for the model, where it needs binaries; a wider bracket is a milder test."""
TOLERANCE = 1e-6
"""Of the money that the area moves, beside the plan's own gap."""


class AuditWarning(UserWarning):
    """The model does not bear out the plan of a drawn area."""


def audited(plan: Plan, model: Callable[[DispatchProblem], Plan]) -> Plan:
    """The plan with the outcome of its audit; one that fails is loud and proves nothing.

    Args:
        plan: certified, with multipliers.
        model: solves a small problem as the Pyomo model.
    """
    assert plan.solver is not None
    started = time.perf_counter()
    found = audit(plan, model)
    seconds = {**plan.solver.seconds, "audit": time.perf_counter() - started}
    status = plan.status
    if not found.agrees:
        warnings.warn(f"{plan.problem.name}: {found}", AuditWarning, stacklevel=3)
        status = Status.FEASIBLE
    return replace(plan, status=status, solver=replace(plan.solver, seconds=seconds, audit=found))


def audit(plan: Plan, model: Callable[[DispatchProblem], Plan]) -> Audit:
    """Draw an area by the problem's digest and compare; the same plan draws the same area."""
    assert plan.multipliers is not None
    assert plan.certificate is not None
    prices = project(plan.problem, plan.multipliers)
    rng = np.random.default_rng(int(plan.problem.digest[:16], 16))
    area, part = draw_area(plan.problem, prices, rng)
    mine = _restricted(plan, part, prices)
    engine, truth = certify(mine), model(part.problem)
    assert truth.certificate is not None
    found = truth.certificate
    powers = (mine.p_charge_kw, mine.p_discharge_kw, mine.generation_kw)
    # At the outer prices the gaps of all areas are ≥ 0 and sum up to no more than the plan's.
    tolerance = max(plan.certificate.gap_absolute, 0.0)
    tolerance += TOLERANCE * gap_scale(part.problem, *powers)
    agrees = (
        found.profit - tolerance <= engine.profit <= found.profit_bound + tolerance
        and found.profit <= engine.profit_bound + tolerance
    )
    return Audit(
        area=area,
        batteries=len(part.batteries),
        engine_profit=engine.profit,
        engine_bound=engine.profit_bound,
        model_profit=found.profit,
        model_bound=found.profit_bound,
        tolerance=tolerance,
        agrees=bool(agrees),
    )


def draw_area(
    problem: DispatchProblem, prices: Multipliers, rng: np.random.Generator
) -> tuple[str, Excerpt]:
    """An area with at most `BATTERIES_MOST` batteries, at the prices of all that lies outside.

    A battery is drawn, and the largest group above it that is small enough is the area. Where even
    its own group is too large, so many batteries of that group are drawn, at the group's price.

    Args:
        problem: the whole.
        prices: valid multipliers of its rows.
        rng: draws.

    Returns:
        The area in words, and the part.
    """
    if len(problem.batteries) <= BATTERIES_MOST:
        part = excerpt(problem, keep_all(problem), f"audit of {problem.name}", whole=True)
        return "everything", part
    group = int(problem.batteries.group[rng.integers(len(problem.batteries))])
    chain = () if group == NO_GROUP else problem.groups.ancestors[group]
    areas = [(root, keep_below(problem, root)) for root in chain]
    small = [(root, kept) for root, kept in areas if kept.batteries.sum() <= BATTERIES_MOST]
    if not small:
        return _drawn_from(problem, prices, group, rng)
    root, kept = small[-1]
    name = f"group {problem.groups.group_id[root]}"
    return name, _at_prices(problem, kept, prices, int(problem.groups.parent[root]))


def _drawn_from(
    problem: DispatchProblem, prices: Multipliers, group: int, rng: np.random.Generator
) -> tuple[str, Excerpt]:
    """Some of the batteries that lie directly in a group."""
    peers = np.flatnonzero(problem.batteries.group == group)
    count = min(len(peers), BATTERIES_MOST)
    kept = keep_all(problem, False)
    kept.batteries[rng.choice(peers, count, replace=False)] = True
    where = "no group" if group == NO_GROUP else f"group {problem.groups.group_id[group]}"
    name = f"{count} of the {len(peers)} batteries in {where}"
    return name, _at_prices(problem, kept, prices, group)


def _at_prices(problem: DispatchProblem, kept: Kept, prices: Multipliers, group: int) -> Excerpt:
    """A part settled at what a kW costs in `group`, which lies outside it.

    That price holds everything above; rows of the network that sum single units or groups of the
    part, and others, are priced as such rows, and so are reserves that reach into it.
    """
    part = excerpt(problem, kept, f"audit in {problem.name}")
    nodes, step_h = node_prices(problem, prices), problem.grid.step_h
    draw, feed = nodes.draw_per_kw[group] / step_h, nodes.feed_per_kw[group] / step_h
    settled = settled_at(part.problem, draw, feed)
    rows = edge_rows(problem, kept, whole=False)
    per_kw = (prices.network_max_per_kw - prices.network_min_per_kw)[rows.rows]
    crossing = ~rows.is_inner & (per_kw != 0)
    priced = priced_rows(settled, rows.take(crossing), per_kw[crossing])
    network = joined(settled.network, priced)
    reserves, products = priced_reserves(part, problem, prices)
    there = replace(settled, network=network, reserves=reserves)
    return replace(
        part,
        problem=with_firm_price(there, problem.firm_price_per_kwh),
        network=np.append(part.network, rows.rows[crossing]),
        reserves=products,
    )


def _restricted(plan: Plan, part: Excerpt, prices: Multipliers) -> Plan:
    """What the plan does in a part."""
    rows, made = part.batteries, plan.generation_kw[part.generators]
    powers = (plan.p_charge_kw[rows], plan.p_discharge_kw[rows], made, plan.energy_kwh[rows])
    charge, discharge, generation, energy = powers
    reserve = reserve_in_part(plan, part)
    # What a kW costs more at every meter of the part than it does in the whole.
    extra = part.problem.price_import_per_kwh - plan.problem.price_import_per_kwh
    mine = part.multipliers(prices)
    mine = replace(mine, site_price_per_kwh=mine.site_price_per_kwh + extra)
    return Plan(
        problem=part.problem,
        p_charge_kw=charge,
        p_discharge_kw=discharge,
        energy_kwh=energy,
        generation_kw=generation,
        status=plan.status,
        stop_reason=plan.stop_reason,
        breaches=find_breaches(part.problem, *powers, reserve),
        multipliers=mine,
        reserve_kw=reserve,
    )
