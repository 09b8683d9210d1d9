"""Random small problems, random multipliers and random plans for the certificate's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.certificate import check
from optimizer.plan import Breach, Multipliers, Plan, Status, StopReason
from optimizer.reach import band_yields
from optimizer.reserves import reserve_within
from tests.optimizer.problems import make_problem
from twins.timegrid import iso

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

Random = np.random.Generator


def make_plan(problem: DispatchProblem, p_kw: Any, **changes: Any) -> Plan:
    """A plan by hand: powers, energies worked out one by one, generation as available."""
    b, step_h = problem.batteries, problem.grid.step_h
    p_kw = np.array(p_kw, dtype=float).reshape(problem.shape)
    charge, discharge = np.maximum(p_kw, 0.0), np.maximum(-p_kw, 0.0)
    energy = np.zeros((len(b), len(step_h) + 1))
    for i in range(len(b)):
        energy[i, 0] = b.energy_kwh_initial[i]
        for t, hours in enumerate(step_h):
            left = energy[i, t] * (1 - b.standing_loss_per_h[i]) ** hours
            gain = charge[i, t] * b.efficiency_charge[i, t] + b.inflow_kw[i, t]
            drain = discharge[i, t] / b.efficiency_discharge[i, t]
            energy[i, t + 1] = left + (gain - drain) * hours
    plan = Plan(
        problem=problem,
        p_charge_kw=charge,
        p_discharge_kw=discharge,
        energy_kwh=energy,
        generation_kw=problem.generators.p_kw_available.copy(),
        status=Status.FEASIBLE,
        stop_reason=StopReason.GAP_REACHED,
    )
    return replace(plan, **changes)


def limit_breach(problem: DispatchProblem, name: str, interval: int, size: float) -> Breach:
    """A reported breach of a limit's upper side."""
    at = iso(problem.grid.starts[interval])
    return Breach("limit", name, at, size, "kW", "above", is_firm=True)


