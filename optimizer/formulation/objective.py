"""The cost that a plan makes as small as possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr import LinearExpression

from optimizer.formulation.end_value import end_value_terms
from optimizer.problem import NO_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from optimizer.formulation.layout import Layout

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

Term = tuple[float, Any]


def cost(m: pyo.ConcreteModel, x: Layout) -> None:
    """Settlement + wear + generation + deviations + breaches − value of the energy left."""
    terms = [
        *_power_terms(m, x),
        *_meter_terms(m, x),
        *_deviation_terms(m, x),
        *_breach_terms(m, x),
        *_slack_terms(m, x),
        *end_value_terms(m, x),
    ]
    kept = [(float(price), column) for price, column in terms if price]
    expression = LinearExpression(
        constant=fixed_cost(x),
        linear_coefs=[price for price, _ in kept],
        linear_vars=[column for _, column in kept],
    )
    m.cost = pyo.Objective(expr=expression)


def settled_prices(x: Layout, site: Ints) -> tuple[Floats, Floats]:
    """Prices that rows settle at directly, import and export, shapes (rows, T).

    A unit outside every site pays and earns at its own terminals. Inside a site it settles at the
    site's price where there is only one, and at nothing where the meter's two columns settle.
    """
    p = x.problem
    pays = np.broadcast_to(p.price_import_per_kwh, (len(site), len(p.grid))).copy()
    earns = np.broadcast_to(p.price_export_per_kwh, (len(site), len(p.grid))).copy()
    inside = site != NO_GROUP
    if inside.any():
        single = np.where(x.is_split, 0.0, p.groups.price_import_per_kwh)
        pays[inside] = earns[inside] = single[site[inside]]
    return pays, earns


def fixed_cost(x: Layout) -> float:
    """What the fixed load and generation of sites with a single price costs."""
    p = x.problem
    if not p.groups.is_site.any():
        return 0.0
    fixed = (p.groups.load_kw - p.groups.generation_kw) * p.grid.step_h
    single = np.where(x.is_split, 0.0, p.groups.price_import_per_kwh)
    metered = p.groups.site_of != NO_GROUP
    return float((fixed[metered] * single[p.groups.site_of[metered]]).sum())


def _power_terms(m: pyo.ConcreteModel, x: Layout) -> Iterator[Term]:
    p, b, step_h = x.problem, x.problem.batteries, x.problem.grid.step_h
    pays, earns = settled_prices(x, p.battery_site)
    charge = ((pays + b.wear_cost_charge_per_kwh[:, None]) * step_h).tolist()
    discharge = ((b.wear_cost_discharge_per_kwh[:, None] - earns) * step_h).tolist()
    yield from ((charge[i][t], column) for (i, t), column in m.p_charge_kw.items())
    yield from ((discharge[i][t], column) for (i, t), column in m.p_discharge_kw.items())
    _, feeds = settled_prices(x, p.generator_site)
    output = ((p.generators.cost_per_kwh[:, None] - feeds) * step_h).tolist()
    yield from ((output[j][t], column) for (j, t), column in m.generation_kw.items())


def _meter_terms(m: pyo.ConcreteModel, x: Layout) -> Iterator[Term]:
    groups, step_h = x.problem.groups, x.problem.grid.step_h
    pays, earns = groups.price_import_per_kwh * step_h, groups.price_export_per_kwh * step_h
    yield from ((pays[at], column) for at, column in m.site_import_kw.items())
    yield from ((-earns[at], column) for at, column in m.site_export_kw.items())


def _deviation_terms(m: pyo.ConcreteModel, x: Layout) -> Iterator[Term]:
    positions, b, step_h = x.problem.positions, x.problem.batteries, x.problem.grid.step_h
    above = positions.price_above_per_kwh
    # Two prices that were meant to cancel may miss 0 by rounding; below it would have no end.
    below = np.maximum(positions.price_below_per_kwh, -above)
    for price, columns in ((above, m.position_above_kw), (below, m.position_below_kw)):
        yield from ((price[at] * step_h[at[1]], column) for at, column in columns.items())
    for columns in (m.change_above_kw, m.change_below_kw):
        yield from (
            (b.change_price_per_kwh[i] * step_h[t], column) for (i, t), column in columns.items()
        )


def _breach_terms(m: pyo.ConcreteModel, x: Layout) -> Iterator[Term]:
    limits, step_h = x.problem.limits, x.problem.grid.step_h
    per_kwh = np.where(limits.is_firm, x.firm_price_per_kwh, limits.breach_price_per_kwh)
    for columns in (m.breach_above_kw, m.breach_below_kw):
        yield from ((per_kwh[n] * step_h[t], column) for (n, t), column in columns.items())
    for columns in (m.peak_above_kw, m.peak_below_kw):
        yield from ((limits.breach_price_per_kw[n], column) for n, column in columns.items())
    for columns in (m.limit_ramp_above_kw, m.limit_ramp_below_kw):
        ramp = np.where(limits.has_firm_ramp, x.firm_price_per_kwh, limits.breach_price_per_kwh)
        yield from ((ramp[n] * step_h[t], column) for (n, t), column in columns.items())
    products = x.problem.reserves
    missing = np.where(products.is_firm, x.firm_price_per_kwh, products.breach_price_per_kwh)
    yield from ((missing[k] * step_h[t], column) for (k, t), column in m.reserve_short_kw.items())
    rows = x.problem.network
    per_kwh = np.where(rows.is_firm, x.firm_price_per_kwh, rows.breach_price_per_kwh)
    per_kw = per_kwh * step_h[rows.interval]
    for columns in (m.network_above_kw, m.network_below_kw):
        yield from ((per_kw[n], column) for n, column in columns.items())


def _slack_terms(m: pyo.ConcreteModel, x: Layout) -> Iterator[Term]:
    targets, step_h = x.problem.targets, x.problem.grid.step_h
    wanted = np.where(targets.is_firm, x.firm_price_per_kwh, targets.breach_price_per_kwh)
    for name in ("target_missing_kwh", "target_surplus_kwh"):
        yield from ((wanted[k], column) for k, column in _columns(m, name))
    for name in ("band_below_kwh", "band_above_kwh"):
        yield from ((x.band_price_per_kwh, column) for _, column in _columns(m, name))
    for name in ("ramp_above_kw", "ramp_below_kw"):
        yield from ((x.firm_price_per_kwh * step_h[t], v) for (_, t), v in _columns(m, name))


def _columns(m: pyo.ConcreteModel, name: str) -> list[tuple[Any, Any]]:
    component = m.component(name)
    return [] if component is None else list(component.items())
