"""What one battery does and why, in words and as series.

A battery charges where a kWh at its terminals costs less than it is worth once stored, and
discharges where it earns more than that. Both sides follow from the plan's prices: the market's,
those of the limits above the battery, and the worth of its stored energy. Where the two sides are
equal the prices alone do not decide, and that is said.
"""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from optimizer.breaches import target_moments
from optimizer.certificate.prices import project
from optimizer.duals import battery_prices
from optimizer.problem import NO_GROUP
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from optimizer.plan import Multipliers, Plan
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

TIE_SHARE = 1e-3
"""Of the largest price: two sides that are closer than this are equal."""
_POWER_SHARE = 1e-4
_EDGE_KWH = 1e-4
_PRICED = 1e-6
_LIMITS_SHOWN_MAX = 5


class Why(enum.Enum):
    """What decides an interval; the value is how it is said."""

    PAYS = "pays"
    TIE = "is a tie"
    AGAINST = "costs more than it brings"
    RESTS = "neither way pays"
    HELD = "would pay, but is held back"


@dataclass(frozen=True, eq=False)
class Explanation:
    """One battery of a plan.

    Attributes:
        battery_id: which.
        lines: the explanation, a sentence a line.
        series: over ``time``: ``p_kw``; ``charge_cost_per_kwh`` and ``discharge_income_per_kwh`` at
            the terminals with limits and wear; ``charge_worth_per_kwh`` and
            ``discharge_worth_per_kwh``, what a kWh at the terminals puts into the store or takes
            out of it is worth; ``market_import_per_kwh`` and ``market_export_per_kwh``; ``why``.
            Over ``instant``: ``energy_kwh`` and its band.
    """

    battery_id: str
    lines: tuple[str, ...]
    series: xr.Dataset

    def __str__(self) -> str:
        return "\n".join(self.lines)


@dataclass(frozen=True, eq=False)
class _Case:
    """What is known of the battery, each of shape (T,)."""

    plan: Plan
    row: int
    p_kw: Floats
    buy: Floats
    sell: Floats
    draw: Floats
    feed: Floats
    value: Floats

    @property
    def problem(self) -> DispatchProblem:
        return self.plan.problem


def explain(plan: Plan, battery_id: str) -> Explanation:
    """What a battery does in a plan, and why.

    Args:
        plan: with multipliers.
        battery_id: as in the problem.

    Raises:
        KeyError: the problem has no such battery.
        ValueError: the plan has no multipliers, so that nothing is known of its reasons.
    """
    names = plan.problem.batteries.battery_id
    if battery_id not in names:
        raise KeyError(f"{plan.problem.name} has no battery {battery_id!r}")
    if plan.multipliers is None:
        raise ValueError(f"the plan of {plan.problem.name} has no prices: its reasons are unknown")
    found = project(plan.problem, plan.multipliers)
    case = _case(plan, names.index(battery_id), found)
    series = _series(case, found)
    lines = (
        _summary(case),
        *_actions(case, series),
        *_limits(case, found),
        *_edges(case),
        *_targets(case, found),
        *_restrictions(case),
        *(f"Not kept: {breach}." for breach in plan.breaches if breach.name == battery_id),
    )
    return Explanation(battery_id, lines, series)


def _case(plan: Plan, row: int, found: Multipliers) -> _Case:
    problem = plan.problem
    prices = battery_prices(problem, found)
    site = problem.battery_site[row]
    buy, sell = problem.price_import_per_kwh, problem.price_export_per_kwh
    if site != NO_GROUP:
        buy = problem.groups.price_import_per_kwh[site]
        sell = problem.groups.price_export_per_kwh[site]
    return _Case(
        plan=plan,
        row=row,
        p_kw=plan.p_charge_kw[row] - plan.p_discharge_kw[row],
        buy=buy,
        sell=sell,
        draw=prices.draw_per_kwh[row],
        feed=prices.feed_per_kwh[row],
        value=found.energy_value_per_kwh[row],
    )