def random_problem(
    seed: int, *, discrete: bool = False, odd_prices: bool = False, shared: bool = True
) -> DispatchProblem:
    """Up to three batteries in up to three groups with any mix of features.

    Those that `shared` adds are drawn last: without them a seed gives the same problem otherwise.
    """
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 6))

    def maybe(value: Any, otherwise: Any) -> Any:
        return value if rng.random() < 0.4 else otherwise

    sites = rng.random() < 0.5
    group_count = int(rng.integers(0, 4))
    buy = rng.uniform(0.05, 0.4, count) - (rng.choice([0.0, 0.3]) if odd_prices else 0.0)
    sell = buy + (rng.uniform(-0.3, 0.3, count) if odd_prices else -rng.choice([0.0, 0.05]))
    groups = [
        {
            "parent": None if g == 0 or (sites and g == 1) else f"g{rng.integers(0, g)}",
            "is_site": bool(sites and g < 2),
            "load_kw": rng.uniform(0, 6, count),
            "generation_kw": maybe(rng.uniform(0, 8, count), 0.0),
            "price_import_per_kwh": buy + 0.1,
            "price_export_per_kwh": sell - (0.0 if odd_prices else 0.02),
        }
        for g in range(group_count)
    ]
    named = [None, *[f"g{g}" for g in range(group_count)]]

    def battery() -> dict[str, Any]:
        high = maybe(rng.uniform(5, 10, count + 1), 8.0)
        row = {
            "group": named[rng.integers(len(named))],
            "energy_kwh_initial": rng.uniform(1.5, 9.5),
            "energy_kwh_min": maybe(rng.uniform(1, 4, count + 1), 1.0),
            "energy_kwh_max": high,
            "p_charge_kw_max": maybe(rng.uniform(0, 6, count), 3.0),
            "p_discharge_kw_max": maybe(rng.uniform(0, 6, count), 4.0),
            "efficiency_charge": rng.uniform(0.85, 1.0),
            "efficiency_discharge": rng.uniform(0.85, 1.0),
            "standing_loss_per_h": maybe(0.02, 0.0),
            "inflow_kw": maybe(rng.uniform(-0.05, 0.3, count), 0.0),
            "wear_cost_charge_per_kwh": maybe(0.01, 0.0),
            "wear_cost_discharge_per_kwh": maybe(0.02, 0.0),
            "cycles_per_day_max": maybe(rng.uniform(0.1, 0.6), np.inf),
            "ramp_up_kw_per_h": maybe(rng.uniform(1, 4), np.inf),
            "ramp_down_kw_per_h": maybe(rng.uniform(1, 4), np.inf),
            "p_kw_initial": maybe(rng.uniform(-1, 2), np.nan),
            "end_value_per_kwh": np.sort(rng.uniform(0, 0.4, 3))[::-1],
            "end_value_kwh": [2.0, 3.0, maybe(2.0, np.inf)],
        }
        if discrete and rng.random() < 0.5:
            row["power_levels"] = int(rng.integers(1, 4))
        elif discrete:
            row["p_charge_kw_min"] = 0.5 * np.max(row["p_charge_kw_max"])
            row["p_discharge_kw_min"] = 0.5 * np.max(row["p_discharge_kw_max"])
        return row

    batteries = [battery() for _ in range(rng.integers(1, 4))]
    limits = [
        {
            "group": named[rng.integers(len(named))],
            "p_kw_max": maybe(rng.uniform(0, 8, count), 6.0),
            "p_kw_min": maybe(rng.uniform(-8, 0, count), -np.inf),
            "breach_price_per_kwh": rng.choice([0.0, 0.2]),
            "breach_price_per_kw": rng.choice([0.0, 0.5]),
        }
        for _ in range(rng.integers(0, 4))
    ]
    targets = [
        {
            "battery": int(rng.integers(len(batteries))),
            "interval": int(rng.integers(count)),
            "share": maybe(rng.uniform(0.1, 0.9), 1.0),
            "energy_kwh_min": rng.uniform(3, 7),
            "energy_kwh_max": maybe(7.5, np.inf),
            "breach_price_per_kwh": rng.choice([0.0, 0.3]),
        }
        for _ in range(rng.integers(0, 3))
    ]
    generators = [
        {
            "group": named[rng.integers(len(named))],
            "p_kw_available": rng.uniform(2, 6, count),
            "p_kw_min": maybe(1.0, 0.0),
            "cost_per_kwh": maybe(0.2, 0.0),
        }
        for _ in range(rng.integers(0, 2))
    ]
    names = [f"b{i}" for i in range(len(batteries))] + [f"m{i}" for i in range(len(generators))]
    places = [*names, *named]
    network = [
        {
            "interval": int(rng.integers(count)),
            "weights": {places[p]: rng.normal() for p in rng.choice(len(places), 2, replace=False)},
            "p_kw_max": maybe(np.inf, rng.uniform(0, 6)),
            "p_kw_min": rng.uniform(-6, 0),
            "breach_price_per_kwh": rng.choice([0.0, 0.3]),
        }
        for _ in range(rng.integers(0, 4) if shared else 0)
    ]
    positions = [
        {
            "group": named[rng.integers(len(named))],
            "p_kw": maybe(rng.uniform(-4, 8, count), 2.0),
            "price_above_per_kwh": (above := maybe(rng.uniform(-0.2, 0.4, count), 0.15)),
            "price_below_per_kwh": rng.choice([0.0, 0.1]) - above,
        }
        for _ in range(rng.integers(0, 3) if shared else 0)
    ]
    for battery_row in batteries if shared else ():
        battery_row["p_kw_previous"] = maybe(rng.uniform(-5, 5, count), np.nan)
        battery_row["change_price_per_kwh"] = maybe(rng.uniform(0, 0.1), 0.0)
    for limit in limits if shared else ():
        limit["ramp_up_kw_per_h"] = maybe(rng.uniform(0, 4), np.inf)
        limit["ramp_down_kw_per_h"] = maybe(rng.uniform(0, 4), np.inf)
        limit["p_kw_initial"] = maybe(rng.uniform(-2, 6), np.nan)
    own = np.random.default_rng([seed, 1])  # what else a seed gives stays as it was
    reserves = [
        {
            "group": named[own.integers(len(named))],
            "is_up": bool(own.random() < 0.5),
            "p_kw_required": own.choice([2.0, own.uniform(0, 5)]) * own.uniform(0.5, 1, count),
            "duration_h": own.choice([0.0, 0.5, 1.0, 2.0]),
            "breach_price_per_kwh": own.choice([0.0, 0.05, 0.3]),
        }
        for _ in range(own.integers(0, 3) if shared else 0)
    ]
    for battery_row in batteries if shared and not discrete else ():
        battery_row["provides_reserve"] = bool(own.random() < 0.6)
    return make_problem(
        count,
        rng.choice([0.5, 1.0, 7.0], count) if rng.random() < 0.3 else 1.0,
        batteries,
        groups,
        limits,
        generators,
        targets,
        buy,
        sell,
        network=network,
        positions=positions,
        reserves=reserves,
    )


