"""Runs that never were: a grid, a fleet and three power flows drawn at random but plausible.

The figures hold together as a real run's do (extremes in the summary are those of the arrays), so
that a report of one reads like a report of the other.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import xarray as xr

from gridsim.run.result import Run

FEEDER = 25  # buses in a row before a new branch starts


def synthetic_run(
    buses: int = 60,
    batteries: int = 40,
    *,
    intervals: int = 48,
    seed: int = 7,
    name: str = "town",
    coordinates: bool = True,
    gap: int | None = None,
    findings: int = 0,
    preexisting: int = 0,
) -> Run:
    """A run of `intervals` half-hours; `gap` is an interval whose power flows did not converge."""
    rng = np.random.default_rng(seed)
    data = _grid(buses, rng, coordinates=coordinates)
    data = data.merge(_fleet(data, batteries, intervals, rng))
    data = data.merge(_flows(data, rng, stress=1.25 if findings else 0.8))
    if gap is not None:
        for variable in data.variables:
            if data[variable].dims[-1:] == ("time",) and str(variable).startswith(
                ("v_pu", "line_loading", "transformer_loading", "losses_kw", "p_exchange_kw")
            ):
                data[variable][..., gap] = np.nan
    summary = _summary(data, rng, name, findings, preexisting)
    return Run(name=name, summary=summary, data=data, plan=cast("Any", None), scenario_text=_TEXT)


_TEXT = "# made up\ngrid:\n  simbench: <none>\nseed: 7\n"


def _grid(buses: int, rng: np.random.Generator, *, coordinates: bool) -> xr.Dataset:
    """A tree: an upstream bus, a medium-voltage ring of stations, low-voltage feeders below."""
    stations = max(1, buses // 80)
    kv = np.full(buses, 0.4)
    kv[: stations + 2] = 20.0
    kv[0] = 110.0
    names = np.array([f"bus {at}" for at in range(buses)])
    parent = np.zeros(buses, dtype=int)
    heads = np.arange(2, stations + 2)
    parent[heads] = np.maximum(heads - 1 - (heads % 7 == 0) * 5, 1)
    for at in range(stations + 2, buses):
        station = 2 + (at - stations - 2) % stations
        above = at - stations
        fresh = above < stations + 2 or rng.random() < 1 / FEEDER
        parent[at] = station if fresh else above
    xy = np.zeros((buses, 2))
    step = np.where(kv > 1, 0.01, 0.0006)
    turn = rng.normal(0, 0.5, buses)
    heading = rng.uniform(0, 2 * np.pi, buses)
    for at in range(1, buses):
        straight = parent[at] > stations + 1
        heading[at] = heading[parent[at]] + turn[at] if straight else heading[at]
        towards = np.array([np.cos(heading[at]), np.sin(heading[at])])
        xy[at] = xy[parent[at]] + step[at] * towards
    xy = xy + np.array([11.81, 53.64]) if coordinates else np.full((buses, 2), np.nan)
    child = np.arange(1, buses)
    steps_down = kv[parent[1:]] != kv[1:]
    lines, transformers = child[~steps_down], child[steps_down]
    medium = np.isclose(kv, 20.0)
    return xr.Dataset(
        {
            "bus_x": ("bus", xy[:, 0]),
            "bus_y": ("bus", xy[:, 1]),
            "bus_kv": ("bus", kv),
            "v_pu_min": ("bus", np.where(medium, 0.965, 0.9)),
            "v_pu_max": ("bus", np.where(medium, 1.055, 1.1)),
            "line_from": ("line", names[parent[lines]]),
            "line_to": ("line", names[lines]),
            "line_loading_max": ("line", np.ones(lines.size)),
            "transformer_hv": ("transformer", names[parent[transformers]]),
            "transformer_lv": ("transformer", names[transformers]),
            "transformer_loading_max": ("transformer", np.ones(transformers.size)),
        },
        coords={
            "bus": names,
            "line": [f"line {at}" for at in range(lines.size)],
            "transformer": [f"transformer {at}" for at in range(transformers.size)],
        },
    )


def _fleet(
    data: xr.Dataset, batteries: int, intervals: int, rng: np.random.Generator
) -> xr.Dataset:
    hours = np.arange(intervals) / 2
    price = 0.16 + 0.05 * np.cos((hours - 18.5) / 24 * 4 * np.pi) + rng.normal(0, 0.006, intervals)
    wish = np.where(price < 0.13, 1.0, np.where(price > 0.19, -1.0, 0.0))
    rated = rng.uniform(2.5, 7.5, batteries)
    capacity = 2 * rated
    shift = rng.integers(0, 4, batteries)
    p_kw, energy = np.zeros((batteries, intervals)), np.zeros((batteries, intervals + 1))
    energy[:, 0] = capacity * rng.uniform(0.3, 0.7, batteries)
    share = rng.uniform(0.3, 0.9, batteries)
    for at in range(intervals):
        want = wish[np.maximum(at - shift, 0)] * rated * share
        room_up, room_down = (
            (0.95 * capacity - energy[:, at]) * 2,
            (energy[:, at] - 0.05 * capacity) * 2,
        )
        p_kw[:, at] = np.clip(want, -np.maximum(room_down, 0), np.maximum(room_up, 0))
        energy[:, at + 1] = energy[:, at] + p_kw[:, at] / 2
    alone = wish * rated[:, None] * np.ones((batteries, intervals))
    sites = [f"site {at}" for at in range(batteries)]
    low = data["bus"].to_numpy()[np.isclose(data["bus_kv"], 0.4)]
    shape = (
        0.35 + 0.3 * np.exp(-(((hours - 19) / 3) ** 2)) + 0.2 * np.exp(-(((hours - 8) / 2) ** 2))
    )
    sun = np.clip(np.sin((hours - 8) / 8.5 * np.pi), 0, None) * (hours > 8) * (hours < 16.5)
    of_fleet, of_site = ("battery", "time"), ("site", "time")
    instants = pd.date_range("2023-01-16", periods=intervals + 1, freq="30min").to_numpy()
    return xr.Dataset(
        {
            "p_kw": (of_fleet, p_kw),
            "p_plan_kw": (of_fleet, p_kw),
            "p_charge_kw": (of_fleet, np.maximum(p_kw, 0)),
            "p_discharge_kw": (of_fleet, np.maximum(-p_kw, 0)),
            "p_price_only_kw": (of_fleet, alone),
            "energy_kwh": (("battery", "instant"), energy),
            "energy_plan_kwh": (("battery", "instant"), energy),
            "soc": (("battery", "instant"), energy / capacity[:, None]),
            "price_import_per_kwh": ("time", price + 0.1),
            "price_export_per_kwh": ("time", price - 0.06),
            "load_kw": (of_site, rng.uniform(0.5, 3, batteries)[:, None] * shape),
            "generation_kw": (of_site, rng.uniform(0, 3, batteries)[:, None] * sun),
            "battery_site": ("battery", sites),
            "site_bus": ("site", rng.choice(low, batteries)),
        },
        coords={
            "battery": [f"battery {at}" for at in range(batteries)],
            "site": sites,
            "time": instants[:-1],
            "instant": instants,
        },
    )


def _flows(data: xr.Dataset, rng: np.random.Generator, *, stress: float) -> xr.Dataset:
    """Voltages that fall, and loadings that rise, with the load of the moment."""
    counts = {dim: data.sizes[dim] for dim in ("bus", "line", "transformer")}
    depth = {dim: rng.beta(1.3, 5.0, count) for dim, count in counts.items()}
    scale = max(float(data["p_price_only_kw"].sum("battery").max()), 1.0)
    load = np.asarray(data["load_kw"].sum("site") - data["generation_kw"].sum("site"))
    load = 0.5 * load / max(np.abs(load).max(), 1.0)
    flows: dict[str, Any] = {}
    for suffix, power in (
        ("", data["p_kw"]),
        ("_without", 0 * data["p_kw"]),
        ("_price_only", 1.5 * data["p_price_only_kw"]),
    ):
        draw = load + stress * np.asarray(power.sum("battery")) / scale
        kv = np.asarray(data["bus_kv"])
        stiff = np.select([kv > 50, kv > 1], [0.0, 0.12], 0.2)[:, None]
        flows[f"v_pu{suffix}"] = (("bus", "time"), 1.012 - stiff * depth["bus"][:, None] * draw)
        for kind in ("line", "transformer"):
            loading = np.abs(draw) * (0.15 + 1.4 * depth[kind][:, None])
            flows[f"{kind}_loading{suffix}"] = ((kind, "time"), loading)
        flows[f"losses_kw{suffix}"] = ("time", 3.0 + 10 * draw**2)
        flows[f"p_exchange_kw{suffix}"] = ("time", draw * scale)
    return xr.Dataset(flows)


def _summary(
    data: xr.Dataset, rng: np.random.Generator, name: str, findings: int, preexisting: int
) -> dict[str, Any]:
    found = [_finding(at, rng) for at in range(findings)]
    counts: dict[str, int] = {}
    for one in found:
        counts[one["check"]] = counts.get(one["check"], 0) + 1
    cases = {"plan": "", "without": "_without", "price_only": "_price_only"}

    def extreme(variable: str, reduce: str) -> dict[str, float]:
        return {
            case: float(getattr(data[variable + suffix], reduce)())
            for case, suffix in cases.items()
        }

    return {
        "schema_version": 1, "scenario": name, "day": "2023-01-16",
        "start": "2023-01-16T00:00:00Z", "end": "2023-01-17T00:00:00Z",
        "intervals": data.sizes["time"], "currency": "EUR",
        "sites": data.sizes["site"], "batteries": data.sizes["battery"],
        "energy_kwh": 10.0 * data.sizes["battery"], "power_kw": 5.0 * data.sizes["battery"],
        "verdict": "refused" if findings else "pass",
        "findings": found, "preexisting": [_finding(at, rng) for at in range(preexisting)],
        "finding_counts": counts,
        "rounds": [
            {"round": 1, "findings": {"voltage": 150, "line loading": 51}, "profit": 412.2,
             "worst": 0.12, "rows": 0, "narrowed": 2,
             "seconds": {"solve": 0.9, "replay": 0.1, "total": 1.02}},
            {"round": 2, "findings": counts, "profit": 398.7,
             "worst": 0.0, "rows": 30, "narrowed": 0,
             "seconds": {"solve": 1.2, "replay": 0.1, "total": 1.31}},
        ],
        "cost": {"no_battery": 2815.4321, "self_consumption": 2702.119, "plan": 2417.886,
                 "plan_as_planned": 2409.01, "price_only": 2290.5, "idle": 2831.5},
        "saving_percent": {"no_battery": 14.1202, "self_consumption": 10.5189},
        "wear": 31.2, "energy_missing_cost": 0.75, "equivalent_cycles": 1.234,
        "voltage_pu": {"lowest": extreme("v_pu", "min"), "highest": extreme("v_pu", "max")},
        "loading": {
            kind: extreme(f"{kind}_loading", "max") for kind in ("line", "transformer")
        },
        "breaches": {"plan": {"bus": findings, "line": 0, "transformer": 0, "flow": 0},
                     "without": {"bus": preexisting, "line": 0, "transformer": 0, "flow": 0},
                     "price_only": {"bus": 1432, "line": 210, "transformer": 17, "flow": 1}},
        "profit": 398.7, "profit_bound": 398.71, "gap": 2.5e-5, "gap_absolute": 0.01,
        "profit_bound_ratings": 410.3, "share_of_ratings_bound": 0.972, "worst_grid_excess": 0.0,
        "gap_any_plan": 0.083,
        "worst_violation": 3.2e-9, "bound_source": "solver", "status": "optimal",
        "stop_reason": "gap reached", "solver": "HiGHS 1.16.0",
        "resolution_w": 1.0, "cells_left": 0,
        "seconds": {"load": 4.4, "build": 1.1, "solve": 6.7, "extract": 0.2, "certify": 0.1,
                    "round": 0.1, "prove": 0.3, "power_flow": 0.9, "linearise": 0.4, "replay": 0.05,
                    "judge": 0.1, "to_verdict": 9.8, "total": 13.9},
        "compile_seconds": 7.5, "peak_memory_mb": 812.0,
        "hashes": {key: f"{at:064x}" for at, key in enumerate(
            ("plan", "problem", "fleet", "grid", "rules", "versions", "verdict", "scenario"),
            start=2**200)},
        "versions": {"gridsim": "0.1.0", "numpy": "2.4.6", "pandapower": "3.5.4"},
        "seed": 7, "machine": {"cores": 2, "python": "3.11.7", "platform": "Linux x86_64"},
    }  # fmt: skip


def _finding(at: int, rng: np.random.Generator) -> dict[str, Any]:
    when = f"2023-01-16T{at % 24:02d}:00:00Z"
    if at % 3 == 0:
        value = float(rng.uniform(0.85, 0.8999))
        return {
            "check": "voltage", "element": f"bus {at}", "at": when, "value": value, "limit": 0.9,
            "unit": "pu", "without_batteries": 0.95,
            "text": f"bus bus {at}: {value:.4f} per unit, limit 0.9000, at {when}",
        }  # fmt: skip
    value = float(rng.uniform(1.001, 1.6))
    return {
        "check": "line loading", "element": f"line {at}", "at": when, "value": value, "limit": 1.0,
        "unit": "1", "without_batteries": 0.61,
        "text": f"line line {at}: loaded {value:.1%}, limit 100.0%, at {when}",
    }  # fmt: skip
