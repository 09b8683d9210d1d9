"""What a plan costs, and what doing nothing costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from optimizer.certificate import flows
from optimizer.parts import over_parts
from optimizer.problem import NO_GROUP
from optimizer.reach import BAND_FACTOR, band_yields
from optimizer.sums import NetPower

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CostBreakdown:
    """Cost of a plan by cause, in the problem's currency.

    Attributes:
        settlement: energy bought less energy sold, fixed load and generation of sites included.
        wear: of the batteries, at the terminals, both ways.
        generation: of the curtailable generators.
        peaks: prices on the largest breach of a limit.
        breaches_stated: prices per kWh that limits, network rows, targets and reserves state for
            their own breach.
        breaches_firm: breaches of limits, network rows, targets and reserves without a price, at
            the firm price.
        band_slack: energy outside the band of batteries that cannot keep it.
        ramp_slack: steps of power beyond a ramp.
        end_value: worth of the energy left; lowers the cost.
        deviations: of nets from what was committed, at the positions' prices; may be negative.
        changes: of powers from the previous plan's, at their prices.
    """

    settlement: float
    wear: float
    generation: float
    peaks: float
    breaches_stated: float
    breaches_firm: float
    band_slack: float
    ramp_slack: float
    end_value: float
    deviations: float = 0.0
    changes: float = 0.0

    @property
    def penalty(self) -> float:
        """The part that nobody pays: firm limits, targets, bands and ramps that were broken."""
        return math.fsum([self.breaches_firm, self.band_slack, self.ramp_slack])

    @property
    def total(self) -> float:
        """The cost."""
        return math.fsum(
            [
                self.settlement,
                self.wear,
                self.generation,
                self.peaks,
                self.breaches_stated,
                self.breaches_firm,
                self.band_slack,
                self.ramp_slack,
                -self.end_value,
                self.deviations,
                self.changes,
            ]
        )


class _UnitCosts(NamedTuple):
    """The part of the cost that is a sum over batteries."""

    settlement: float
    wear: float
    targets_stated: float
    targets_firm: float
    band_slack: float
    ramp_slack: float
    end_value: float
    changes: float


def cost_of(
    problem: DispatchProblem,
    p_charge_kw: Floats,
    p_discharge_kw: Floats,
    generation_kw: Floats,
    reserve_kw: Floats | None = None,
) -> CostBreakdown:
    """Cost of running these powers; energies follow from them by the balance.

    Args:
        problem: what was asked.
        p_charge_kw: shape (N, T), ≥ 0, at the terminals.
        p_discharge_kw: shape (N, T), ≥ 0.
        generation_kw: shape (M, T), ≥ 0.
        reserve_kw: shape (P, T), reserves kept, by pair; None: none.
    """
    parts = over_parts(
        problem, lambda rows, part: _unit_costs(part, p_charge_kw[rows], p_discharge_kw[rows])
    )
    units = _UnitCosts(*(math.fsum(costs) for costs in zip(*parts, _NO_COSTS, strict=True)))
    p_kw = NetPower(p_charge_kw, p_discharge_kw)
    net, whole = flows.group_net_kw(problem, p_kw, generation_kw)
    peaks, stated, firm = _limit_costs(problem, flows.limit_net_kw(problem, net, whole))
    rows_stated, rows_firm = _network_costs(problem, p_kw, generation_kw, net, whole)
    short_stated, short_firm = _reserve_costs(problem, reserve_kw)
    return CostBreakdown(
        settlement=math.fsum([units.settlement, _settlement(problem, generation_kw, net)]),
        wear=units.wear,
        generation=_generation(problem, generation_kw),
        peaks=peaks,
        breaches_stated=math.fsum([stated, rows_stated, units.targets_stated, short_stated]),
        breaches_firm=math.fsum([firm, rows_firm, units.targets_firm, short_firm]),
        band_slack=units.band_slack,
        ramp_slack=units.ramp_slack,
        end_value=units.end_value,
        deviations=_deviations(problem, net, whole),
        changes=units.changes,
    )


_NO_COSTS = _UnitCosts(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def _unit_costs(part: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats) -> _UnitCosts:
    p_kw = p_charge_kw - p_discharge_kw
    energy = flows.stored_energy_kwh(part, p_charge_kw, p_discharge_kw)
    stated, firm = _target_costs(part, energy)
    return _UnitCosts(
        settlement=_settlement_of_loose(part, p_charge_kw, p_discharge_kw),
        wear=_wear(part, p_charge_kw, p_discharge_kw),
        targets_stated=stated,
        targets_firm=firm,
        band_slack=_band_slack(part, energy),
        ramp_slack=_ramp_slack(part, p_kw),
        end_value=math.fsum(flows.end_value(part, energy[:, -1])),
        changes=_changes(part, p_kw),
    )


def idle_cost(problem: DispatchProblem) -> CostBreakdown:
    """Cost of doing nothing: batteries at 0 kW, sessions not served, generation as available.

    Limits, network rows and committed positions are charged as for any plan; targets, bands, ramps
    of batteries, reserves and changes from the previous plan are not.
    """
    available = problem.generators.p_kw_available
    net, whole = flows.group_net_kw(problem, None, available)
    peaks, stated, firm = _limit_costs(problem, flows.limit_net_kw(problem, net, whole))
    at_rest = np.broadcast_to(0.0, problem.shape)
    rows_stated, rows_firm = _network_costs(problem, at_rest, available, net, whole)
    return CostBreakdown(
        settlement=_settlement(problem, available, net),
        wear=0.0,
        generation=_generation(problem, available),
        peaks=peaks,
        breaches_stated=stated + rows_stated,
        breaches_firm=firm + rows_firm,
        band_slack=0.0,
        ramp_slack=0.0,
        end_value=_idle_end_value(problem),
        deviations=_deviations(problem, net, whole),
    )


def _idle_end_value(problem: DispatchProblem) -> float:
    if not problem.batteries.end_value_per_kwh.any():
        return 0.0

    def of_part(_: slice, part: DispatchProblem) -> float:
        at_rest = np.broadcast_to(0.0, part.shape)
        energy = flows.stored_energy_kwh(part, at_rest, at_rest)
        return math.fsum(flows.end_value(part, energy[:, -1]))

    return math.fsum(over_parts(problem, of_part))


def gross_traded_value(
    problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats, generation_kw: Floats
) -> float:
    """Energy that batteries move at their terminals, each kWh at the size of its market price.

    Outside every site the import price counts for charging and the export price for discharging;
    at a site the price of its meter in the interval: import price where it draws, else export.
    """
    groups, meter = problem.groups, None
    if groups.is_site.any():
        net, _ = flows.group_net_kw(problem, NetPower(p_charge_kw, p_discharge_kw), generation_kw)
        meter = np.abs(np.where(net >= 0, groups.price_import_per_kwh, groups.price_export_per_kwh))

    def of_part(rows: slice, part: DispatchProblem) -> float:
        site, charge, discharge = part.battery_site, p_charge_kw[rows], p_discharge_kw[rows]
        buy = np.broadcast_to(np.abs(part.price_import_per_kwh), charge.shape)
        sell = np.broadcast_to(np.abs(part.price_export_per_kwh), charge.shape)
        if meter is not None:
            inside = (site != NO_GROUP)[:, None]
            buy, sell = np.where(inside, meter[site], buy), np.where(inside, meter[site], sell)
        return _total((buy * charge + sell * discharge) * part.grid.step_h)

    return math.fsum(over_parts(problem, of_part))


def _total(values: Floats) -> float:
    """Sum of a table: pairwise along rows, compensated across them."""
    return math.fsum(values.sum(axis=1))


def _settlement_of_loose(
    problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats
) -> float:
    """What batteries in no site pay for what they draw, less what they earn."""
    loose, step_h = problem.battery_site == NO_GROUP, problem.grid.step_h
    if not loose.all():
        p_charge_kw, p_discharge_kw = p_charge_kw[loose], p_discharge_kw[loose]
    paid = p_charge_kw @ (problem.price_import_per_kwh * step_h)
    return math.fsum(paid - p_discharge_kw @ (problem.price_export_per_kwh * step_h))


def _settlement(problem: DispatchProblem, generation_kw: Floats, net_kw: Floats) -> float:
    """Settlement of generators in no site, and of the sites."""
    sell = problem.price_export_per_kwh * problem.grid.step_h
    feeding = problem.generator_site == NO_GROUP
    groups, sites = problem.groups, problem.groups.is_site
    metered = net_kw[sites]
    paid = np.maximum(metered, 0.0) * groups.price_import_per_kwh[sites]
    earned = np.maximum(-metered, 0.0) * groups.price_export_per_kwh[sites]
    return math.fsum(
        [
            -_total(generation_kw[feeding] * sell),
            _total(paid * problem.grid.step_h),
            -_total(earned * problem.grid.step_h),
        ]
    )


def _wear(problem: DispatchProblem, p_charge_kw: Floats, p_discharge_kw: Floats) -> float:
    b, step_h = problem.batteries, problem.grid.step_h
    charge = (p_charge_kw @ step_h) * b.wear_cost_charge_per_kwh
    return math.fsum(charge + (p_discharge_kw @ step_h) * b.wear_cost_discharge_per_kwh)


def _generation(problem: DispatchProblem, generation_kw: Floats) -> float:
    return math.fsum((generation_kw @ problem.grid.step_h) * problem.generators.cost_per_kwh)


def _limit_costs(problem: DispatchProblem, net_kw: Floats) -> tuple[float, float, float]:
    """Peaks, stated breaches and firm breaches."""
    limits, step_h = problem.limits, problem.grid.step_h
    peaks, stated, firm = [0.0], [0.0], [0.0]
    for breach in (
        np.maximum(net_kw - limits.p_kw_max, 0.0),
        np.maximum(limits.p_kw_min - net_kw, 0.0),
    ):
        energy = breach @ step_h
        peaks.extend(breach.max(axis=1) * limits.breach_price_per_kw)
        stated.extend(energy * limits.breach_price_per_kwh)
        firm.extend(energy[limits.is_firm] * problem.firm_price_per_kwh)
    ramps = flows.limit_ramp_excess_kw(problem, net_kw) if limits.has_ramp.any() else ()
    for excess in ramps:
        energy = excess @ step_h
        stated.extend(energy * limits.breach_price_per_kwh)
        firm.extend(energy[limits.has_firm_ramp] * problem.firm_price_per_kwh)
    return math.fsum(peaks), math.fsum(stated), math.fsum(firm)


def _deviations(problem: DispatchProblem, net_kw: Floats, whole_kw: Floats) -> float:
    positions = problem.positions
    if not len(positions):
        return 0.0
    off = np.concatenate([net_kw, whole_kw[None, :]])[positions.group] - positions.p_kw
    above, below = np.maximum(off, 0.0), np.maximum(-off, 0.0)
    paid = positions.price_above_per_kwh * above + positions.price_below_per_kwh * below
    return _total(paid * problem.grid.step_h)


def _changes(problem: DispatchProblem, p_kw: Floats) -> float:
    b = problem.batteries
    rows = np.flatnonzero(b.change_price_per_kwh)
    off = np.abs(p_kw[rows] - b.p_kw_previous[rows])
    return math.fsum((np.nan_to_num(off) @ problem.grid.step_h) * b.change_price_per_kwh[rows])


def _network_costs(
    problem: DispatchProblem,
    p_kw: Floats | NetPower,
    generation_kw: Floats,
    net_kw: Floats,
    whole_kw: Floats,
) -> tuple[float, float]:
    """Stated and firm breaches."""
    rows = problem.network
    value = flows.network_value_kw(problem, p_kw, generation_kw, net_kw, whole_kw)
    outside = np.maximum(value - rows.p_kw_max, 0.0) + np.maximum(rows.p_kw_min - value, 0.0)
    energy = outside * problem.grid.step_h[rows.interval]
    firm = math.fsum(energy[rows.is_firm]) * problem.firm_price_per_kwh
    return math.fsum(energy * rows.breach_price_per_kwh), firm


def _reserve_costs(problem: DispatchProblem, reserve_kw: Floats | None) -> tuple[float, float]:
    """Stated and firm prices of what is missing."""
    products = problem.reserves
    if not len(products):
        return 0.0, 0.0
    short = np.maximum(products.p_kw_required - flows.reserve_by_product_kw(problem, reserve_kw), 0)
    missing = short @ problem.grid.step_h
    firm = math.fsum(missing[products.is_firm]) * problem.firm_price_per_kwh
    return math.fsum(missing * products.breach_price_per_kwh), firm


def _target_costs(problem: DispatchProblem, energy_kwh: Floats) -> tuple[float, float]:
    """Stated and firm breaches."""
    targets = problem.targets
    reached = flows.target_energy_kwh(problem, energy_kwh)
    missed = np.maximum(targets.energy_kwh_min - reached, 0.0)
    missed += np.maximum(reached - targets.energy_kwh_max, 0.0)
    firm = math.fsum(missed[targets.is_firm]) * problem.firm_price_per_kwh
    return math.fsum(missed * targets.breach_price_per_kwh), firm


def _band_slack(problem: DispatchProblem, energy_kwh: Floats) -> float:
    rows = np.flatnonzero(band_yields(problem))
    b, energy = problem.batteries, energy_kwh[rows, 1:]
    outside = np.maximum(b.energy_kwh_min[rows, 1:] - energy, 0.0)
    outside += np.maximum(energy - b.energy_kwh_max[rows, 1:], 0.0)
    return _total(outside) * problem.firm_price_per_kwh * BAND_FACTOR


def _ramp_slack(problem: DispatchProblem, p_kw: Floats) -> float:
    up, down = flows.ramp_excess_kw(problem, p_kw, flows.ramped_rows(problem))
    return _total((up + down) * problem.grid.step_h) * problem.firm_price_per_kwh