def _series(case: _Case, found: Multipliers) -> xr.Dataset:
    problem, row = case.problem, case.row
    b, grid = problem.batteries, problem.grid
    cost = case.draw + b.wear_cost_charge_per_kwh[row]
    income = case.feed - b.wear_cost_discharge_per_kwh[row]
    throughput = found.cycles_per_kwh[row][problem.days]
    charge_worth = b.efficiency_charge[row] * (case.value - throughput)
    discharge_worth = (case.value + throughput) / b.efficiency_discharge[row]
    # The ramps into and out of an interval are rows of both powers: c with +, d with −.
    ramp = found.ramp_up_per_kw[row] - found.ramp_down_per_kw[row]
    ramp = (ramp - np.append(ramp[1:], 0.0)) / grid.step_h
    cost, income = cost + ramp, income + ramp
    why = _reasons(case, charge_worth - cost, income - discharge_worth)
    money = f"{problem.currency}/kWh"
    over_time = {
        "p_kw": (case.p_kw, "kW", "power at the terminals"),
        "charge_cost_per_kwh": (cost, money, "cost of a kWh charged, limits and wear included"),
        "charge_worth_per_kwh": (charge_worth, money, "worth of it in the store"),
        "discharge_income_per_kwh": (income, money, "income of a kWh discharged, wear taken off"),
        "discharge_worth_per_kwh": (discharge_worth, money, "worth of it in the store"),
        "market_import_per_kwh": (case.buy, money, "import price without limits"),
        "market_export_per_kwh": (case.sell, money, "export price without limits"),
        "why": (np.array([one.name for one in why]), "", "what decides the interval"),
    }
    over_instants = {
        "energy_kwh": (case.plan.energy_kwh[row], "stored energy"),
        "energy_kwh_min": (b.energy_kwh_min[row], "lower edge of the band"),
        "energy_kwh_max": (b.energy_kwh_max[row], "upper edge of the band"),
    }
    variables = {
        name: ("time", values, {"units": unit, "long_name": text})
        for name, (values, unit, text) in over_time.items()
    }
    variables |= {
        name: ("instant", values, {"units": "kWh", "long_name": text})
        for name, (values, text) in over_instants.items()
    }
    return xr.Dataset(variables, coords={"time": grid.starts, "instant": grid.instants})


def _reasons(case: _Case, charge_gain: Floats, discharge_gain: Floats) -> list[Why]:
    """What decides each interval, from what a kWh gains either way."""
    largest = max(float(np.abs(side).max(initial=0.0)) for side in (case.buy, case.sell))
    tie = TIE_SHARE * max(largest, 1e-9)
    moving = _moving(case)
    gain = np.where(case.p_kw > 0, charge_gain, discharge_gain)
    best = np.maximum(
        np.where(case.problem.batteries.p_charge_kw_max[case.row] > 0, charge_gain, -np.inf),
        np.where(case.problem.batteries.p_discharge_kw_max[case.row] > 0, discharge_gain, -np.inf),
    )
    found = []
    for t in range(len(gain)):
        if moving[t]:
            one = Why.TIE if abs(gain[t]) <= tie else Why.PAYS if gain[t] > 0 else Why.AGAINST
        else:
            one = Why.TIE if abs(best[t]) <= tie else Why.HELD if best[t] > 0 else Why.RESTS
        found.append(one)
    return found


def _moving(case: _Case) -> Flags:
    b, row = case.problem.batteries, case.row
    most = max(float(b.p_charge_kw_max[row].max()), float(b.p_discharge_kw_max[row].max()), 1e-9)
    return np.abs(case.p_kw) > _POWER_SHARE * most


def _summary(case: _Case) -> str:
    """Energy moved, what it cost and earned at the market, wear and cycles."""
    problem, row, plan = case.problem, case.row, case.plan
    b, step_h = problem.batteries, problem.grid.step_h
    charged, discharged = plan.p_charge_kw[row] * step_h, plan.p_discharge_kw[row] * step_h
    paid, earned = float(charged @ case.buy), float(discharged @ case.sell)
    wear = float(charged.sum() * b.wear_cost_charge_per_kwh[row])
    wear += float(discharged.sum() * b.wear_cost_discharge_per_kwh[row])
    rated = float(b.energy_kwh_rated[row])
    stored = b.efficiency_charge[row] * charged + discharged / b.efficiency_discharge[row]
    cycles = float(stored.sum()) / (2 * rated) if rated > 0 else 0.0
    money = problem.currency
    return (
        f"{b.battery_id[row]}: charges {charged.sum():.3g} kWh for {paid:.4g} {money} and "
        f"discharges {discharged.sum():.3g} kWh for {earned:.4g} {money} at its meter's prices; "
        f"wear {wear:.3g} {money}, {cycles:.2f} full cycles, stored energy "
        f"{plan.energy_kwh[row, 0]:.3g} → {plan.energy_kwh[row, -1]:.3g} kWh."
    )


