"""Dispatch problems to measure solvers on: seeded, of any size, and the same for everybody.

What is drawn, and how to compare with it, is in `docs/instances.md`.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from optimizer.problem import (
    NO_GROUP,
    Batteries,
    DispatchProblem,
    Generators,
    Groups,
    Limits,
    Targets,
)
from twins.faults import FaultList, InvalidInputError
from twins.timegrid import TimeGrid

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Congestion = Literal["none", "moderate", "heavy"]
CONGESTION: tuple[Congestion, ...] = ("none", "moderate", "heavy")

AREA_BATTERIES = (50, 90)
"""Fewest and most batteries behind one transformer."""
FEEDER_AREAS = 20
SUBSTATION_FEEDERS = 8
START = dt.datetime(2025, 3, 20, tzinfo=dt.UTC)
STEP_H = 0.5
_STEP_KW = 0.12
"""Powers of batteries with steps are multiples of this: halves, thirds and quarters of it are
whole watts."""


class _Tightness(NamedTuple):
    """Room of a limit beside the load, as a share of the power of all batteries below it."""

    area: float
    feeder: float
    substation: float


_TIGHTNESS = {
    "none": _Tightness(1.1, 1.1, 1.1),
    "moderate": _Tightness(0.70, 0.69, 0.68),
    "heavy": _Tightness(0.28, 0.295, 0.29),
}


class InstanceError(InvalidInputError):
    """An instance was asked for that makes no sense; `faults` names every reason."""


def make_instance(
    batteries: int,
    intervals: int = 48,
    congestion: Congestion = "moderate",
    discrete: float = 0.0,
    seed: int = 0,
    nested: bool = True,
) -> DispatchProblem:
    """A dispatch problem that is the same for the same arguments, on any machine.

    Batteries of 5 to 15 kWh at about C/2 stand in areas of 50 to 90 behind a transformer, with the
    load and PV of their neighbours. Columns that do not change with time are views of one value a
    battery, so that a million batteries need no more than their names and a few numbers each.

    Args:
        batteries: how many.
        intervals: how many half-hours; the prices of each day differ.
        congestion: how tight limits are. Of all area-intervals about none, 12 % or 45 % bind in
            the best plan of continuous batteries.
        discrete: share of batteries that cannot take any power: a third each on/off, with two to
            four equal steps, and with a least power.
        seed: of all draws.
        nested: put areas under medium-voltage feeders of 20 areas, and these under substations of
            eight feeders, each with a limit of its own.

    Raises:
        InstanceError: an argument makes no sense.
    """
    _check(batteries, intervals, congestion, discrete, seed)
    rng = np.random.default_rng(seed)
    price = _prices(rng, intervals)
    area = _areas(rng, batteries)
    table = _batteries(rng, area, intervals, discrete)
    areas = int(area[-1]) + 1
    load, generation = _load(rng, np.bincount(area), intervals)
    parent, height = _tree(areas, nested)
    groups = _groups(parent, height, load, generation)
    initial = table.energy_kwh_initial
    return DispatchProblem(
        grid=TimeGrid.uniform(START, dt.timedelta(hours=STEP_H), intervals),
        price_import_per_kwh=price,
        price_export_per_kwh=price,
        batteries=table,
        generators=_no_generators(intervals),
        groups=groups,
        limits=_limits(rng, _TIGHTNESS[congestion], table, groups, height),
        targets=Targets(
            where=table.where,
            battery=np.arange(batteries),
            interval=np.full(batteries, intervals - 1),
            share=np.ones(batteries),
            energy_kwh_min=initial.copy(),
            energy_kwh_max=np.full(batteries, np.inf),
            breach_price_per_kwh=np.zeros(batteries),
        ),
        name=f"{batteries} batteries, {intervals} half-hours, congestion {congestion}, "
        f"discrete {discrete:g}, seed {seed}" + ("" if nested else ", areas alone"),
    )


def _check(batteries: int, intervals: int, congestion: str, discrete: float, seed: int) -> None:
    faults = FaultList("instance")
    for name, count in (("batteries", batteries), ("intervals", intervals)):
        if count < 1:
            faults.add(name, str(count), "must be at least 1")
    if congestion not in CONGESTION:
        faults.add("congestion", repr(congestion), f"must be one of {', '.join(CONGESTION)}")
    if not 0.0 <= discrete <= 1.0:
        faults.add("discrete", f"{discrete:g}", "must be between 0 and 1")
    if seed < 0:
        faults.add("seed", str(seed), "must be at least 0")
    faults.raise_if_any(InstanceError)


def _prices(rng: np.random.Generator, intervals: int) -> Floats:
    """Prices a kWh with a peak in the morning and in the evening, and a few below 0 at noon."""
    hour = _hours(intervals)
    day = (np.arange(intervals) * STEP_H // 24.0).astype(np.int64)
    days = int(day[-1]) + 1
    level, noon = rng.uniform(0.11, 0.15, days)[day], rng.uniform(0.12, 0.17, days)[day]
    shape = level + 0.09 * _bump(hour, 8.0, 1.5) + 0.13 * _bump(hour, 19.0, 2.0)
    shape = shape - noon * _bump(hour, 13.0, 1.8) - 0.04 * _bump(hour, 3.5, 2.5)
    return np.asarray(np.clip(shape + rng.normal(0.0, 0.006, intervals), -0.05, 0.45))


def _hours(intervals: int) -> Floats:
    """Hour of the day in which each interval starts."""
    return np.asarray((np.arange(intervals) * STEP_H) % 24.0, dtype=np.float64)


def _bump(hour: Floats, middle: float, width: float) -> Floats:
    away: Floats = np.abs(hour - middle)
    return np.asarray(np.exp(-0.5 * (np.minimum(away, 24.0 - away) / width) ** 2))


def _areas(rng: np.random.Generator, batteries: int) -> Ints:
    """The area of each battery, in order."""
    least, most = AREA_BATTERIES
    sizes: list[int] = []
    left = batteries
    while left > 0:
        size = int(rng.integers(least, most + 1))
        # A rest too small for an area joins the last one.
        size = left if left - size < least else size
        sizes.append(size)
        left -= size
    return np.repeat(np.arange(len(sizes)), sizes)


def _batteries(rng: np.random.Generator, area: Ints, intervals: int, discrete: float) -> Batteries:
    count = len(area)
    names = tuple(f"battery-{row}" for row in range(count))
    size = rng.uniform(5.0, 15.0, count)
    power = np.round(0.5 * size * rng.uniform(0.9, 1.1, count), 2)
    efficiency = rng.uniform(0.93, 0.98, (2, count))
    kind = np.where(rng.permutation(count) < round(discrete * count), rng.integers(0, 3, count), -1)
    steps, least = rng.integers(2, 5, count), rng.uniform(0.2, 0.4, count)
    power = np.where(kind >= 0, np.maximum(np.round(power / _STEP_KW), 1.0) * _STEP_KW, power)
    p_kw_min = np.where(kind == 2, np.round(least * power, 2), 0.0)
    zeros, inf = np.zeros(count), np.full(count, np.inf)
    none = np.broadcast_to(0.0, (count, intervals))

    def constant(values: Floats, length: int) -> Floats:
        return np.broadcast_to(values[:, None], (count, length))

    return Batteries(
        battery_id=names,
        where=names,
        is_session=np.zeros(count, dtype=bool),
        group=area,
        energy_kwh_initial=size * rng.uniform(0.3, 0.7, count),
        energy_kwh_min=constant(0.05 * size, intervals + 1),
        energy_kwh_max=constant(size, intervals + 1),
        p_charge_kw_max=constant(power, intervals),
        p_discharge_kw_max=constant(power, intervals),
        p_charge_kw_min=p_kw_min,
        p_discharge_kw_min=p_kw_min.copy(),
        power_levels=np.choose(kind + 1, [0, 1, steps, 0]),
        efficiency_charge=constant(efficiency[0], intervals),
        efficiency_discharge=constant(efficiency[1], intervals),
        standing_loss_per_h=zeros,
        inflow_kw=none,
        wear_cost_charge_per_kwh=zeros.copy(),
        wear_cost_discharge_per_kwh=rng.uniform(0.015, 0.025, count),
        cycles_per_day_max=inf,
        ramp_up_kw_per_h=inf.copy(),
        ramp_down_kw_per_h=inf.copy(),
        p_kw_initial=np.full(count, np.nan),
        end_value_per_kwh=np.zeros((count, 1)),
        end_value_kwh=np.full((count, 1), np.inf),
    )


def _load(rng: np.random.Generator, sizes: Ints, intervals: int) -> tuple[Floats, Floats]:
    """Load and PV of each area in kW, shapes (areas, T): one and a half homes a battery."""
    hour = _hours(intervals)
    homes = 1.5 * sizes * rng.uniform(0.7, 1.3, len(sizes))
    shape = 0.25 + 0.35 * _bump(hour, 8.0, 1.5) + 0.75 * _bump(hour, 19.0, 2.0)
    load = homes[:, None] * shape * rng.uniform(0.85, 1.15, (len(sizes), intervals))
    roofs = rng.uniform(0.0, 0.5, len(sizes)) * homes
    sun = np.maximum(np.cos((hour - 13.0) / 14.0 * np.pi), 0.0) * (np.abs(hour - 13.0) < 7.0)
    clouds = rng.uniform(0.7, 1.0, (len(sizes), intervals))
    return load, 2.5 * roofs[:, None] * sun * clouds


def _tree(areas: int, nested: bool) -> tuple[Ints, Ints]:
    """Parent and height of each group: areas first, then feeders, then substations."""
    if not nested:
        return np.full(areas, NO_GROUP), np.zeros(areas, dtype=np.int64)
    feeder = np.arange(areas) // FEEDER_AREAS
    feeders = int(feeder[-1]) + 1
    substation = np.arange(feeders) // SUBSTATION_FEEDERS
    substations = int(substation[-1]) + 1
    parent = np.concatenate(
        [areas + feeder, areas + feeders + substation, np.full(substations, NO_GROUP)]
    )
    return parent, np.repeat(np.arange(3), [areas, feeders, substations])


def _groups(parent: Ints, height: Ints, load: Floats, generation: Floats) -> Groups:
    count, shape = len(parent), (len(parent), load.shape[1])
    words = ("area", "feeder", "substation")
    first = np.searchsorted(height, np.arange(3))
    names = tuple(f"{words[h]}-{at - first[h]}" for at, h in enumerate(height.tolist()))
    loads, outputs = np.zeros(shape), np.zeros(shape)
    loads[: len(load)], outputs[: len(load)] = load, generation
    return Groups(
        group_id=names,
        where=names,
        parent=parent,
        is_site=np.zeros(count, dtype=bool),
        load_kw=loads,
        generation_kw=outputs,
        price_import_per_kwh=np.broadcast_to(0.0, shape),
        price_export_per_kwh=np.broadcast_to(0.0, shape),
    )


def _limits(
    rng: np.random.Generator, room: _Tightness, b: Batteries, groups: Groups, height: Ints
) -> Limits:
    """A rating of every group: the largest load or feed-in without batteries, and room for them."""
    count = len(groups)
    power = np.bincount(b.group, b.p_charge_kw_max[:, 0], count)
    net = groups.load_kw - groups.generation_kw
    for level in range(1, int(height[-1]) + 1):
        below = np.flatnonzero(height == level - 1)
        power += np.bincount(groups.parent[below], power[below], count)
        for child in below.tolist():
            net[groups.parent[child]] += net[child]
    share = np.array(room)[height] * np.where(height == 0, rng.uniform(0.85, 1.15, count), 1.0)
    rating = np.round(np.abs(net).max(axis=1) + share * power, 1)
    shape = net.shape
    return Limits(
        limit_id=tuple(f"{name}-rating" for name in groups.group_id),
        where=groups.group_id,
        group=np.arange(count),
        p_kw_max=np.broadcast_to(rating[:, None], shape),
        p_kw_min=np.broadcast_to(-rating[:, None], shape),
        breach_price_per_kwh=np.zeros(count),
        breach_price_per_kw=np.zeros(count),
    )


def _no_generators(intervals: int) -> Generators:
    empty = np.zeros((0, intervals))
    return Generators((), (), np.zeros(0, dtype=np.int64), empty, empty.copy(), np.zeros(0))
