"""PyPSA: a bus for each group, a link of its rating upwards, a storage unit for each battery.

The market is a generator at the top that feeds or absorbs at the price. A storage unit is a linear
model: it may charge and discharge at once, and knows neither steps nor a least power.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
import pandas as pd
import pypsa
from exchange import WHOLE, Answer, contest

if TYPE_CHECKING:
    from exchange import Instance


def network(instance: Instance) -> pypsa.Network:
    n = pypsa.Network()
    hours = pd.Timedelta(hours=float(instance.step_h[0]))
    start = pd.Timestamp(instance.start).tz_convert(None)
    snapshots = pd.date_range(start, periods=len(instance.step_h), freq=hours)
    n.set_snapshots(snapshots)
    for kind in n.snapshot_weightings:
        n.snapshot_weightings[kind] = instance.step_h
    _add_market(n, instance)
    _add_groups(n, instance)
    _add_batteries(n, instance)
    return n


def _bus(group: int) -> str:
    return "market" if group == WHOLE else f"group {group}"


def _add_market(n: pypsa.Network, instance: Instance) -> None:
    n.add("Bus", "market")
    most = np.abs(instance.fixed_kw).sum() + instance.p_charge_kw_max.sum()
    price = pd.Series(instance.price_import_per_kwh, index=n.snapshots)
    assert np.array_equal(instance.price_import_per_kwh, instance.price_export_per_kwh)
    n.add("Generator", "market", bus="market", p_nom=most, p_min_pu=-1.0, marginal_cost=price)


def _add_groups(n: pypsa.Network, instance: Instance) -> None:
    groups = np.arange(len(instance.parent))
    buses = pd.Index([_bus(group) for group in groups])
    n.add("Bus", buses)
    load = pd.DataFrame(instance.fixed_kw.T, index=n.snapshots, columns=buses)
    load = load.loc[:, (load != 0).any()]
    n.add("Load", load.columns, bus=load.columns, p_set=load)
    most = np.full(instance.fixed_kw.shape, np.inf)
    least = -most
    for limit, group in enumerate(instance.limit_group):
        assert group != WHOLE, "a limit on the whole has no bus here"
        most[group] = np.minimum(most[group], instance.limit_kw_max[limit])
        least[group] = np.maximum(least[group], instance.limit_kw_min[limit])
    rating = np.maximum(np.abs(most), np.abs(least)).max(axis=1)
    shares = {"p_max_pu": most / rating[:, None], "p_min_pu": least / rating[:, None]}
    series = {
        name: pd.DataFrame(share.T, index=n.snapshots, columns=buses)
        for name, share in shares.items()
    }
    upper = [_bus(group) for group in instance.parent]
    n.add("Link", buses, bus0=upper, bus1=buses, p_nom=rating, **series)


def _add_batteries(n: pypsa.Network, instance: Instance) -> None:
    """Energies are counted from the lower edge of the band, since a unit's own least is 0."""
    most = np.maximum(instance.p_charge_kw_max, instance.p_discharge_kw_max)
    n.add(
        "StorageUnit",
        pd.Index([f"battery {row}" for row in range(len(instance.group))]),
        bus=[_bus(group) for group in instance.group],
        p_nom=most,
        p_min_pu=-instance.p_charge_kw_max / most,
        p_max_pu=instance.p_discharge_kw_max / most,
        max_hours=(instance.energy_kwh_max - instance.energy_kwh_min) / most,
        state_of_charge_initial=instance.energy_kwh_initial - instance.energy_kwh_min,
        efficiency_store=instance.efficiency_charge,
        efficiency_dispatch=instance.efficiency_discharge,
        marginal_cost=instance.wear_discharge_per_kwh,
    )
    assert not instance.wear_charge_per_kwh.any()


def _keep_end(n: pypsa.Network, instance: Instance) -> None:
    """Energy wanted at the end, as a row of its own: PyPSA has it only as an equality."""
    energy = n.model["StorageUnit-state_of_charge"].isel(snapshot=-1)
    wanted = np.maximum(instance.energy_kwh_end_min - instance.energy_kwh_min, 0.0)
    least = pd.Series(wanted, index=n.storage_units.index.rename("name"))
    n.model.add_constraints(energy >= least, name="energy-at-the-end")


def plan(instance: Instance, answer: Answer, options: dict[str, Any]) -> None:
    logging.disable(logging.WARNING)
    with answer.phases_around_highs(highspy.Highs):
        n = network(instance)
        n.optimize.create_model()
        _keep_end(n, instance)
        status = n.optimize.solve_model(
            solver_name="highs",
            io_api="direct",
            solver_options={"time_limit": options["time_limit_s"], "output_flag": False},
        )
        assert status[1] == "optimal", status
        batteries = n.storage_units.index
        charge = n.storage_units_t.p_store[batteries].to_numpy().T
        discharge = n.storage_units_t.p_dispatch[batteries].to_numpy().T
    answer.give(charge, discharge)
    if instance.is_discrete.any():
        answer.note = "no steps and no least power"


if __name__ == "__main__":
    contest(plan, "pypsa", "linopy", "highspy")
