"""Random fleets with any mix of what a problem can hold, small enough for the Pyomo model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

Random = np.random.Generator
Rows = list[dict[str, Any]]


class Mix(NamedTuple):
    """What a draw is about.

    Attributes:
        discrete: share of batteries with steps or a least power.
        beyond: whether features may meet that the structured solver does not carry.
    """

    discrete: float
    beyond: bool


def any_mix(seed: int) -> DispatchProblem:
    """Each feature is in or out by one draw, so that mixes differ; then drawn row by row.

    Of ten seeds five are continuous, three have discrete batteries within what the structured
    solver carries, and two anything at all. Every thirtieth has 100 to 200 batteries.
    """
    rng = np.random.default_rng([seed, 300])
    of_ten = seed % 10
    discrete = 0.0 if of_ten < 5 else rng.choice([0.2, 0.5, 1.0])
    mix = Mix(discrete, of_ten >= 8)
    count, batteries = _size(rng, seed, mix)
    wants = {name: rng.random() < 0.5 for name in _OPTIONS}
    if mix.discrete and not mix.beyond:
        wants |= dict.fromkeys(("network", "net ramps", "peaks"), False)
    if not mix.beyond:
        wants |= dict.fromkeys(("reserve", "odd meters", "rising end"), False)
    wants["sites"] |= wants["odd meters"]
    if mix.beyond or mix.discrete:  # elsewhere prices must not reward burning energy
        wants["negative prices"] = rng.random() < 0.4
    else:
        wants["negative prices"] = False
    return _drawn(rng, count, batteries, mix, wants)


_OPTIONS = (
    "sites", "limits", "net ramps", "peaks", "network", "positions", "generators", "targets",
    "ramps", "cycles", "previous", "inflow", "losses", "bands", "availability", "outside band",
    "end value", "wear", "uneven", "reserve", "odd meters", "rising end", "sessions",
)  # fmt: skip


def _size(rng: Random, seed: int, mix: Mix) -> tuple[int, int]:
    """Intervals and batteries: many of the one, or of the other."""
    if seed % 30 == 0:
        return 4, int(rng.integers(100, 201))
    if not mix.discrete and seed % 5 == 3:
        return int(rng.integers(4, 9)), int(rng.integers(20, 61))
    if not mix.discrete and seed % 5 == 1:
        return int(rng.integers(12, 25)), int(rng.integers(2, 9))
    if seed % 20 == 6:
        return 4, int(rng.integers(20, 41))
    return int(rng.integers(4, 9)), int(rng.integers(2, 9))


def _drawn(
    rng: Random, count: int, batteries: int, mix: Mix, wants: dict[str, bool]
) -> DispatchProblem:
    buy = rng.uniform(0.05, 0.4, count)
    if wants["negative prices"]:
        buy -= 0.3 * (rng.random(count) < 0.4)
    groups = _groups(rng, buy, wants)
    named: list[Any] = [None, *[f"g{g}" for g in range(len(groups))]]
    rows = [_battery(rng, count, named, mix, wants) for _ in range(batteries)]
    scale = batteries / 4
    generators = [
        {
            "group": _pick(rng, named),
            "p_kw_available": rng.uniform(1, 6, count) * scale,
            "p_kw_min": rng.choice([0.0, 0.5]) * scale,
            "cost_per_kwh": rng.choice([0.0, 0.2]),
        }
        for _ in range(rng.integers(1, 3) if wants["generators"] else 0)
    ]
    units = [f"b{i}" for i in range(batteries)] + [f"m{i}" for i in range(len(generators))]
    return make_problem(
        count,
        rng.choice([0.25, 0.5, 1.0, 2.0], count) if wants["uneven"] else 1.0,
        rows,
        groups,
        _limits(rng, count, named, scale, wants),
        generators,
        _targets(rng, count, rows, wants),
        buy,
        buy - rng.choice([0.0, 0.03]),
        network=[
            _network_row(rng, count, [*units, *named], scale)
            for _ in range(rng.integers(1, 7) if wants["network"] else 0)
        ],
        positions=[
            _position(rng, count, named, scale)
            for _ in range(rng.integers(1, 3) if wants["positions"] else 0)
        ],
        reserves=[
            {
                "group": _pick(rng, named),
                "is_up": bool(rng.random() < 0.5),
                "p_kw_required": rng.uniform(0, 3, count) * scale,
                "duration_h": rng.choice([0.0, 0.5, 1.0]),
                "breach_price_per_kwh": rng.choice([0.0, 0.05, 0.3]),
            }
            for _ in range(rng.integers(1, 3) if wants["reserve"] else 0)
        ],
    )


def _pick(rng: Random, names: list[Any]) -> Any:
    return names[rng.integers(len(names))]


def _groups(rng: Random, buy: np.ndarray, wants: dict[str, bool]) -> Rows:
    """A tree; a site never lies in another one. Half of the sites have one price only."""
    made: Rows = []
    inside: list[bool] = []
    for g in range(int(rng.integers(0, 6))):
        above = None if g == 0 or rng.random() < 0.3 else int(rng.integers(0, g))
        metered = above is not None and inside[above]
        is_site = wants["sites"] and not metered and rng.random() < 0.5
        inside.append(bool(metered or is_site))
        export = buy + 0.05 - rng.choice([0.0, 0.08])
        if wants["odd meters"] and rng.random() < 0.7:
            export = buy + 0.1
        made.append(
            {
                "parent": None if above is None else f"g{above}",
                "is_site": bool(is_site),
                "load_kw": rng.uniform(0, 4, len(buy)),
                "generation_kw": rng.uniform(0, 4, len(buy)) * (rng.random() < 0.5),
                "price_import_per_kwh": buy + 0.05,
                "price_export_per_kwh": export,
            }
        )
    return made


def _battery(
    rng: Random, count: int, named: list[Any], mix: Mix, wants: dict[str, bool]
) -> dict[str, Any]:
    size = rng.uniform(2, 10)
    row: dict[str, Any] = {
        "group": _pick(rng, named),
        "energy_kwh_initial": rng.uniform(0.1, 0.9) * size,
        "energy_kwh_max": size,
        "p_charge_kw_max": rng.uniform(0.2, 0.8) * size,
        "p_discharge_kw_max": rng.uniform(0.2, 0.8) * size,
        "efficiency_charge": rng.uniform(0.85, 1.0),
        "efficiency_discharge": rng.uniform(0.85, 1.0),
    }
    is_discrete = rng.random() < mix.discrete
    if is_discrete and rng.random() < 0.6:
        row["power_levels"] = int(rng.integers(1, 4))
    elif is_discrete:
        row["p_charge_kw_min"] = rng.uniform(0.1, 0.9) * row["p_charge_kw_max"]
        row["p_discharge_kw_min"] = rng.uniform(0.1, 0.9) * row["p_discharge_kw_max"]
    has = {name: there and rng.random() < 0.6 for name, there in wants.items()}
    # What the market may reward for burning energy needs an oracle, whatever it is by itself.
    if (is_discrete or wants["negative prices"]) and not mix.beyond:
        has |= dict.fromkeys(("ramps", "cycles", "previous"), False)
    return row | _further(rng, count, size, row, has) | _reserving(rng, is_discrete)


def _further(
    rng: Random, count: int, size: float, row: dict[str, Any], has: dict[str, bool]
) -> dict[str, Any]:
    """What one battery has beyond a store with a power and losses on the way."""
    more: dict[str, Any] = {}
    if has["losses"]:
        more["standing_loss_per_h"] = 0.02
    if has["inflow"]:
        more["inflow_kw"] = rng.uniform(-0.1, 0.1, count) * size
    if has["bands"]:
        more["energy_kwh_min"] = rng.uniform(0, 0.3, count + 1) * size
        more["energy_kwh_max"] = rng.uniform(0.7, 1.0, count + 1) * size
    if has["outside band"]:
        more["energy_kwh_initial"] = rng.choice([1.1, 1.0, 0.0]) * size
    if has["availability"]:
        more["p_charge_kw_max"] = row["p_charge_kw_max"] * (rng.random(count) < 0.8)
        more["p_discharge_kw_max"] = row["p_discharge_kw_max"] * rng.choice([0.0, 0.5, 1.0], count)
    if has["wear"]:
        more["wear_cost_charge_per_kwh"] = rng.choice([0.0, 0.01])
        more["wear_cost_discharge_per_kwh"] = 0.02
    if has["end value"]:
        more["end_value_per_kwh"] = np.sort(rng.uniform(0, 0.4, 3))[::-1]
        more["end_value_kwh"] = [0.3 * size, 0.3 * size, rng.choice([0.2 * size, np.inf])]
    if has["rising end"]:
        more["end_value_per_kwh"], more["end_value_kwh"] = -0.1, 0.5 * size
    if has["ramps"]:
        more["ramp_up_kw_per_h"] = rng.choice([0.2, 0.6]) * size
        more["ramp_down_kw_per_h"] = rng.choice([0.3, np.inf]) * size
        more["p_kw_initial"] = rng.choice([np.nan, 0.0, 0.1 * size])
    if has["cycles"]:
        more["cycles_per_day_max"] = rng.uniform(0.1, 0.8)
    if has["previous"]:
        more["p_kw_previous"] = rng.uniform(-0.4, 0.4, count) * size
        more["change_price_per_kwh"] = rng.uniform(0.01, 0.1)
    if has["sessions"]:
        more["is_session"] = True
        more["p_discharge_kw_max"] = 0.0
    return more


def _reserving(rng: Random, is_discrete: bool) -> dict[str, Any]:
    return {"provides_reserve": not is_discrete and bool(rng.random() < 0.6)}


def _limits(
    rng: Random, count: int, named: list[Any], scale: float, wants: dict[str, bool]
) -> Rows:
    def one() -> dict[str, Any]:
        row: dict[str, Any] = {
            "group": _pick(rng, named),
            "p_kw_max": rng.uniform(0, 8, count) * scale,
            "p_kw_min": rng.uniform(-8, -1, count) * scale if rng.random() < 0.7 else -np.inf,
            "breach_price_per_kwh": rng.choice([0.0, 0.1, 0.5]),
        }
        if wants["peaks"] and rng.random() < 0.5:
            row["breach_price_per_kw"] = rng.choice([0.3, 1.0])
        if wants["net ramps"] and rng.random() < 0.6:
            row["ramp_up_kw_per_h"] = rng.choice([np.inf, rng.uniform(1, 6) * scale])
            row["ramp_down_kw_per_h"] = rng.uniform(1, 6) * scale
            row["p_kw_initial"] = rng.choice([np.nan, rng.uniform(-2, 2) * scale])
        return row

    drawn = wants["limits"] or wants["peaks"] or wants["net ramps"]
    return [one() for _ in range(rng.integers(1, 5) if drawn else 0)]


def _targets(rng: Random, count: int, rows: Rows, wants: dict[str, bool]) -> Rows:
    """No oracle carries a moment inside an interval."""

    def one(battery: int) -> dict[str, Any]:
        row = rows[battery]
        size = float(np.max(row["energy_kwh_max"]))
        plain = not ({"power_levels", "p_charge_kw_min"} & set(row)) or wants["reserve"]
        inside = plain and not wants["negative prices"] and rng.random() < 0.4
        return {
            "battery": battery,
            "interval": int(rng.integers(count)),
            "share": rng.uniform(0.1, 0.9) if inside else 1.0,
            "energy_kwh_min": rng.uniform(0.3, 0.8) * size,
            "energy_kwh_max": rng.choice([np.inf, 0.9 * size]),
            "breach_price_per_kwh": rng.choice([0.0, 0.3]),
        }

    wanted = rng.integers(1, 2 + len(rows) // 3) if wants["targets"] else 0
    return [one(int(rng.integers(len(rows)))) for _ in range(wanted)]


def _network_row(rng: Random, count: int, places: list[Any], scale: float) -> dict[str, Any]:
    chosen = rng.choice(len(places), min(int(rng.integers(1, 5)), len(places)), replace=False)
    sides = rng.integers(1, 4)
    return {
        "interval": int(rng.integers(count)),
        "weights": {places[at]: rng.normal() for at in chosen},
        "p_kw_max": rng.uniform(0, 5) * scale if sides & 1 else np.inf,
        "p_kw_min": rng.uniform(-8, -1) * scale if sides & 2 else -np.inf,
        "breach_price_per_kwh": rng.choice([0.0, 0.2, 2.0]),
    }


def _position(rng: Random, count: int, named: list[Any], scale: float) -> dict[str, Any]:
    above = rng.uniform(-0.1, 0.2, count)
    return {
        "group": _pick(rng, named),
        "p_kw": rng.uniform(-4, 6, count) * scale,
        "price_above_per_kwh": above,
        "price_below_per_kwh": rng.choice([0.0, 0.1]) - np.minimum(above, 0.1),
    }
