"""The physics of one battery, compiled: what a piece of time does to it.

Between two ticks of its controller's clock a battery has fixed power limits, and `step` moves
energy through the converter. On the tick, `tick` takes the standing losses, moves the temperature
and sets the limits anew (Lie splitting). `observe` says what would be read in between. Nothing here
keeps state: each function takes numbers and gives numbers, for one battery. `walk_rows` leads a
fleet through time with them; rows never look at each other, so the result is the same bits on any
number of threads.

Every battery is one record of `PARAMETERS`, all in kW, kWh, hours and °C.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from twins.clock import TICK_H
from twins.jit import compiled, compiled_parallel, prange

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PARAMETERS = np.dtype(
    [
        (name, np.float64)
        for name in (
            "capacity_kwh",
            "energy_kwh_min",
            "energy_kwh_max",
            "energy_kwh_initial",
            "temperature_c_initial",
            "p_charge_kw_max",
            "p_discharge_kw_max",
            "p_kw_rated",
            "s_kva_max",
            # Converter loss, already in kW, 1 and 1/kW.
            "charge_standby_kw",
            "charge_linear",
            "charge_quadratic_per_kw",
            "discharge_standby_kw",
            "discharge_linear",
            "discharge_quadratic_per_kw",
            "idle_kw",
            "store_efficiency_charge",
            "store_efficiency_discharge",
            "resistance_per_kw",
            "keep_per_h",
            "constant_loss_kw",
            # Taper: from this energy on, the share of power falls by so much for each kWh.
            "charge_taper_kwh",
            "charge_fall_per_kwh",
            "charge_share_end",
            "discharge_taper_kwh",
            "discharge_fall_per_kwh",
            "discharge_share_end",
            "charge_cold_stop_c",
            "charge_cold_start_c",
            "discharge_cold_stop_c",
            "discharge_cold_start_c",
            "hot_start_c",
            "hot_stop_c",
            "heat_capacity_kwh_per_k",
            "conductance_kw_per_k",
            # The same over one whole tick, so that the common case needs no power or exponential.
            "keep_tick",
            "decay_tick",
            "rise_tick_c_per_kwh",
        )
    ]
)


@compiled
def step(
    b: Any,
    energy_kwh: float,
    p_kw: float,
    p_charge_kw_limit: float,
    p_discharge_kw_limit: float,
    hours: float,
) -> tuple[float, float, float]:
    """Ask for `p_kw` (positive charges) over `hours` between two ticks.

    Returns:
        Mean power delivered at the terminals (kW), stored energy after it (kWh), and the heat that
        it left in the cells (kWh).
    """
    if p_kw > 0.0 and p_charge_kw_limit > 0.0:
        return _charge(b, energy_kwh, min(p_kw, p_charge_kw_limit), hours)
    if p_kw < 0.0 and p_discharge_kw_limit > 0.0:
        return _discharge(b, energy_kwh, min(-p_kw, p_discharge_kw_limit), hours)
    if energy_kwh <= b.energy_kwh_min:
        return 0.0, energy_kwh, 0.0
    return 0.0, max(b.energy_kwh_min, energy_kwh - b.idle_kw * hours), 0.0


@compiled
def _charge(b: Any, energy_kwh: float, p_kw: float, hours: float) -> tuple[float, float, float]:
    room_kwh = b.energy_kwh_max - energy_kwh
    if room_kwh <= 0.0:
        # Full: the terminals feed the electronics, and the store is left alone.
        return min(p_kw, b.idle_kw), energy_kwh, 0.0
    loss_kw = b.charge_standby_kw + p_kw * (b.charge_linear + p_kw * b.charge_quadratic_per_kw)
    inner_kw = p_kw - loss_kw
    if inner_kw <= 0.0:
        # Less than the converter itself needs: it keeps what comes, and nothing is stored.
        return p_kw, energy_kwh, 0.0
    rate_kw = b.store_efficiency_charge * inner_kw * (1.0 - b.resistance_per_kw * inner_kw)
    if rate_kw * hours <= room_kwh:
        return p_kw, energy_kwh + rate_kw * hours, (inner_kw - rate_kw) * hours
    # Full before the piece ends: it works until then, and only feeds its electronics afterwards.
    busy_h = room_kwh / rate_kw
    held_kw = min(p_kw, b.idle_kw)
    mean_kw = held_kw + (p_kw - held_kw) * (busy_h / hours)
    return mean_kw, b.energy_kwh_max, (inner_kw - rate_kw) * busy_h


@compiled
def _discharge(b: Any, energy_kwh: float, p_kw: float, hours: float) -> tuple[float, float, float]:
    left_kwh = energy_kwh - b.energy_kwh_min
    if left_kwh <= 0.0:
        return 0.0, energy_kwh, 0.0
    loss_kw = b.discharge_standby_kw + p_kw * (
        b.discharge_linear + p_kw * b.discharge_quadratic_per_kw
    )
    inner_kw = p_kw + loss_kw
    rate_kw = inner_kw * (1.0 + b.resistance_per_kw * inner_kw) / b.store_efficiency_discharge
    if rate_kw * hours <= left_kwh:
        return -p_kw, energy_kwh - rate_kw * hours, (rate_kw - inner_kw) * hours
    # Empty before the piece ends: it works until then, and rests afterwards.
    busy_h = left_kwh / rate_kw
    return -p_kw * (busy_h / hours), b.energy_kwh_min, (rate_kw - inner_kw) * busy_h


@compiled
def drained(b: Any, energy_kwh: float, hours: float) -> float:
    """Stored energy after `hours` of standing and constant loss, which stop at the band's foot."""
    if energy_kwh <= b.energy_kwh_min:
        return energy_kwh
    keep = b.keep_tick if hours == TICK_H else b.keep_per_h**hours
    return float(max(b.energy_kwh_min, energy_kwh * keep - b.constant_loss_kw * hours))