def random_multipliers(problem: DispatchProblem, rng: Random) -> Multipliers:
    """Prices near and far from sense, some of the wrong sign, some missing."""
    (batteries, intervals), days = problem.shape, int(problem.days[-1]) + 1
    limits, targets = len(problem.limits), len(problem.targets)

    def prices(*shape: int) -> np.ndarray:
        values = rng.normal(0.15, rng.choice([0.1, 0.5, 500.0]), shape)
        return np.where(rng.random(shape) < 0.02, np.nan, values)

    return Multipliers(
        energy_value_per_kwh=prices(batteries, intervals),
        site_price_per_kwh=prices(len(problem.groups), intervals),
        limit_max_per_kw=prices(limits, intervals),
        limit_min_per_kw=prices(limits, intervals),
        ramp_up_per_kw=prices(batteries, intervals),
        ramp_down_per_kw=prices(batteries, intervals),
        cycles_per_kwh=prices(batteries, days),
        target_min_per_kwh=prices(targets),
        target_max_per_kwh=prices(targets),
        network_max_per_kw=prices(len(problem.network)),
        network_min_per_kw=prices(len(problem.network)),
        limit_ramp_up_per_kw=prices(limits, intervals),
        limit_ramp_down_per_kw=prices(limits, intervals),
        position_per_kwh=prices(len(problem.positions), intervals),
        reserve_per_kw=prices(len(problem.reserves), intervals),
        reserve_charge_per_kw=prices(len(problem.reserve_batteries), intervals),
        reserve_discharge_per_kw=prices(len(problem.reserve_batteries), intervals),
        reserve_energy_min_per_kwh=prices(len(problem.reserve_batteries), intervals, 2),
        reserve_energy_max_per_kwh=prices(len(problem.reserve_batteries), intervals, 2),
    )


def random_plan(problem: DispatchProblem, rng: Random) -> Plan | None:
    """A plan that keeps every rule that cannot be bought off, or None where chance found none."""
    b, step_h = problem.batteries, problem.grid.step_h
    yields, p_kw = band_yields(problem), np.zeros(problem.shape)
    for i in range(len(b)):
        energy = b.energy_kwh_initial[i]
        for t, hours in enumerate(step_h):
            idle = energy * (1 - b.standing_loss_per_h[i]) ** hours + b.inflow_kw[i, t] * hours
            low, high = b.energy_kwh_min[i, t + 1], b.energy_kwh_max[i, t + 1]
            choices = []
            for power in _allowed(problem, i, t, rng, (low - idle) / hours, (high - idle) / hours):
                stored = power * b.efficiency_charge[i, t]
                if power < 0:
                    stored = power / b.efficiency_discharge[i, t]
                after = idle + stored * hours
                if yields[i] or low - 1e-9 <= after <= high + 1e-9:
                    choices.append((power, after))
            if not choices:
                return None
            p_kw[i, t], energy = choices[rng.integers(len(choices))]
    table = problem.generators
    generation = rng.uniform(table.p_kw_min, table.p_kw_available)
    plan = make_plan(problem, p_kw, generation_kw=generation)
    asked = rng.uniform(0, 6, plan.reserve_kw.shape)
    held = reserve_within(problem, p_kw, plan.energy_kwh, asked)
    plan = replace(plan, reserve_kw=held)
    bought = {"ramp", "target", "limit", "limit ramp", "network", "reserve"}
    bands = {name for name, free in zip(b.battery_id, yields, strict=True) if free}
    for violation in check(plan):
        if violation.rule in bought or (violation.rule == "band" and violation.name in bands):
            continue
        return None
    return plan


def _allowed(
    problem: DispatchProblem, i: int, t: int, rng: Random, need: float, room: float
) -> list[float]:
    """Idle, some random powers, and those that just reach the band's edges."""
    b = problem.batteries
    sides = (
        (1.0, b.p_charge_kw_max[i, t], b.p_charge_kw_min[i]),
        (-1.0, b.p_discharge_kw_max[i, t], b.p_discharge_kw_min[i]),
    )
    powers = [0.0]
    for sign, most, least in sides:
        if b.power_levels[i]:
            powers += list(sign * np.linspace(0, most, int(b.power_levels[i]) + 1))
        elif least <= most:
            powers += [sign * most, sign * rng.uniform(least, most)]
    if not b.is_discrete[i]:
        for wanted in (need, room):
            to_edge = wanted / b.efficiency_charge[i, t]
            if wanted < 0:
                to_edge = wanted * b.efficiency_discharge[i, t]
            powers.append(float(np.clip(to_edge, -sides[1][1], sides[0][1])))
    return powers
