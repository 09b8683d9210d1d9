"""The continuous problem once more, as rows of a small linear programme for scipy.

An oracle for the certificate: written from the equations, sharing nothing with the formulation. It
leaves out discrete powers, and lets a battery charge and discharge at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linprog

from optimizer.plan import Multipliers
from optimizer.problem import NO_GROUP, DispatchProblem
from optimizer.reach import BAND_FACTOR, band_yields

Row = dict[int, float]


@dataclass
class Program:
    """Columns with costs and bounds, rows with names."""

    cost: list[float] = field(default_factory=list)
    bounds: list[tuple[float | None, float | None]] = field(default_factory=list)
    equal: dict[tuple, tuple[Row, float]] = field(default_factory=dict)
    most: dict[tuple, tuple[Row, float]] = field(default_factory=dict)

    def column(self, cost: float = 0.0, low: float | None = 0.0, high: float | None = None) -> int:
        self.cost.append(cost)
        self.bounds.append((low, high))
        return len(self.cost) - 1

    def solve(self):
        def matrix(rows):
            if not rows:
                return None, None
            a = np.zeros((len(rows), len(self.cost)))
            for i, (row, _) in enumerate(rows.values()):
                for column, value in row.items():
                    a[i, column] += value
            return a, [rhs for _, rhs in rows.values()]

        a_eq, b_eq = matrix(self.equal)
        a_ub, b_ub = matrix(self.most)
        result = linprog(self.cost, a_ub, b_ub, a_eq, b_eq, self.bounds, method="highs")
        assert result.status == 0, result.message
        equal = dict(zip(self.equal, result.eqlin.marginals, strict=True))
        most = dict(zip(self.most, result.ineqlin.marginals, strict=True)) if self.most else {}
        return result, equal, most


@dataclass(frozen=True)
class Answer:
    """Cost, powers and multipliers of the optimum."""

    problem: DispatchProblem
    cost: float
    p_charge_kw: np.ndarray
    p_discharge_kw: np.ndarray
    generation_kw: np.ndarray
    reserve_kw: np.ndarray
    multipliers: Multipliers


def add(row: Row, *others: tuple[float, Row]) -> Row:
    """`row` plus multiples of others."""
    total = dict(row)
    for factor, other in others:
        for column, value in other.items():
            total[column] = total.get(column, 0.0) + factor * value
    return total


def solve_continuous(problem: DispatchProblem) -> Answer:
    """Optimum and multipliers of the relaxed problem (export prices at most the import prices)."""
    lp, b = Program(), problem.batteries
    (batteries, intervals), step_h = problem.shape, problem.grid.step_h
    firm = problem.firm_price_per_kwh
    charge = np.zeros((batteries, intervals), dtype=int)
    discharge = np.zeros((batteries, intervals), dtype=int)
    energy: dict[tuple[int, int], int] = {}
    for i in range(batteries):
        loose = problem.battery_site[i] == NO_GROUP
        yields = band_yields(problem)[i]
        for t in range(intervals):
            buy = problem.price_import_per_kwh[t] if loose else 0.0
            sell = problem.price_export_per_kwh[t] if loose else 0.0
            charge[i, t] = lp.column(
                (buy + b.wear_cost_charge_per_kwh[i]) * step_h[t], 0, b.p_charge_kw_max[i, t]
            )
            discharge[i, t] = lp.column(
                (b.wear_cost_discharge_per_kwh[i] - sell) * step_h[t], 0, b.p_discharge_kw_max[i, t]
            )
            low, high = b.energy_kwh_min[i, t + 1], b.energy_kwh_max[i, t + 1]
            if not yields:
                energy[i, t + 1] = lp.column(0.0, low, high)
                continue
            at = energy[i, t + 1] = lp.column(0.0, None)
            slack = lp.column(firm * BAND_FACTOR)
            lp.most["band max", i, t] = ({at: 1.0, slack: -1.0}, high)
            lp.most["band min", i, t] = ({at: -1.0, slack: -1.0}, -low)

    def stored(i: int, instant: int) -> tuple[Row, float]:
        return ({}, b.energy_kwh_initial[i]) if instant == 0 else ({energy[i, instant]: 1.0}, 0.0)

    for i in range(batteries):
        for t in range(intervals):
            after = (1 - b.standing_loss_per_h[i]) ** step_h[t]
            before, known = stored(i, t)
            row = add(
                {energy[i, t + 1]: 1.0},
                (-after, before),
                (-b.efficiency_charge[i, t] * step_h[t], {charge[i, t]: 1.0}),
                (step_h[t] / b.efficiency_discharge[i, t], {discharge[i, t]: 1.0}),
            )
            lp.equal["energy", i, t] = (row, after * known + b.inflow_kw[i, t] * step_h[t])
        lacking = lp.column(max(b.end_value_per_kwh[i, 0], 0.0))
        filled: Row = {energy[i, intervals]: -1.0, lacking: -1.0}
        for value, width in zip(b.end_value_per_kwh[i], b.end_value_kwh[i], strict=True):
            filled[lp.column(-value, 0.0, None if np.isinf(width) else width)] = 1.0
        lp.most["end value", i] = (filled, 0.0)
        _private_rows(lp, problem, i, charge[i], discharge[i])
    _target_rows(lp, problem, stored)
    output = np.zeros((len(problem.generators), intervals), dtype=int)
    for m in range(len(problem.generators)):
        table = problem.generators
        loose = problem.generator_site[m] == NO_GROUP
        for t in range(intervals):
            sell = problem.price_export_per_kwh[t] if loose else 0.0
            output[m, t] = lp.column(
                (table.cost_per_kwh[m] - sell) * step_h[t],
                table.p_kw_min[m, t],
                table.p_kw_available[m, t],
            )

    def net(group: int, t: int) -> tuple[Row, float]:
        groups = problem.groups
        inside = [g for g in range(len(groups)) if group in (*groups.ancestors[g], NO_GROUP)]
        fixed = sum(groups.load_kw[g, t] - groups.generation_kw[g, t] for g in inside)
        members = {*inside, NO_GROUP} if group == NO_GROUP else set(inside)
        row: Row = {}
        for i in range(batteries):
            if b.group[i] in members:
                row[charge[i, t]], row[discharge[i, t]] = 1.0, -1.0
        for m in range(len(problem.generators)):
            if problem.generators.group[m] in members:
                row[output[m, t]] = -1.0
        return row, fixed

    for g in np.flatnonzero(problem.groups.is_site):
        for t in range(intervals):
            row, fixed = net(int(g), t)
            drawn = lp.column(problem.groups.price_import_per_kwh[g, t] * step_h[t])
            fed = lp.column(-problem.groups.price_export_per_kwh[g, t] * step_h[t])
            lp.equal["site", g, t] = (add(row, (1.0, {drawn: -1.0, fed: 1.0})), -fixed)
    _limit_rows(lp, problem, net)
    _network_rows(lp, problem, net, (charge, discharge, output))
    _net_ramp_rows(lp, problem, net)
    _deviation_rows(lp, problem, net, (charge, discharge))
    held = _reserve_rows(lp, problem, (charge, discharge), stored)
    result, equal, most = lp.solve()
    return Answer(
        problem,
        result.fun,
        result.x[charge],
        result.x[discharge],
        result.x[output] if output.size else np.zeros(output.shape),
        np.array([[result.x[c] for c in row] for row in held]).reshape(-1, intervals),
        _multipliers(problem, equal, most),
    )


def _private_rows(lp: Program, problem: DispatchProblem, i: int, charge, discharge) -> None:
    b, step_h = problem.batteries, problem.grid.step_h
    power = [{int(c): 1.0, int(d): -1.0} for c, d in zip(charge, discharge, strict=True)]
    for t in range(len(step_h)):
        if t == 0 and np.isnan(b.p_kw_initial[i]):
            continue
        hours = step_h[0] if t == 0 else (step_h[t - 1] + step_h[t]) / 2
        before = b.p_kw_initial[i] if t == 0 else 0.0
        change = power[0] if t == 0 else add(power[t], (-1.0, power[t - 1]))
        for name, sign, rate in (
            ("ramp up", 1.0, b.ramp_up_kw_per_h[i]),
            ("ramp down", -1.0, b.ramp_down_kw_per_h[i]),
        ):
            if np.isfinite(rate):
                slack = lp.column(problem.firm_price_per_kwh * step_h[t])
                row = add({slack: -1.0}, (sign, change))
                lp.most[name, i, t] = (row, rate * hours + sign * before)
    if np.isfinite(b.cycles_per_day_max[i]):
        for day in np.unique(problem.days):
            row: Row = {}
            for t in np.flatnonzero(problem.days == day):
                row[charge[t]] = b.efficiency_charge[i, t] * step_h[t]
                row[discharge[t]] = step_h[t] / b.efficiency_discharge[i, t]
            cap = 2 * b.energy_kwh_max[i].max() * b.cycles_per_day_max[i]
            lp.most["cycles", i, day] = (row, cap)


def _target_rows(lp: Program, problem: DispatchProblem, stored) -> None:
    b, targets, step_h = problem.batteries, problem.targets, problem.grid.step_h
    for k in range(len(targets)):
        i, t, share = int(targets.battery[k]), int(targets.interval[k]), targets.share[k]
        after = (1 - b.standing_loss_per_h[i]) ** step_h[t]
        weight = after**share - share * after
        first, known = stored(i, t)
        row = add({}, (weight, first), (share, stored(i, t + 1)[0]))
        price = targets.breach_price_per_kwh[k] or problem.firm_price_per_kwh
        if np.isfinite(targets.energy_kwh_min[k]):
            short = lp.column(price)
            rhs = weight * known - targets.energy_kwh_min[k]
            lp.most["target min", k] = (add({short: -1.0}, (-1.0, row)), rhs)
        if np.isfinite(targets.energy_kwh_max[k]):
            surplus = lp.column(price)
            rhs = targets.energy_kwh_max[k] - weight * known
            lp.most["target max", k] = (add({surplus: -1.0}, (1.0, row)), rhs)


def _limit_rows(lp: Program, problem: DispatchProblem, net) -> None:
    limits, step_h = problem.limits, problem.grid.step_h
    for k in range(len(limits)):
        per_kwh, per_kw = limits.breach_price_per_kwh[k], limits.breach_price_per_kw[k]
        price = per_kwh if per_kwh or per_kw else problem.firm_price_per_kwh
        for name, sign, edge in (
            ("limit max", 1.0, limits.p_kw_max[k]),
            ("limit min", -1.0, limits.p_kw_min[k]),
        ):
            peak = lp.column(per_kw)
            for t in np.flatnonzero(np.isfinite(edge)):
                row, fixed = net(int(limits.group[k]), int(t))
                breach = lp.column(price * step_h[t])
                rhs = sign * (edge[t] - fixed)
                lp.most[name, k, t] = (add({breach: -1.0}, (sign, row)), rhs)
                lp.most[f"{name} peak", k, t] = ({breach: 1.0, peak: -1.0}, 0.0)


def _network_rows(lp: Program, problem: DispatchProblem, net, columns) -> None:
    rows, batteries = problem.network, len(problem.batteries)
    charge, discharge, output = columns
    for r in range(len(rows)):
        t, total, fixed = int(rows.interval[r]), {}, 0.0
        for entry in range(rows.entry_start[r], rows.entry_start[r + 1]):
            unit, weight = int(rows.entry_unit[entry]), float(rows.weight[entry])
            if unit < 0:
                row, known = net(int(rows.entry_group[entry]), t)
                fixed += weight * known
            elif unit < batteries:
                row = {charge[unit, t]: 1.0, discharge[unit, t]: -1.0}
            else:
                row = {output[unit - batteries, t]: -1.0}
            total = add(total, (weight, row))
        price = rows.breach_price_per_kwh[r] or problem.firm_price_per_kwh
        for name, sign, edge in (
            ("network max", 1.0, rows.p_kw_max[r]),
            ("network min", -1.0, rows.p_kw_min[r]),
        ):
            if np.isfinite(edge):
                breach = lp.column(price * problem.grid.step_h[t])
                lp.most[name, r] = (add({breach: -1.0}, (sign, total)), sign * (edge - fixed))


def _net_ramp_rows(lp: Program, problem: DispatchProblem, net) -> None:
    limits, step_h = problem.limits, problem.grid.step_h
    for k in range(len(limits)):
        price = limits.breach_price_per_kwh[k] or problem.firm_price_per_kwh
        for t in range(len(step_h)):
            if t == 0 and np.isnan(limits.p_kw_initial[k]):
                continue
            row, fixed = net(int(limits.group[k]), t)
            before, known = ({}, limits.p_kw_initial[k])
            if t:
                before, known = net(int(limits.group[k]), t - 1)
            hours = step_h[0] if t == 0 else (step_h[t - 1] + step_h[t]) / 2
            for name, sign, rate in (
                ("net ramp up", 1.0, limits.ramp_up_kw_per_h[k]),
                ("net ramp down", -1.0, limits.ramp_down_kw_per_h[k]),
            ):
                if np.isfinite(rate):
                    slack = lp.column(price * step_h[t])
                    change = add({slack: -1.0}, (sign, row), (-sign, before))
                    lp.most[name, k, t] = (change, rate * hours - sign * (fixed - known))


def _deviation_rows(lp: Program, problem: DispatchProblem, net, columns) -> None:
    b, positions, step_h = problem.batteries, problem.positions, problem.grid.step_h
    charge, discharge = columns
    for k in range(len(positions)):
        for t in range(len(step_h)):
            row, fixed = net(int(positions.group[k]), t)
            above = lp.column(positions.price_above_per_kwh[k, t] * step_h[t])
            below = lp.column(positions.price_below_per_kwh[k, t] * step_h[t])
            off = add(row, (1.0, {above: -1.0, below: 1.0}))
            lp.equal["position", k, t] = (off, positions.p_kw[k, t] - fixed)
    for i, t in np.argwhere(np.isfinite(b.p_kw_previous)).tolist():
        above = lp.column(b.change_price_per_kwh[i] * step_h[t])
        below = lp.column(b.change_price_per_kwh[i] * step_h[t])
        off = {charge[i, t]: 1.0, discharge[i, t]: -1.0, above: -1.0, below: 1.0}
        lp.equal["change", i, t] = (off, b.p_kw_previous[i, t])


def _reserve_rows(lp: Program, problem: DispatchProblem, columns, stored) -> list[list[int]]:
    """Columns of every pair, by interval."""
    b, products, step_h = problem.batteries, problem.reserves, problem.grid.step_h
    charge, discharge = columns
    yields, place = band_yields(problem), {i: n for n, i in enumerate(problem.reserve_batteries)}
    none = 0.0
    held = [
        [lp.column(0.0, 0.0, none if yields[i] else None) for _ in step_h]
        for _, i in problem.reserve_pairs
    ]
    for i, at in place.items():
        if yields[i]:
            continue
        for t in range(len(step_h)):
            power = {charge[i, t]: 1.0, discharge[i, t]: -1.0}
            for is_up, sign, most in (
                (True, -1.0, b.p_discharge_kw_max[i, t]),
                (False, 1.0, b.p_charge_kw_max[i, t]),
            ):
                mine = [
                    (held[n][t], products.duration_h[k])
                    for n, (k, j) in enumerate(problem.reserve_pairs)
                    if j == i and products.is_up[k] == is_up
                ]
                ready = dict.fromkeys((c for c, _ in mine), 1.0)
                lp.most["reserve power", is_up, at, t] = (add(ready, (sign, power)), most)
                rate = 1 / b.efficiency_discharge[i, t] if is_up else b.efficiency_charge[i, t]
                behind = {column: hours * rate for column, hours in mine}
                for end in (0, 1):
                    row, known = stored(i, t + end)
                    edge = b.energy_kwh_min[i, t + end] if is_up else b.energy_kwh_max[i, t + end]
                    if t + end == 0:
                        edge = min(edge, known) if is_up else max(edge, known)
                    name = ("reserve energy", is_up, at, t, end)
                    lp.most[name] = (add(behind, (sign, row)), sign * (edge - known))
    for k in range(len(products)):
        price = products.breach_price_per_kwh[k] or problem.firm_price_per_kwh
        for t in range(len(step_h)):
            row = {lp.column(price * step_h[t]): -1.0}
            row |= {held[n][t]: -1.0 for n, (q, _) in enumerate(problem.reserve_pairs) if q == k}
            lp.most["reserve", k, t] = (row, -products.p_kw_required[k, t])
    return held


def _multipliers(problem: DispatchProblem, equal: dict, most: dict) -> Multipliers:
    (batteries, intervals), step_h = problem.shape, problem.grid.step_h

    def table(rows: dict, name: str, *shape: int) -> np.ndarray:
        values = np.zeros(shape)
        for (row, *at), marginal in rows.items():
            if row == name:
                values[tuple(map(int, at))] = -marginal
        return values

    limits, targets = len(problem.limits), len(problem.targets)
    keeping = len(problem.reserve_batteries)
    # By direction: down first, as False comes before True.
    power = table(most, "reserve power", 2, keeping, intervals)
    energy = table(most, "reserve energy", 2, keeping, intervals, 2)
    site = table(equal, "site", len(problem.groups), intervals) / step_h
    return Multipliers(
        energy_value_per_kwh=table(equal, "energy", batteries, intervals),
        site_price_per_kwh=np.where(problem.groups.is_site[:, None], site, np.nan),
        limit_max_per_kw=table(most, "limit max", limits, intervals),
        limit_min_per_kw=table(most, "limit min", limits, intervals),
        ramp_up_per_kw=table(most, "ramp up", batteries, intervals),
        ramp_down_per_kw=table(most, "ramp down", batteries, intervals),
        cycles_per_kwh=table(most, "cycles", batteries, int(problem.days[-1]) + 1),
        target_min_per_kwh=table(most, "target min", targets),
        target_max_per_kwh=table(most, "target max", targets),
        network_max_per_kw=table(most, "network max", len(problem.network)),
        network_min_per_kw=table(most, "network min", len(problem.network)),
        limit_ramp_up_per_kw=table(most, "net ramp up", limits, intervals),
        limit_ramp_down_per_kw=table(most, "net ramp down", limits, intervals),
        position_per_kwh=table(equal, "position", len(problem.positions), intervals) / step_h,
        reserve_per_kw=table(most, "reserve", len(problem.reserves), intervals),
        reserve_charge_per_kw=power[0],
        reserve_discharge_per_kw=power[1],
        reserve_energy_min_per_kwh=energy[1],
        reserve_energy_max_per_kwh=energy[0],
    )
