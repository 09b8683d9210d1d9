"""The prices behind a plan as labelled arrays: of limits, of places, of stored energy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray as xr

from optimizer.breaches import target_moments
from optimizer.certificate.prices import node_prices, project, unit_prices

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.plan import Multipliers
    from optimizer.problem import DispatchProblem

    Floats = npt.NDArray[np.float64]

Column = tuple[tuple[str, ...], "Floats", str, str]
"""Dimensions, values, unit without its currency, long name."""


class UnitPrices(NamedTuple):
    """What a kWh costs at the terminals of units, limits above them included; shapes (n, T)."""

    draw_per_kwh: Floats
    feed_per_kwh: Floats


def battery_prices(problem: DispatchProblem, multipliers: Multipliers) -> UnitPrices:
    """The price at which each battery charges and discharges, wear apart.

    Args:
        problem: what was asked.
        multipliers: valid ones, see `optimizer.certificate.prices.project`.
    """
    nodes, step_h = node_prices(problem, multipliers), problem.grid.step_h
    group = problem.batteries.group
    draw, feed = nodes.draw_per_kw[group], nodes.feed_per_kw[group]
    single = unit_prices(problem, multipliers)
    mine = single.unit < len(group)
    at = (single.unit[mine], single.interval[mine])
    for prices in (draw, feed):
        np.add.at(prices, at, single.per_kw[mine])
    return UnitPrices(draw / step_h, feed / step_h)


def price_table(problem: DispatchProblem, multipliers: Multipliers) -> xr.Dataset:
    """Every price of a plan, with its unit and what it means.

    Dims: battery, group, limit, time, day, target, network. A limit's price is what the plan would
    cost less if the limit gave way by one kW in that interval; 0 where it does not bind. The price
    of a group is what one more kWh drawn there costs, with all limits above it.
    """
    found = project(problem, multipliers)
    columns = {**_by_battery(problem, found), **_by_place(problem, found)}
    money, names = problem.currency, problem.batteries.battery_id
    variables = {
        name: (dims, values, {"units": f"{money}{unit}", "long_name": text})
        for name, (dims, values, unit, text) in columns.items()
    }
    coords = {
        "battery": list(names),
        "group": list(problem.groups.group_id),
        "limit": list(problem.limits.limit_id),
        "time": problem.grid.starts,
        "day": _days(problem),
        "target_battery": ("target", [names[k] for k in problem.targets.battery.tolist()]),
        "target_at": ("target", target_moments(problem)),
        "network": list(problem.network.row_id),
        "network_time": ("network", problem.grid.starts[problem.network.interval]),
    }
    return xr.Dataset(variables, coords=coords, attrs={"currency": money})


def _days(problem: DispatchProblem) -> npt.NDArray[np.datetime64]:
    first = problem.grid.starts[0].astype("datetime64[D]")
    days = first + np.arange(int(problem.days[-1]) + 1)
    return np.asarray(days.astype("datetime64[ns]"))


def _by_battery(problem: DispatchProblem, found: Multipliers) -> dict[str, Column]:
    cells, at = ("battery", "time"), battery_prices(problem, found)
    return {
        "energy_value_per_kwh": (
            cells, found.energy_value_per_kwh, "/kWh",
            "worth of one more kWh in the store, by the end of the interval",
        ),
        "price_draw_per_kwh": (
            cells, at.draw_per_kwh, "/kWh", "cost of drawing one more kWh at the terminals",
        ),
        "price_feed_per_kwh": (
            cells, at.feed_per_kwh, "/kWh", "worth of feeding in one more kWh at the terminals",
        ),
        "ramp_up_per_kw": (
            cells, found.ramp_up_per_kw, "/kW", "worth of one kW more of rise into the interval",
        ),
        "ramp_down_per_kw": (
            cells, found.ramp_down_per_kw, "/kW", "worth of one kW more of fall into the interval",
        ),
        "cycles_per_kwh": (
            ("battery", "day"), found.cycles_per_kwh, "/kWh",
            "worth of one more kWh of throughput at the store on the day",
        ),
        "target_min_per_kwh": (
            ("target",), found.target_min_per_kwh, "/kWh", "worth of one kWh less wanted",
        ),
        "target_max_per_kwh": (
            ("target",), found.target_max_per_kwh, "/kWh", "worth of one kWh more allowed",
        ),
    }  # fmt: skip


def _by_place(problem: DispatchProblem, found: Multipliers) -> dict[str, Column]:
    nodes, step_h = node_prices(problem, found), problem.grid.step_h
    metered = np.where(problem.groups.is_site[:, None], found.site_price_per_kwh, np.nan)
    return {
        "group_price_per_kwh": (
            ("group", "time"), nodes.draw_per_kw[:-1] / step_h, "/kWh",
            "cost of drawing one more kWh in the group",
        ),
        "site_price_per_kwh": (
            ("group", "time"), metered, "/kWh", "price at the site's meter, without limits",
        ),
        "limit_max_per_kw": (
            ("limit", "time"), found.limit_max_per_kw, "/kW",
            "what one kW more of p_kw_max in the interval would save",
        ),
        "limit_min_per_kw": (
            ("limit", "time"), found.limit_min_per_kw, "/kW",
            "what one kW less of p_kw_min in the interval would save",
        ),
        "network_max_per_kw": (
            ("network",), found.network_max_per_kw, "/kW",
            "what one kW more of the row's p_kw_max would save",
        ),
        "network_min_per_kw": (
            ("network",), found.network_min_per_kw, "/kW",
            "what one kW less of the row's p_kw_min would save",
        ),
    }  # fmt: skip
