"""The step functions by themselves: what an event-level simulation would call."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
from numba.core.dispatcher import Dispatcher

import twins
from tests.twins.fleets import hours_grid, mixed_fleet
from twins import replay
from twins.clock import TICK_H, cut
from twins.columns import kernel_parameters
from twins.kernel import drained, limits, step, warmed


def test_one_battery_stepped_by_hand_lives_what_replay_says():
    fleet = mixed_fleet(15, seed=3)
    grid = hours_grid(30, 12)
    p_kw = np.random.default_rng(3).uniform(-5, 5, (15, 24))
    lived = replay(fleet, grid, p_kw, temperature_ambient_c=8.0)
    for row, battery in enumerate(kernel_parameters(fleet)):
        energy, temperature = battery["energy_kwh_initial"], 8.0
        for t in range(24):
            delivered = []
            for _ in range(6):
                allowed = limits(battery, energy, temperature)
                p, energy, heat = step(battery, energy, p_kw[row, t], *allowed, TICK_H)
                energy = drained(battery, energy, TICK_H)
                temperature = warmed(battery, temperature, heat, 8.0, TICK_H)
                delivered.append(p)
            np.testing.assert_allclose(lived.p_kw[row, t], np.mean(delivered), atol=1e-12)
            np.testing.assert_allclose(lived.energy_kwh[row, t + 1], energy, rtol=1e-12)
            np.testing.assert_allclose(lived.temperature_c[row, t + 1], temperature, rtol=1e-12)


def test_a_grid_is_cut_at_every_tick_and_at_every_edge():
    grid = hours_grid(7, 0.35, "2023-01-16T00:02Z")
    pieces = cut(grid, np.array([10.0, 20.0, 30.0]))
    assert pieces.first.tolist() == [0, 2, 5, 7]
    assert pieces.closes.tolist() == [True, False, True, True, False, True, False]
    np.testing.assert_allclose(pieces.hours * 60, [3, 4, 1, 5, 1, 4, 3])
    np.testing.assert_allclose(pieces.since_tick_h * 60, [3, 4, 5, 5, 1, 5, 3])
    np.testing.assert_allclose(pieces.ambient_c, [10, 10, 12, 20, 20, 28, 30])


def test_no_compiled_function_calls_one_from_another_file():
    """Numba's cache would keep the caller as it was compiled before the other file was edited."""
    found = 0
    for info in pkgutil.iter_modules(twins.__path__, "twins."):
        module = importlib.import_module(info.name)
        compiled = [one for one in vars(module).values() if isinstance(one, Dispatcher)]
        homes = {one.py_func.__module__ for one in compiled}
        found += len(compiled)
        assert info.name not in homes or homes == {info.name}, f"{info.name} imports from {homes}"
    assert found > 10
