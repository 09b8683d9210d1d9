"""Random problems whose batteries are tied by every mix of shared features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

Random = np.random.Generator


def shared_problem(seed: int, **counts: int) -> DispatchProblem:
    """Batteries in a tree of groups, with limits, meters, generators and network rows.

    Limits and network rows are drawn around what the groups do without batteries, so that some
    bind, some never can and some cannot be kept. Prices never reward burning energy by themselves.
    """
    rng = np.random.default_rng(seed)
    most = {"groups": 6, "batteries": 8, "rows": 8, "intervals": 6} | counts
    count = int(rng.integers(2, most["intervals"] + 1))
    buy = rng.uniform(0.1, 0.4, count)
    groups = _groups(rng, int(rng.integers(1, most["groups"] + 1)), buy)
    named: list[str | None] = [None, *[f"g{g}" for g in range(len(groups))]]
    batteries = [_battery(rng, named, count) for _ in range(rng.integers(2, most["batteries"] + 1))]
    generators = [
        {"group": _pick(rng, named), "p_kw_available": rng.uniform(0, 5, count)}
        for _ in range(rng.integers(0, 3))
    ]
    units = [f"b{i}" for i in range(len(batteries))] + [f"m{i}" for i in range(len(generators))]
    return make_problem(
        count,
        rng.choice([0.5, 1.0, 2.0], count) if rng.random() < 0.3 else 1.0,
        batteries,
        groups,
        [_limit(rng, named, count) for _ in range(rng.integers(0, 5))],
        generators,
        price_import=buy,
        price_export=buy - rng.choice([0.0, 0.05]),
        positions=[_position(rng, named, count) for _ in range(rng.integers(0, 3))],
        network=[_row(rng, units, named, count) for _ in range(rng.integers(0, most["rows"] + 1))],
    )


def _pick(rng: Random, names: list[Any]) -> Any:
    return names[rng.integers(len(names))]


def _groups(rng: Random, groups: int, buy: np.ndarray) -> list[dict[str, Any]]:
    count = len(buy)
    made: list[dict[str, Any]] = []
    inside: list[bool] = []
    for g in range(groups):
        above = None if g == 0 or rng.random() < 0.3 else int(rng.integers(0, g))
        below_site = above is not None and inside[above]
        is_site = not below_site and rng.random() < 0.2
        inside.append(bool(below_site or is_site))
        made.append(
            {
                "parent": None if above is None else f"g{above}",
                "is_site": bool(is_site),
                "load_kw": rng.uniform(0, 4, count),
                "generation_kw": rng.uniform(0, 4, count) * (rng.random() < 0.5),
                "price_import_per_kwh": buy + 0.05,
                "price_export_per_kwh": buy - rng.choice([-0.05, 0.02]),
            }
        )
    return made


def _battery(rng: Random, named: list[str | None], count: int) -> dict[str, Any]:
    size = rng.uniform(2, 8)
    return {
        "group": _pick(rng, named),
        "energy_kwh_initial": rng.uniform(0.2, 0.8) * size,
        "energy_kwh_max": size,
        "p_charge_kw_max": rng.uniform(0.2, 1.0) * size,
        "p_discharge_kw_max": rng.uniform(0.2, 1.0) * size * (rng.random(count) < 0.9),
        "efficiency_charge": rng.uniform(0.85, 1.0),
        "efficiency_discharge": rng.uniform(0.85, 1.0),
        "standing_loss_per_h": rng.choice([0.0, 0.02]),
        "wear_cost_discharge_per_kwh": rng.choice([0.0, 0.02]),
        "end_value_per_kwh": rng.uniform(0.05, 0.3),
        "ramp_up_kw_per_h": rng.choice([np.inf, np.inf, 0.5 * size]),
        "cycles_per_day_max": rng.choice([np.inf, np.inf, 0.3]),
        "p_kw_previous": rng.choice([np.nan, 0.2 * size]),
        "change_price_per_kwh": rng.choice([0.0, 0.0, 0.05]),
    }


def _limit(rng: Random, named: list[str | None], count: int) -> dict[str, Any]:
    return {
        "group": _pick(rng, named),
        "p_kw_max": rng.uniform(-1, 12, count),
        "p_kw_min": rng.uniform(-15, -2, count) if rng.random() < 0.7 else -np.inf,
        "breach_price_per_kwh": rng.choice([0.0, 0.1, 0.5]),
        "breach_price_per_kw": rng.choice([0.0, 0.0, 0.3, 1.0]),
        "ramp_up_kw_per_h": rng.choice([np.inf, np.inf, rng.uniform(1, 6)]),
        "ramp_down_kw_per_h": rng.choice([np.inf, np.inf, rng.uniform(1, 6)]),
        "p_kw_initial": rng.choice([np.nan, rng.uniform(-3, 3)]),
    }


def _position(rng: Random, named: list[str | None], count: int) -> dict[str, Any]:
    above = rng.uniform(-0.1, 0.2, count)
    return {
        "group": _pick(rng, named),
        "p_kw": rng.uniform(-4, 6, count),
        "price_above_per_kwh": above,
        "price_below_per_kwh": rng.choice([0.0, 0.1]) - np.minimum(above, 0.1),
    }


def _row(rng: Random, units: list[str], named: list[str | None], count: int) -> dict[str, Any]:
    """A row over groups, over units, or over both, which may lie inside one another."""
    places: list[str | None] = [*units, *named]
    chosen = rng.choice(len(places), min(int(rng.integers(1, 5)), len(places)), replace=False)
    sides = rng.integers(1, 4)
    return {
        "interval": int(rng.integers(count)),
        "weights": {places[at]: rng.normal() for at in chosen},
        "p_kw_max": rng.uniform(-1, 5) if sides & 1 else np.inf,
        "p_kw_min": rng.uniform(-8, -1) if sides & 2 else -np.inf,
        "breach_price_per_kwh": rng.choice([0.0, 0.2, 2.0]),
    }


def fleet_problem(count: int, rows: int, *, nested: bool = False) -> DispatchProblem:
    """Many batteries in areas with limits, and rows as voltages and lines of a grid have them.

    A row names the units of one area and, with smaller weights, the nets of all others.
    """
    rng = np.random.default_rng(count + rows)
    areas, intervals = max(count // 60, 2), 24
    of = rng.integers(areas, size=count)
    size = rng.uniform(5, 15, count)
    price = 0.15 + 0.08 * np.sin(np.arange(intervals) / 2) + 0.02 * rng.normal(size=intervals)
    batteries = [
        {
            "group": f"a{of[i]}",
            "energy_kwh_max": size[i],
            "energy_kwh_initial": 0.5 * size[i],
            "p_charge_kw_max": 0.5 * size[i],
            "p_discharge_kw_max": 0.5 * size[i],
            "efficiency_charge": rng.uniform(0.93, 0.97),
            "efficiency_discharge": rng.uniform(0.93, 0.97),
            "wear_cost_discharge_per_kwh": 0.02,
            "end_value_per_kwh": 0.12,
        }
        for i in range(count)
    ]
    most = np.bincount(of, 0.5 * size, areas)
    groups: list[dict[str, Any]] = [{"group_id": f"f{f}"} for f in range(2)]
    groups += [
        {"group_id": f"a{a}", "parent": f"f{a % 2}" if nested else None, "load_kw": 0.3 * most[a]}
        for a in range(areas)
    ]
    limits = [{"group": f"a{a}", "p_kw_max": 1.0 * most[a]} for a in range(areas)]
    if nested:
        limits += [{"group": f"f{f}", "p_kw_max": 0.8 * most[f::2].sum()} for f in range(2)]
    network = []
    for row in range(rows):
        area = int(rng.integers(areas))
        weights = {f"a{a}": rng.uniform(0.05, 0.3) for a in range(areas) if a != area}
        weights |= {f"b{i}": rng.uniform(0.3, 1.0) for i in np.flatnonzero(of == area)}
        reach = sum(weights.get(f"a{a}", 0.6) * most[a] for a in range(areas))
        bounds = {"p_kw_max": 0.9 * reach} if row % 2 else {"p_kw_min": -0.4 * reach}
        order = np.argsort(price) if row % 2 else np.argsort(-price)
        network.append({"interval": int(order[rng.integers(6)]), "weights": weights, **bounds})
    return make_problem(
        intervals, 1.0, batteries, groups, limits, price_import=price, network=network
    )
