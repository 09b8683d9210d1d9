"""A fleet's columns turned into the records that the kernel reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from twins.clock import TICK_H
from twins.kernel import PARAMETERS

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.fleet import Fleet
    from twins.technology import Technology

_SAME_NAME = (
    "store_efficiency_charge",
    "store_efficiency_discharge",
    "constant_loss_kw",
)
_THERMAL_SAME_NAME = (
    "charge_cold_stop_c",
    "charge_cold_start_c",
    "discharge_cold_stop_c",
    "discharge_cold_start_c",
    "hot_start_c",
    "hot_stop_c",
)


def kernel_parameters(fleet: Fleet) -> npt.NDArray[Any]:
    """One record of `PARAMETERS` for each battery, shape (N,)."""
    by_technology = np.array([_relative(one) for one in fleet.technologies], dtype=PARAMETERS)
    records = by_technology[fleet.technology_index]
    records["p_charge_kw_max"] = fleet.p_charge_kw_max
    records["p_discharge_kw_max"] = fleet.p_discharge_kw_max
    records["p_kw_rated"] = fleet.p_kw_rated
    records["s_kva_max"] = fleet.s_kva_max
    for name in ("charge_standby_kw", "discharge_standby_kw", "idle_kw"):
        records[name] *= fleet.p_kw_rated
    for name in ("charge_quadratic_per_kw", "discharge_quadratic_per_kw", "resistance_per_kw"):
        records[name] /= fleet.p_kw_rated
    size_stores(records, fleet, np.ones(len(fleet)), fleet.soc_initial)
    return records


def size_stores(
    records: npt.NDArray[Any],
    fleet: Fleet,
    capacity_factor: npt.NDArray[np.float64],
    soc_initial: npt.NDArray[np.float64],
) -> None:
    """Set, in place, what follows from each store's capacity and its first state of charge."""
    capacity_kwh = fleet.capacity_kwh * capacity_factor
    records["capacity_kwh"] = capacity_kwh
    records["energy_kwh_min"] = fleet.soc_min * capacity_kwh
    records["energy_kwh_max"] = fleet.soc_max * capacity_kwh
    records["energy_kwh_initial"] = soc_initial * capacity_kwh
    charge, discharge, per_charge, per_discharge, heat, conductance = _sized(fleet).T
    records["charge_taper_kwh"] = charge * capacity_kwh
    records["discharge_taper_kwh"] = discharge * capacity_kwh
    records["charge_fall_per_kwh"] = per_charge / capacity_kwh
    records["discharge_fall_per_kwh"] = per_discharge / capacity_kwh
    # The cells stay when their capacity fades, so heat goes with the size when new.
    records["heat_capacity_kwh_per_k"] = heat * fleet.energy_kwh_max / 1000.0
    records["conductance_kw_per_k"] = conductance * fleet.energy_kwh_max / 1000.0
    cooling = records["conductance_kw_per_k"] * TICK_H
    rise = np.divide(
        1.0 - records["decay_tick"], cooling, out=np.zeros(len(fleet)), where=cooling > 0
    )
    records["rise_tick_c_per_kwh"] = rise


def _sized(fleet: Fleet) -> npt.NDArray[np.float64]:
    """What scales with a store's size, one row a battery: taper, its falls, and heat."""
    relative = [
        (
            one.taper.charge_soc_start,
            one.taper.discharge_soc_start,
            _fall(one.taper.charge_share_end, 1.0 - one.taper.charge_soc_start),
            _fall(one.taper.discharge_share_end, one.taper.discharge_soc_start),
            one.thermal.heat_capacity_wh_per_k_kwh,
            one.thermal.conductance_w_per_k_kwh,
        )
        for one in fleet.technologies
    ]
    return np.array(relative)[fleet.technology_index]


def _relative(technology: Technology) -> tuple[float, ...]:
    """A technology as a record for a battery of 1 kW; sizes are filled in later."""
    taper, thermal = technology.taper, technology.thermal
    known: dict[str, float] = {name: getattr(technology, name) for name in _SAME_NAME}
    known |= {name: getattr(thermal, name) for name in _THERMAL_SAME_NAME}
    for way, loss in (("charge", technology.loss_charge), ("discharge", technology.loss_discharge)):
        known[f"{way}_standby_kw"] = loss.standby
        known[f"{way}_linear"] = loss.linear
        known[f"{way}_quadratic_per_kw"] = loss.quadratic
    known["idle_kw"] = technology.idle_loss
    known["resistance_per_kw"] = technology.store_resistance
    known["keep_per_h"] = 1.0 - technology.standing_loss_per_h
    known["keep_tick"] = known["keep_per_h"] ** TICK_H
    known["charge_share_end"] = taper.charge_share_end
    known["discharge_share_end"] = taper.discharge_share_end
    known["decay_tick"] = _decay(
        thermal.heat_capacity_wh_per_k_kwh, thermal.conductance_w_per_k_kwh
    )
    return tuple(known.get(name, 0.0) for name in PARAMETERS.names or ())


def _fall(share_end: float, span: float) -> float:
    """How fast a power limit falls with state of charge; a taper of no width is none."""
    return (1.0 - share_end) / span if span > 0 else 0.0


def _decay(heat_capacity: float, conductance: float) -> float:
    """What is left of a temperature difference after one tick; the same for every size."""
    return float(np.exp(-TICK_H * conductance / heat_capacity)) if heat_capacity > 0 else 0.0