@compiled
def warmed(b: Any, temperature_c: float, heat_kwh: float, ambient_c: float, hours: float) -> float:
    """Cell temperature after `hours` at `ambient_c` with `heat_kwh` spread evenly over them."""
    if b.heat_capacity_kwh_per_k == 0.0:
        return float(ambient_c)
    if b.conductance_kw_per_k == 0.0:
        return float(temperature_c + heat_kwh / b.heat_capacity_kwh_per_k)
    if hours == TICK_H:
        decay, rise = b.decay_tick, b.rise_tick_c_per_kwh
    else:
        decay = math.exp(-hours * b.conductance_kw_per_k / b.heat_capacity_kwh_per_k)
        rise = (1.0 - decay) / (hours * b.conductance_kw_per_k)
    return float(ambient_c + (temperature_c - ambient_c) * decay + heat_kwh * rise)


@compiled
def limits(b: Any, energy_kwh: float, temperature_c: float) -> tuple[float, float]:
    """Charging and discharging power limits (kW, not negative) until the next tick."""
    charge, discharge = 1.0, 1.0
    if energy_kwh > b.charge_taper_kwh:
        fallen = 1.0 - b.charge_fall_per_kwh * (energy_kwh - b.charge_taper_kwh)
        charge = max(b.charge_share_end, fallen)
    if energy_kwh < b.discharge_taper_kwh:
        fallen = 1.0 - b.discharge_fall_per_kwh * (b.discharge_taper_kwh - energy_kwh)
        discharge = max(b.discharge_share_end, fallen)
    if b.hot_start_c < temperature_c:
        hot = (b.hot_stop_c - temperature_c) / (b.hot_stop_c - b.hot_start_c)
        charge, discharge = charge * max(0.0, hot), discharge * max(0.0, hot)
    if temperature_c < b.charge_cold_start_c:
        span = b.charge_cold_start_c - b.charge_cold_stop_c
        charge *= max(0.0, (temperature_c - b.charge_cold_stop_c) / span)
    if temperature_c < b.discharge_cold_start_c:
        span = b.discharge_cold_start_c - b.discharge_cold_stop_c
        discharge *= max(0.0, (temperature_c - b.discharge_cold_stop_c) / span)
    return charge * b.p_charge_kw_max, discharge * b.p_discharge_kw_max


