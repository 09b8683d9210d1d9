"""Every rule that a plan claims to keep, checked on its arrays.

Energies, nets and throughputs are computed again from the powers. A breach that the plan reports,
at its full size, is no violation; one that it hides or plays down is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.certificate import flows
from optimizer.certificate.excess import Excess, Reported
from optimizer.certificate.reserve import reserve_rules
from optimizer.parts import over_parts
from optimizer.reach import band_yields
from optimizer.sums import NetPower
from twins.timegrid import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]
    _Nets = tuple[Floats, Floats]
    Ints = npt.NDArray[np.int64]

TOLERANCE = 1e-6
"""Violations up to this relative size are a solver's rounding and are not listed."""


@dataclass(frozen=True)
class Violation:
    """One rule that a plan claims to keep and does not.

    Attributes:
        rule: "finite", "balance", "charge power", "discharge power", "exclusion", "charge step",
            "discharge step", "generation", "cycles", "band", "ramp", "target", "limit",
            "limit ramp", "network", "reserve", "reserve power" or "reserve energy".
        name: id of the battery, generator, limit or network row.
        at: start of the interval, the instant (balance, band) or the moment (target), RFC 3339.
        size: how far it is broken, beyond what was reported.
        unit: of `size`.
        relative: ``size / max(1, |limit|)``.
    """

    rule: str
    name: str
    at: str
    size: float
    unit: str
    relative: float

    def __str__(self) -> str:
        return f"{self.rule} of {self.name} at {self.at}: off by {self.size:.6g} {self.unit}"


def check(plan: Plan, tolerance: float = TOLERANCE) -> list[Violation]:
    """Violations larger than `tolerance` (relative), one for each rule and unit: its worst moment.

    Raises:
        ValueError: an array of the plan has another shape than the problem asks for.
    """
    found: list[Violation] = []
    for excess in _all_rules(plan):
        relative = excess.relative()
        if not relative.size:
            continue
        worst = relative.argmax(axis=1)
        rows = np.flatnonzero(relative.max(axis=1) > tolerance)
        for row in map(int, rows):
            at = int(worst[row])
            size, share = float(excess.size[row, at]), float(relative[row, at])
            when = iso(excess.moment(row, at))
            found.append(Violation(excess.rule, excess.names[row], when, size, excess.unit, share))
    return sorted(found, key=lambda violation: -violation.relative)


def worst_violation(plan: Plan) -> float:
    """The largest violation of any rule, relative to ``max(1, |limit|)``; inf for nan in the plan.

    Raises:
        ValueError: an array of the plan has another shape than the problem asks for.
    """
    _check_shapes(plan)
    reported = Reported(plan)

    def of_part(rows: slice, part: DispatchProblem) -> float:
        mine = replace(
            plan,
            problem=part,
            p_charge_kw=plan.p_charge_kw[rows],
            p_discharge_kw=plan.p_discharge_kw[rows],
            energy_kwh=plan.energy_kwh[rows],
        )
        powers = (mine.p_charge_kw, mine.p_discharge_kw, mine.energy_kwh)
        if not all(np.isfinite(values).all() for values in powers):
            return np.inf
        return max(excess.worst() for excess in _unit_rules(mine, reported))

    worst = max([0.0, *over_parts(plan.problem, of_part)])
    shared = (plan.generation_kw, plan.reserve_kw)
    if np.isinf(worst) or not all(np.isfinite(values).all() for values in shared):
        return np.inf
    return max([worst, *(excess.worst() for excess in _shared_rules(plan, reported))])


def _all_rules(plan: Plan) -> Iterator[Excess]:
    _check_shapes(plan)
    unfinished = list(_not_finite(plan))
    if any(excess.size.any() for excess in unfinished):
        yield from unfinished  # nothing else can be said about nan
        return
    reported = Reported(plan)
    yield from _unit_rules(plan, reported)
    yield from _shared_rules(plan, reported)


def _unit_rules(plan: Plan, reported: Reported) -> Iterator[Excess]:
    """What each battery must keep on its own."""
    energy = flows.stored_energy_kwh(plan.problem, plan.p_charge_kw, plan.p_discharge_kw)
    yield from _power_rules(plan)
    yield from _energy_rules(plan, energy, reported)
    yield from _target_rules(plan.problem, energy, reported)
    yield from _ramp_rules(plan, reported)


def _shared_rules(plan: Plan, reported: Reported) -> Iterator[Excess]:
    """What generators must keep, and what all units keep together."""
    p_kw = NetPower(plan.p_charge_kw, plan.p_discharge_kw)
    nets = flows.group_net_kw(plan.problem, p_kw, plan.generation_kw)
    yield from _generation_rules(plan)
    yield from _limit_rules(plan, nets, reported)
    yield from _limit_ramp_rules(plan, nets, reported)
    yield from _network_rules(plan, p_kw, nets, reported)
    yield from reserve_rules(plan, reported)