def _actions(case: _Case, series: xr.Dataset) -> Iterator[str]:
    """One sentence for each run of intervals with the same direction and the same reason."""
    way = np.where(_moving(case), np.sign(case.p_kw), 0.0)
    why = series["why"].values
    change = np.flatnonzero((way[1:] != way[:-1]) | (why[1:] != why[:-1])) + 1
    edges = [0, *change.tolist(), len(way)]
    for first, last in itertools.pairwise(edges):
        yield _action(case, series.isel(time=slice(first, last)), first, last, int(way[first]))


def _action(case: _Case, part: xr.Dataset, first: int, last: int, way: int) -> str:
    why, span = Why[str(part["why"].values[0])], _span(case.problem, first, last)
    money = case.problem.currency
    charging = f"{_range(part['charge_cost_per_kwh'])}"
    discharging = f"{_range(part['discharge_income_per_kwh'])}"
    in_store, out_of_store = (
        f"{_range(part[f'{name}_worth_per_kwh'])}" for name in ("charge", "discharge")
    )
    if way > 0:
        does, sides = "charges", f"a kWh costs {charging} {money} and is worth {in_store} stored"
    elif way < 0:
        does = "discharges"
        sides = f"a kWh brings {discharging} {money} and is worth {out_of_store} stored"
    else:
        does = "rests"
        sides = (
            f"charging costs {charging} {money} for what is worth {in_store}, discharging "
            f"brings {discharging} for what is worth {out_of_store}"
        )
    if way:
        does += f" {_range(abs(part['p_kw']))} kW{_share_of_limit(case, part, first, last, way)}"
    limited = bool((np.abs(case.draw - case.buy)[first:last] > _PRICED).any())
    return f"{span} {does}: {sides}{_verdict(why, limited)}."


def _verdict(why: Why, limited: bool) -> str:
    if why is Why.TIE:
        share = "limits above it settle who moves" if limited else "more or less earns the same"
        return f"; a tie: {share}"
    if why is Why.AGAINST:
        return "; it loses here for a rule that the prices do not hold (see below)"
    if why is Why.HELD:
        return "; one of them would pay, but a rule holds it back (see below)"
    return "; neither pays" if why is Why.RESTS else ""


def _share_of_limit(case: _Case, part: xr.Dataset, first: int, last: int, way: int) -> str:
    b, row = case.problem.batteries, case.row
    most = b.p_charge_kw_max if way > 0 else b.p_discharge_kw_max
    power = np.abs(part["p_kw"].values)
    full = power >= (1 - _POWER_SHARE) * most[row, first:last]
    return ", all that it can" if full.all() else ""


def _limits(case: _Case, found: Multipliers) -> Iterator[str]:
    """Limits and network rows whose price the battery pays, the dearest first."""
    problem = case.problem
    group = int(problem.batteries.group[case.row])
    above = {*(problem.groups.ancestors[group] if group != NO_GROUP else ()), NO_GROUP}
    mine = [at for at, held in enumerate(problem.limits.group.tolist()) if held in above]
    told: list[tuple[float, str]] = []
    for at in mine:
        name = f"Limit {problem.limits.limit_id[at]}"
        net = (found.limit_max_per_kw[at] - found.limit_min_per_kw[at]) / problem.grid.step_h
        told += _priced(case, name, net)
    for name, net in _by_network_row(case, found, above).items():
        told += _priced(case, f"Network row {name}", net)
    told.sort(key=lambda one: -one[0])
    yield from (text for _, text in told[:_LIMITS_SHOWN_MAX])
    if len(told) > _LIMITS_SHOWN_MAX:
        yield f"{len(told) - _LIMITS_SHOWN_MAX} more prices of limits and network rows are smaller."
    if mine and not told:
        yield "No limit above it binds: it follows the market's prices alone."


def _priced(case: _Case, name: str, per_kwh: Floats) -> Iterator[tuple[float, str]]:
    """What a rule puts on a kWh drawn (above 0) or fed in (below), with its size."""
    for what, prices in (("drawing dearer", per_kwh), ("feeding in worth less", -per_kwh)):
        where = np.flatnonzero(prices > _PRICED)
        if len(where):
            most, money = float(prices.max()), case.problem.currency
            spans = _spans(case.problem, where)
            yield most, f"{name} makes {what} by up to {most:.4g} {money}/kWh in {spans}."


