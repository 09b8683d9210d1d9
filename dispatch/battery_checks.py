"""Whether the devices would accept a plan, and whether the twins can follow it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from dispatch.findings import Check, Finding
from twins.timegrid import iso

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from twins import Fleet

    Floats = npt.NDArray[np.float64]

_SLACK_KW = 1e-6
_SHORT_IN_SCENARIOS = (
    "delivers less than {least:.0%} of the planned energy in {share:.0%} of the parameter "
    "scenarios (allowed in {allowed:.0%})"
)


@dataclass(frozen=True)
class Tolerance:
    """How far the twin may stay behind the plan before that is a finding.

    Attributes:
        shortfall_kw_share: of a battery's rated power, in any interval.
        shortfall_kwh_share: of a battery's usable energy, summed over the horizon.
        scenario_share: share of uncertainty scenarios in which the fleet may deliver less than
            `fleet_energy_share`, and a battery less than `battery_energy_share`, of its plan.
        fleet_energy_share: least delivered share of the planned energy in a scenario.
        battery_energy_share: the same for one battery. Its draw is its own while the fleet's
            average out, so it falls short about four times as far: with a standard deviation of
            2 % in capacity and in first charge, a battery that cycles twice lacks less than 4 % of
            its plan; with 5 % and 3 %, every second battery lacks more than 5 %.
    """

    shortfall_kw_share: float = 0.10
    shortfall_kwh_share: float = 0.05
    scenario_share: float = 0.05
    fleet_energy_share: float = 0.95
    battery_energy_share: float = 0.95

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{field.name} must be a share from 0 to 1, got {value}")


def limit_findings(fleet: Fleet, p_kw: xr.DataArray) -> list[Finding]:
    """Set-points that a device would refuse."""
    power, starts = p_kw.to_numpy(), p_kw["time"].to_numpy()
    top = np.minimum(fleet.p_charge_kw_max, fleet.s_kva_max)[:, None]
    bottom = -np.minimum(fleet.p_discharge_kw_max, fleet.s_kva_max)[:, None]
    limit = np.where(power > 0, top, bottom)
    beyond = np.abs(power) > np.abs(limit) + _SLACK_KW
    return [
        _finding(
            fleet,
            int(row),
            Check.DEVICE_LIMIT,
            iso(starts[at]),
            (float(power[row, at]), float(limit[row, at]), "kW"),
            "is asked for {value:.3f} kW; its limit is {limit:.3f} kW",
        )
        for row, at in np.argwhere(beyond)
    ]


def replay_findings(
    fleet: Fleet, p_kw: xr.DataArray, nominal: xr.Dataset, hours: Floats, tolerance: Tolerance
) -> list[Finding]:
    """Batteries whose nominal twin stays behind the plan, in an interval or in all."""
    short = np.abs(nominal["p_shortfall_kw"].to_numpy())
    starts = p_kw["time"].to_numpy()
    allowed_kw = fleet.p_kw_rated * tolerance.shortfall_kw_share
    worst = short.argmax(axis=1)
    most = short.max(axis=1)
    findings = [
        _finding(
            fleet,
            int(row),
            Check.BATTERY_REPLAY,
            iso(starts[worst[row]]),
            (float(most[row]), float(allowed_kw[row]), "kW"),
            "stays {value:.3f} kW behind the plan (allowed {limit:.3f} kW)",
        )
        for row in np.flatnonzero(most > allowed_kw + _SLACK_KW)
    ]
    missing = short @ hours
    usable = (fleet.soc_max - fleet.soc_min) * fleet.capacity_kwh
    allowed_kwh = usable * tolerance.shortfall_kwh_share
    findings += [
        _finding(
            fleet,
            int(row),
            Check.BATTERY_REPLAY,
            "",
            (float(missing[row]), float(allowed_kwh[row]), "kWh"),
            "stays {value:.3f} kWh behind the plan in all (allowed {limit:.3f} kWh)",
        )
        for row in np.flatnonzero(missing > allowed_kwh + _SLACK_KW)
    ]
    return findings


def scenario_findings(
    fleet: Fleet, p_kw: xr.DataArray, lived: xr.Dataset, hours: Floats, tolerance: Tolerance
) -> list[Finding]:
    """Whether the fleet, and each battery of it, delivers in nearly every parameter scenario."""
    if "scenario" not in lived.dims:
        return []
    planned = np.abs(p_kw.to_numpy()) @ hours
    short = np.abs(lived["p_shortfall_kw"].to_numpy()) @ hours
    allowed, least = tolerance.scenario_share, tolerance.fleet_energy_share
    delivered = 1.0 - short.sum(axis=1) / max(float(planned.sum()), 1e-9)
    poor = float((delivered < least).mean())
    findings = []
    if poor > allowed:
        text = f"the fleet {_SHORT_IN_SCENARIOS.format(share=poor, least=least, allowed=allowed)}"
        findings.append(Finding(Check.BATTERY_REPLAY, "fleet", "", poor, allowed, "1", text))
    least = tolerance.battery_energy_share
    # A battery that is hardly used may miss any share of that: then its band is the measure.
    usable = (fleet.soc_max - fleet.soc_min) * fleet.capacity_kwh
    often = (short > (1.0 - least) * np.maximum(planned, usable) + _SLACK_KW).mean(axis=0)
    for row in np.flatnonzero(often > allowed):
        share, name = float(often[row]), str(fleet.battery_id[row])
        words = _SHORT_IN_SCENARIOS.format(share=share, least=least, allowed=allowed)
        text = f"battery {name} {words}"
        findings.append(Finding(Check.BATTERY_REPLAY, name, "", share, allowed, "1", text))
    return findings


def ramp_findings(
    p_kw: xr.DataArray,
    instants: npt.NDArray[np.datetime64],
    limit_kw_per_s: float,
    ramp_s: float,
) -> list[Finding]:
    """The fleet's change of power at each edge, as fast as devices spread it.

    Before the first interval and after the last one the fleet is at rest.
    """
    fleet_kw = np.concatenate([[0.0], p_kw.to_numpy().sum(axis=0), [0.0]])
    rate = np.abs(np.diff(fleet_kw)) / ramp_s
    findings = []
    for at in np.flatnonzero(rate > limit_kw_per_s):
        when = iso(instants[at])
        text = f"the fleet changes by {rate[at]:.3f} kW/s at {when} (allowed {limit_kw_per_s:.3f})"
        findings.append(
            Finding(Check.FLEET_RAMP, "fleet", when, float(rate[at]), limit_kw_per_s, "kW/s", text)
        )
    return findings


def _finding(
    fleet: Fleet,
    row: int,
    check: Check,
    at: str,
    numbers: tuple[float, float, str],
    words: str,
) -> Finding:
    name = str(fleet.battery_id[row])
    value, limit, unit = numbers
    when = f" at {at}" if at else ""
    text = f"battery {name} {words.format(value=value, limit=limit)}{when}"
    return Finding(check, name, at, value, limit, unit, text)