def _check_shapes(plan: Plan) -> None:
    batteries, intervals = plan.problem.shape
    wanted = {
        "p_charge_kw": (batteries, intervals),
        "p_discharge_kw": (batteries, intervals),
        "energy_kwh": (batteries, intervals + 1),
        "generation_kw": (len(plan.problem.generators), intervals),
        "reserve_kw": (len(plan.problem.reserve_pairs), intervals),
    }
    for name, shape in wanted.items():
        if getattr(plan, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(plan, name).shape}, must be {shape}")


def _not_finite(plan: Plan) -> Iterator[Excess]:
    starts = plan.problem.grid.instants
    names = plan.problem.batteries.battery_id
    for values, unit, owners in (
        (plan.p_charge_kw, "kW", names),
        (plan.p_discharge_kw, "kW", names),
        (plan.energy_kwh, "kWh", names),
        (plan.generation_kw, "kW", plan.problem.generators.generator_id),
        (plan.reserve_kw, "kW", [names[battery] for _, battery in plan.problem.reserve_pairs]),
    ):
        size = np.where(np.isfinite(values), 0.0, np.inf)
        yield Excess("finite", unit, owners, size, 1.0, lambda _, at: starts[at])


def _power_rules(plan: Plan) -> Iterator[Excess]:
    b, starts = plan.problem.batteries, plan.problem.grid.starts
    names = b.battery_id
    for side, power, most, least in (
        ("charge", plan.p_charge_kw, b.p_charge_kw_max, b.p_charge_kw_min),
        ("discharge", plan.p_discharge_kw, b.p_discharge_kw_max, b.p_discharge_kw_min),
    ):
        outside = np.maximum(power - most, -np.minimum(power, 0.0))
        yield Excess(
            f"{side} power", "kW", names, np.maximum(outside, 0.0), most, lambda _, at: starts[at]
        )
        rows = np.flatnonzero(b.is_discrete)
        off = _off_step(power[rows], most[rows], least[rows], b.power_levels[rows])
        step_names = [names[row] for row in rows]
        yield Excess(f"{side} step", "kW", step_names, off, most[rows], lambda _, at: starts[at])
    both = np.maximum(np.minimum(plan.p_charge_kw, plan.p_discharge_kw), 0.0)
    yield Excess("exclusion", "kW", names, both, 0.0, lambda _, at: starts[at])


def _off_step(power: Floats, most: Floats, least: Floats, power_levels: Ints) -> Floats:
    """Distance of each power to the nearest that its battery can take, inside its limits."""
    count = np.maximum(power_levels, 1)[:, None]
    inside = np.clip(power, 0.0, most)
    step = np.where(most > 0, most, 1.0) / count
    to_level = np.abs(inside - np.round(inside / step) * step)
    floor = least[:, None]
    # Below the least power a battery is either off or, where it can, lifted to that power.
    to_least = np.where(most >= floor, np.minimum(inside, np.abs(floor - inside)), inside)
    to_range = np.where((inside >= floor) & (most >= floor), 0.0, to_least)
    return np.asarray(np.where(power_levels[:, None] > 0, to_level, to_range))


def _generation_rules(plan: Plan) -> Iterator[Excess]:
    table, starts = plan.problem.generators, plan.problem.grid.starts
    over = np.maximum(plan.generation_kw - table.p_kw_available, 0.0)
    under = np.maximum(table.p_kw_min - plan.generation_kw, 0.0)
    limit = np.where(over > 0, table.p_kw_available, table.p_kw_min)
    names = table.generator_id
    yield Excess("generation", "kW", names, over + under, limit, lambda _, at: starts[at])


def _energy_rules(plan: Plan, energy: Floats, reported: Reported) -> Iterator[Excess]:
    problem = plan.problem
    b, instants = problem.batteries, problem.grid.instants
    names = b.battery_id
    drift = np.abs(plan.energy_kwh - energy)
    yield Excess("balance", "kWh", names, drift, energy, lambda _, at: instants[at])
    days = problem.days
    moved = flows.throughput_kwh(problem, plan.p_charge_kw, plan.p_discharge_kw)
    cap = flows.throughput_kwh_max(problem)[:, None]
    over = np.maximum(moved - cap, 0.0)
    yield Excess("cycles", "kWh", names, over, cap, lambda _, day: instants[np.argmax(days == day)])
    yields = band_yields(problem)[:, None]
    for side, edge, outside in (
        ("above", b.energy_kwh_max[:, 1:], energy[:, 1:] - b.energy_kwh_max[:, 1:]),
        ("below", b.energy_kwh_min[:, 1:], b.energy_kwh_min[:, 1:] - energy[:, 1:]),
    ):
        outside = np.maximum(outside, 0.0)
        known = reported.table("band", side, names, instants[1:])
        # Only a band that cannot be kept may be broken by word of a report.
        hidden = np.where(yields, outside - known, outside)
        yield Excess(
            "band", "kWh", names, np.maximum(hidden, 0.0), edge, lambda _, at: instants[at + 1]
        )