@compiled
def reactive(b: Any, p_kw: float, q_kvar: float) -> float:
    """What of `q_kvar` the converter can carry beside `p_kw`; active power comes first."""
    if q_kvar == 0.0:
        return 0.0
    most = math.sqrt(max(0.0, b.s_kva_max * b.s_kva_max - p_kw * p_kw))
    return max(-most, min(most, q_kvar))


@compiled_parallel
def walk_rows(records: Any, p_kw: Floats, q_kvar: Floats, clock: Any, made: Any) -> None:
    """Walk every record through a clock's pieces into `made`, a `twins.walk.Walk`."""
    for row in prange(records.size):
        command = row % p_kw.shape[0]
        _walk_row(records[row], p_kw[command], q_kvar, command, clock, made, row)


@compiled
def _walk_row(
    b: Any, p_kw: Floats, q_kvar: Floats, command: int, clock: Any, made: Any, row: int
) -> None:
    first, hours, since_tick_h, closes, ambient_c = clock
    energy, temperature, heat, moved = b.energy_kwh_initial, b.temperature_c_initial, 0.0, 0.0
    charge_limit, discharge_limit = limits(b, energy, temperature)
    made.energy_kwh[row, 0] = energy
    made.soc[row, 0] = energy / b.capacity_kwh
    made.temperature_c[row, 0] = temperature
    for t in range(p_kw.size):
        wanted = p_kw[t]
        missed, reacted, length = 0.0, 0.0, 0.0
        for k in range(first[t], first[t + 1]):
            h = hours[k]
            p, after, warmth = step(b, energy, wanted, charge_limit, discharge_limit, h)
            if wanted != 0.0:
                moved += abs(after - energy)
            missed += (wanted - p) * h
            length += h
            if q_kvar.shape[0] > 0:
                reacted += reactive(b, p, q_kvar[command, t]) * h
            energy, heat = after, heat + warmth
            if closes[k]:
                energy = drained(b, energy, since_tick_h[k])
                temperature = warmed(b, temperature, heat, ambient_c[k], since_tick_h[k])
                charge_limit, discharge_limit = limits(b, energy, temperature)
                heat = 0.0
        last = first[t + 1] - 1
        seen_energy, seen_temperature = energy, temperature
        if not closes[last]:
            # Between ticks the walk goes on from the unsplit state; only the reading is split.
            seen_energy = drained(b, energy, since_tick_h[last])
            seen_temperature = warmed(b, temperature, heat, ambient_c[last], since_tick_h[last])
        # Rounding in the mean must not carry it over a limit, or past zero.
        most = min(max(wanted, 0.0), b.p_charge_kw_max)
        least = max(min(wanted, 0.0), -b.p_discharge_kw_max)
        p_mean = max(least, min(most, wanted - missed / length))
        made.p_kw[row, t] = p_mean
        made.p_shortfall_kw[row, t] = wanted - p_mean
        if q_kvar.shape[0] > 0:
            made.q_kvar[row, t] = reacted / length
        made.energy_kwh[row, t + 1] = seen_energy
        made.soc[row, t + 1] = seen_energy / b.capacity_kwh
        made.temperature_c[row, t + 1] = seen_temperature
        made.loss_kwh[row, t] = p_mean * length - (seen_energy - made.energy_kwh[row, t])
        made.charged_kwh[row] += max(0.0, p_mean) * length
        made.discharged_kwh[row] += max(0.0, -p_mean) * length
    made.moved_kwh[row] = moved
