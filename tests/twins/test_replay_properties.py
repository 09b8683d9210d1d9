"""What holds for every battery, whatever it is asked to do."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twins.fleets import hours_grid, mixed_fleet, one_battery
from twins import TECHNOLOGIES, TimeGrid, Uncertainty, replay

COUNT = 40
HOURS = 24
seeds = st.integers(0, 2**32 - 1)
examples = settings(max_examples=25)


def _commands(seed: int, intervals: int, spread_kw: float = 8.0) -> np.ndarray:
    """Powers that often exceed the limits, and are often zero."""
    rng = np.random.default_rng(seed)
    p_kw = rng.uniform(-spread_kw, spread_kw, (COUNT, intervals))
    return np.where(rng.random(p_kw.shape) < 0.2, 0.0, p_kw)


def _irregular_grid(seed: int) -> TimeGrid:
    """Intervals of odd lengths, most of whose edges lie between two ticks of the clock."""
    seconds = np.cumsum(np.random.default_rng(seed).integers(1, 5000, 20))
    start = np.datetime64("2023-03-26T00:00:07", "ns")
    return TimeGrid(start + np.concatenate([[0], seconds]).astype("timedelta64[s]"))


@examples
@given(seed=seeds, ambient_c=st.floats(-30, 60), irregular=st.booleans())
def test_no_limit_is_ever_broken(seed, ambient_c, irregular):
    fleet = mixed_fleet(COUNT, seed)
    grid = _irregular_grid(seed) if irregular else hours_grid(30, HOURS)
    p_kw = _commands(seed, len(grid))
    q_kvar = _commands(seed + 1, len(grid))
    lived = replay(fleet, grid, p_kw, q_kvar, temperature_ambient_c=ambient_c)
    assert (lived.p_kw <= fleet.p_charge_kw_max[:, None]).all()
    assert (lived.p_kw >= -fleet.p_discharge_kw_max[:, None]).all()
    s_kva = np.hypot(lived.p_kw, lived.q_kvar)
    assert (s_kva <= fleet.s_kva_max[:, None] * (1 + 1e-9)).all()
    # Nothing beyond what was asked, and never the other direction.
    assert (np.abs(lived.p_kw) <= np.abs(p_kw) + 1e-9).all()
    assert (lived.p_kw * p_kw >= 0).all()
    assert (np.abs(lived.q_kvar) <= np.abs(q_kvar) + 1e-9).all()
    _check_band(fleet, lived)


def _check_band(fleet, lived):
    """Energy stays in its band from when it is inside, and only moves towards it before."""
    energy = lived.energy_kwh.values
    low = (fleet.soc_min * fleet.capacity_kwh)[:, None]
    high = (fleet.soc_max * fleet.capacity_kwh)[:, None]
    tiny = 1e-12 * fleet.capacity_kwh[:, None]
    before, after = energy[:, :-1], energy[:, 1:]
    assert (after >= np.minimum(low, before) - tiny).all()
    assert (after <= np.maximum(high, before) + tiny).all()
    assert ((after <= before + tiny) | (before <= high)).all()
    assert ((after >= before - tiny) | (before >= low)).all()


@examples
@given(seed=seeds, irregular=st.booleans())
def test_the_energy_balance_closes_and_losses_are_never_negative(seed, irregular):
    fleet = mixed_fleet(COUNT, seed)
    grid = _irregular_grid(seed) if irregular else hours_grid(30, HOURS)
    lived = replay(fleet, grid, _commands(seed, len(grid)))
    through_kwh = lived.p_kw.values @ grid.step_h
    stored_kwh = lived.energy_kwh.values[:, -1] - lived.energy_kwh.values[:, 0]
    np.testing.assert_allclose(stored_kwh + lived.loss_kwh.sum("time"), through_kwh, atol=1e-9)
    assert (lived.loss_kwh >= -1e-12).all()


@examples
@given(seed=seeds)
def test_energies_do_not_depend_on_step_length(seed):
    fleet = mixed_fleet(COUNT, seed)
    hourly_kw = _commands(seed, HOURS)
    coarse = replay(fleet, hours_grid(60, HOURS), hourly_kw)
    for minutes in (30, 15, 5, 4, 1):
        times = 60 // minutes
        grid = hours_grid(minutes, HOURS)
        fine = replay(fleet, grid, np.repeat(hourly_kw, times, axis=1))
        for name in ("energy_kwh", "temperature_c", "soc"):
            np.testing.assert_allclose(
                fine[name].values[:, ::times], coarse[name], rtol=1e-9, atol=1e-9
            )


@examples
@given(seed=seeds)
def test_an_edge_anywhere_between_ticks_changes_nothing_at_the_others(seed):
    fleet = mixed_fleet(COUNT, seed)
    whole = _irregular_grid(seed)
    p_kw = _commands(seed, len(whole))
    middle = whole.starts + np.diff(whole.instants) // 3
    split = TimeGrid(np.sort(np.concatenate([whole.instants, middle])))
    fine = replay(fleet, split, np.repeat(p_kw, 2, axis=1))
    coarse = replay(fleet, whole, p_kw)
    np.testing.assert_allclose(
        fine.energy_kwh.values[:, ::2], coarse.energy_kwh, rtol=1e-9, atol=1e-9
    )


@examples
@given(
    technology=st.sampled_from(list(TECHNOLOGIES)),
    soc=st.floats(0, 1),
    powers=st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
)
def test_more_power_asked_for_never_stores_less(technology, soc, powers):
    grid = hours_grid(5, 1 / 12)
    fleet = one_battery(technology, soc_initial=soc)
    low, high = (float(replay(fleet, grid, [[p_kw]]).energy_kwh[0, -1]) for p_kw in sorted(powers))
    assert low <= high + 1e-12


@examples
@given(seed=seeds)
def test_the_same_bits_on_one_thread_and_on_two(seed):
    fleet = mixed_fleet(COUNT, seed)
    grid = hours_grid(30, HOURS)
    p_kw = _commands(seed, len(grid))
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = replay(fleet, grid, p_kw, p_kw, uncertainty=Uncertainty(3, seed=seed))
        numba.set_num_threads(before)
        together = replay(fleet, grid, p_kw, p_kw, uncertainty=Uncertainty(3, seed=seed))
    finally:
        numba.set_num_threads(before)
    assert alone.identical(together)


@examples
@given(seed=seeds)
def test_a_battery_does_not_feel_its_neighbours(seed):
    fleet = mixed_fleet(COUNT, seed)
    grid = hours_grid(30, 6)
    p_kw = _commands(seed, len(grid))
    together = replay(fleet, grid, p_kw)
    order = np.random.default_rng(seed).permutation(COUNT)[:7]
    some = replay(fleet.select(fleet.battery_id[order]), grid, p_kw[order])
    assert some.identical(together.isel(battery=order))


def test_charging_raises_energy_and_discharging_lowers_it():
    grid = hours_grid(30, 1)
    fleet = mixed_fleet(COUNT, soc_initial=0.5)
    charged = replay(fleet, grid, np.full((COUNT, 2), 1.0))
    discharged = replay(fleet, grid, np.full((COUNT, 2), -1.0))
    assert (charged.energy_kwh[:, -1] > charged.energy_kwh[:, 0]).all()
    assert (discharged.energy_kwh[:, -1] < discharged.energy_kwh[:, 0]).all()
    assert charged.p_kw.attrs["sign"] == "positive charges"


def test_reactive_power_gives_way_to_active_power():
    fleet = one_battery("ideal", s_kva_max=5.0)
    grid = hours_grid(30, 1)
    lived = replay(fleet, grid, [[3.0, 5.0]], [[-10.0, 10.0]])
    assert lived.p_kw.values[0] == pytest.approx([3.0, 5.0])
    assert lived.q_kvar.values[0] == pytest.approx([-4.0, 0.0])