def _target_rules(problem: DispatchProblem, energy: Floats, reported: Reported) -> Iterator[Excess]:
    targets = problem.targets
    reached = flows.target_energy_kwh(problem, energy)
    names = [problem.batteries.battery_id[battery] for battery in targets.battery]
    moments = target_moments(problem)
    for side, edge, outside in (
        ("below", targets.energy_kwh_min, targets.energy_kwh_min - reached),
        ("above", targets.energy_kwh_max, reached - targets.energy_kwh_max),
    ):
        hidden = np.maximum(outside, 0.0)
        for k in np.flatnonzero(hidden):
            known = reported.size("target", names[k], moments[k], side)
            hidden[k] = max(hidden[k] - known, 0.0)
        yield Excess(
            "target", "kWh", names, hidden[:, None], edge[:, None], lambda row, _: moments[row]
        )


def target_moments(problem: DispatchProblem) -> npt.NDArray[np.datetime64]:
    """The moment of each target, shape (K,)."""
    instants, targets = problem.grid.instants, problem.targets
    length_ns = np.diff(instants)[targets.interval].astype(np.int64)
    passed = np.round(length_ns * targets.share).astype("timedelta64[ns]")
    return np.asarray(instants[targets.interval] + passed)


def _ramp_rules(plan: Plan, reported: Reported) -> Iterator[Excess]:
    problem = plan.problem
    starts, hours = problem.grid.starts, flows.hours_between(problem)
    rows = flows.ramped_rows(problem)
    names = [problem.batteries.battery_id[row] for row in rows]
    b = problem.batteries
    excess = flows.ramp_excess_kw(problem, plan.p_charge_kw - plan.p_discharge_kw, rows)
    for side, outside, rate in (
        ("above", excess[0], b.ramp_up_kw_per_h),
        ("below", excess[1], b.ramp_down_kw_per_h),
    ):
        known = reported.table("ramp", side, names, starts)
        hidden = np.maximum(outside / hours - known, 0.0)
        yield Excess("ramp", "kW/h", names, hidden, rate[rows, None], lambda _, at: starts[at])


def _limit_rules(plan: Plan, nets: _Nets, reported: Reported) -> Iterator[Excess]:
    problem, limits = plan.problem, plan.problem.limits
    starts = problem.grid.starts
    net = flows.limit_net_kw(problem, *nets)
    for side, edge, outside in (
        ("above", limits.p_kw_max, net - limits.p_kw_max),
        ("below", limits.p_kw_min, limits.p_kw_min - net),
    ):
        known = reported.table("limit", side, limits.limit_id, starts)
        hidden = np.maximum(np.maximum(outside, 0.0) - known, 0.0)
        yield Excess("limit", "kW", limits.limit_id, hidden, edge, lambda _, at: starts[at])


def _limit_ramp_rules(plan: Plan, nets: _Nets, reported: Reported) -> Iterator[Excess]:
    problem, limits = plan.problem, plan.problem.limits
    if not limits.has_ramp.any():
        return
    starts, hours = problem.grid.starts, flows.hours_between(problem)
    net = flows.limit_net_kw(problem, *nets)
    excess = flows.limit_ramp_excess_kw(problem, net)
    for side, outside, rate in (
        ("above", excess[0], limits.ramp_up_kw_per_h),
        ("below", excess[1], limits.ramp_down_kw_per_h),
    ):
        known = reported.table("limit ramp", side, limits.limit_id, starts)
        hidden = np.maximum(outside / hours - known, 0.0)
        yield Excess(
            "limit ramp", "kW/h", limits.limit_id, hidden, rate[:, None], lambda _, at: starts[at]
        )


def _network_rules(plan: Plan, p_kw: NetPower, nets: _Nets, reported: Reported) -> Iterator[Excess]:
    problem, rows = plan.problem, plan.problem.network
    moments = problem.grid.starts[rows.interval]
    value = flows.network_value_kw(problem, p_kw, plan.generation_kw, *nets)
    for side, edge, outside in (
        ("above", rows.p_kw_max, value - rows.p_kw_max),
        ("below", rows.p_kw_min, rows.p_kw_min - value),
    ):
        broken = np.maximum(outside, 0.0)
        for row in np.flatnonzero(broken):
            known = reported.size("network", rows.row_id[row], moments[row], side)
            broken[row] = max(broken[row] - known, 0.0)
        yield Excess(
            "network", "kW", rows.row_id, broken[:, None], edge[:, None],
            lambda row, _: moments[row],
        )  # fmt: skip
