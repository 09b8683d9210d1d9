"""The whole model: columns, then one row family after the other, then the cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyomo.environ as pyo
from pyomo.common.gc_manager import PauseGC

from optimizer.formulation import (
    battery,
    discrete,
    end_value,
    limit,
    network,
    network_rows,
    ramp,
    reserve,
    trading,
)
from optimizer.formulation.objective import cost

if TYPE_CHECKING:
    from collections.abc import Callable

    from optimizer.formulation.layout import Layout

    Adds = Callable[[pyo.ConcreteModel, Layout], None]

COLUMNS: tuple[Adds, ...] = (
    battery.add_power_and_energy,
    discrete.add_modes,
    network.add_generation,
    network.add_meters,
    network.add_site_mode,
    limit.add_breaches,
    network_rows.add_network_breaches,
    ramp.add_limit_ramp_breaches,
    trading.add_deviations,
    reserve.add_reserves,
    end_value.add_end_energy,
)
ROWS: tuple[Adds, ...] = (
    battery.energy_balance,
    battery.band_min,
    battery.band_max,
    battery.ramp_up,
    battery.ramp_down,
    battery.cycles_per_day,
    battery.target_min,
    battery.target_max,
    end_value.end_energy,
    end_value.end_beyond,
    end_value.end_filled,
    discrete.charge_on,
    discrete.discharge_on,
    discrete.charge_off,
    discrete.discharge_off,
    discrete.one_direction,
    discrete.charge_least,
    discrete.discharge_least,
    discrete.charge_steps,
    discrete.discharge_steps,
    discrete.charge_room,
    discrete.discharge_room,
    network.group_net,
    network.site_balance,
    network.site_import_mode,
    network.site_export_mode,
    limit.limit_max,
    limit.limit_min,
    limit.peak_max,
    limit.peak_min,
    network_rows.network_max,
    network_rows.network_min,
    ramp.limit_ramp_up,
    ramp.limit_ramp_down,
    trading.position,
    trading.power_change,
    reserve.reserve_charge,
    reserve.reserve_discharge,
    reserve.reserve_energy_min,
    reserve.reserve_energy_max,
    reserve.reserve_kept,
)
"""Each adds the rows that bear its own name, and only those that can bind."""


def build_model(layout: Layout) -> pyo.ConcreteModel:
    """The Pyomo model of a problem; columns and rows are described in ``docs/formulation.md``."""
    model = pyo.ConcreteModel(name="dispatch")
    # Hundreds of thousands of small objects that all stay: collecting in between only costs time.
    with PauseGC():
        for add in (*COLUMNS, *ROWS):
            add(model, layout)
        cost(model, layout)
    return model