def _by_network_row(case: _Case, found: Multipliers, above: set[int]) -> dict[str, Floats]:
    """Price per kWh that each named row puts on the battery, shape (T,) each."""
    rows, step_h = case.problem.network, case.problem.grid.step_h
    of_unit = rows.entry_unit >= 0
    mine = np.where(of_unit, rows.entry_unit == case.row, np.isin(rows.entry_group, list(above)))
    per_kw = found.network_max_per_kw - found.network_min_per_kw
    prices: dict[str, Floats] = {}
    for entry in np.flatnonzero(mine):
        row = int(rows.entry_row[entry])
        t = int(rows.interval[row])
        of_row = prices.setdefault(rows.row_id[row], np.zeros(len(step_h)))
        of_row[t] += rows.weight[entry] * per_kw[row] / step_h[t]
    return prices


def _edges(case: _Case) -> Iterator[str]:
    """When the store is full or empty: only there can the worth of its energy change."""
    b, energy = case.problem.batteries, case.plan.energy_kwh[case.row, 1:]
    low, high = b.energy_kwh_min[case.row, 1:], b.energy_kwh_max[case.row, 1:]
    for text, at_edge in (
        ("full", high - energy <= _EDGE_KWH),
        ("at its least energy", energy - low <= _EDGE_KWH),
    ):
        starts = np.flatnonzero(at_edge & ~np.append(False, at_edge[:-1]))
        if len(starts):
            moments = ", ".join(_clock(case.problem, int(t) + 1) for t in starts)
            yield f"The store comes to be {text} at {moments}."


def _targets(case: _Case, found: Multipliers) -> Iterator[str]:
    targets, money = case.problem.targets, case.problem.currency
    moments, reached = target_moments(case.problem), case.plan.target_energy_kwh
    for k in np.flatnonzero(targets.battery == case.row):
        low, high = targets.energy_kwh_min[k], targets.energy_kwh_max[k]
        wanted = f"at least {low:.4g} kWh" if np.isfinite(low) else f"at most {high:.4g} kWh"
        price = max(float(found.target_min_per_kwh[k]), float(found.target_max_per_kwh[k]))
        held = f"its last kWh costs {price:.4g} {money}" if price > _PRICED else "it costs nothing"
        yield f"Target of {wanted} at {iso(moments[k])}: {reached[k]:.4g} kWh; {held}."


def _restrictions(case: _Case) -> Iterator[str]:
    """Rules that move a battery away from what prices alone would have it do."""
    b, row = case.problem.batteries, case.row
    if b.power_levels[row] > 0:
        yield (
            f"Its power has {int(b.power_levels[row])} equal steps: it cannot follow prices "
            "exactly, and they are those of the plan's steps held fixed."
        )
    if max(b.p_charge_kw_min[row], b.p_discharge_kw_min[row]) > 0:
        yield (
            f"It charges at {b.p_charge_kw_min[row]:.4g} kW or more and discharges at "
            f"{b.p_discharge_kw_min[row]:.4g} kW or more, or not at all."
        )
    if np.isfinite(b.cycles_per_day_max[row]):
        yield f"It may make {b.cycles_per_day_max[row]:.4g} full cycles a day."
    if np.isfinite(b.ramp_up_kw_per_h[row]) or np.isfinite(b.ramp_down_kw_per_h[row]):
        yield "Its power may only change so fast; the prices of that are in the sides above."


def _range(values: xr.DataArray) -> str:
    low, high = float(values.min()), float(values.max())
    ends = [f"{value:.3f}" for value in (low, high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _clock(problem: DispatchProblem, instant: int) -> str:
    """Hour and minute in UTC, with the day where the horizon has more than one."""
    moments = problem.grid.instants
    text = iso(moments[instant])
    several = moments[-1] - moments[0] > np.timedelta64(24, "h")
    return text[5:16].replace("T", " ") if several else text[11:16]


def _span(problem: DispatchProblem, first: int, last: int) -> str:
    return f"{_clock(problem, first)} to {_clock(problem, last)}"


def _spans(problem: DispatchProblem, where: npt.NDArray[np.intp]) -> str:
    runs = np.split(where, np.flatnonzero(np.diff(where) > 1) + 1)
    return ", ".join(_span(problem, int(run[0]), int(run[-1]) + 1) for run in runs)
