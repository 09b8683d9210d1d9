"""What can be steered: batteries, generators, and the energies wanted of batteries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from optimizer.tables.columns import left_out, spread

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Batteries:
    """Batteries and charging sessions, one row each.

    Attributes:
        battery_id: the rows' names, length N.
        where: path of each row in the document it came from, for error texts.
        is_session: shape (N,), true for a charging session.
        group: shape (N,), index of the group or site the unit sits in, or `NO_GROUP`.
        energy_kwh_initial: shape (N,), stored energy at instant 0. May lie outside the band.
        energy_kwh_min: shape (N, T+1), lower edge of the band by instant (instant 0 is not used).
        energy_kwh_max: shape (N, T+1), upper edge of the band by instant.
        p_charge_kw_max: shape (N, T), at the terminals, ≥ 0; availability is already applied.
        p_discharge_kw_max: shape (N, T), as a positive number.
        p_charge_kw_min: shape (N,), least charging power when charging; 0 for none.
        p_discharge_kw_min: shape (N,), least discharging power when discharging.
        power_levels: shape (N,), number of equal steps to full power (1: on/off), 0: continuous.
        efficiency_charge: shape (N, T), terminal to store.
        efficiency_discharge: shape (N, T), store to terminal.
        standing_loss_per_h: shape (N,), compounds as ``(1 - loss)**hours``.
        inflow_kw: shape (N, T), net gain of the store beside the converter (usage < 0).
        wear_cost_charge_per_kwh: shape (N,), at the terminals.
        wear_cost_discharge_per_kwh: shape (N,), at the terminals.
        cycles_per_day_max: shape (N,), equivalent full cycles a UTC day; inf for none.
        ramp_up_kw_per_h: shape (N,), largest rise of ``p_kw`` between the means of neighbouring
            intervals, per hour between their midpoints; inf for none.
        ramp_down_kw_per_h: shape (N,), largest fall, as a positive number.
        p_kw_initial: shape (N,), power before the first interval, nan where the first is free.
        end_value_per_kwh: shape (N, P), value of energy left at the last instant, by piece,
            non-increasing along a row.
        end_value_kwh: shape (N, P), the pieces' widths, counted from an empty store; inf allowed.
        p_kw_previous: shape (N, T), power in the plan before this one, nan for none; left out, none
            has any.
        change_price_per_kwh: shape (N,), ≥ 0, price of each kWh by which the power differs from
            the previous plan's; left out, 0.
        provides_reserve: shape (N,), rows that keep reserves of their groups; left out, none.
    """

    battery_id: tuple[str, ...]
    where: tuple[str, ...]
    is_session: npt.NDArray[np.bool_]
    group: Ints
    energy_kwh_initial: Floats
    energy_kwh_min: Floats
    energy_kwh_max: Floats
    p_charge_kw_max: Floats
    p_discharge_kw_max: Floats
    p_charge_kw_min: Floats
    p_discharge_kw_min: Floats
    power_levels: Ints
    efficiency_charge: Floats
    efficiency_discharge: Floats
    standing_loss_per_h: Floats
    inflow_kw: Floats
    wear_cost_charge_per_kwh: Floats
    wear_cost_discharge_per_kwh: Floats
    cycles_per_day_max: Floats
    ramp_up_kw_per_h: Floats
    ramp_down_kw_per_h: Floats
    p_kw_initial: Floats
    end_value_per_kwh: Floats
    end_value_kwh: Floats
    p_kw_previous: Floats = field(default_factory=left_out)
    change_price_per_kwh: Floats = field(default_factory=left_out)
    provides_reserve: npt.NDArray[np.bool_] = field(default_factory=left_out)

    def __post_init__(self) -> None:
        shape = self.p_charge_kw_max.shape
        spread(
            self,
            p_kw_previous=(np.nan, shape),
            change_price_per_kwh=(0.0, shape[:1]),
            provides_reserve=(False, shape[:1]),
        )

    def __len__(self) -> int:
        return len(self.battery_id)

    @property
    def energy_kwh_rated(self) -> Floats:
        """The largest energy the band ever allows, shape (N,): what one full cycle means."""
        return np.asarray(self.energy_kwh_max.max(axis=1))

    @property
    def is_discrete(self) -> npt.NDArray[np.bool_]:
        """Rows with a least power or with equal steps, shape (N,)."""
        least = (self.p_charge_kw_min > 0) | (self.p_discharge_kw_min > 0)
        return np.asarray((self.power_levels > 0) | least)


@dataclass(frozen=True, eq=False)
class Generators:
    """Curtailable generation: any output between a least and the available power.

    Attributes:
        generator_id: names, length M.
        where: path of each row in its document.
        group: shape (M,), index of the group it feeds, or `NO_GROUP`.
        p_kw_available: shape (M, T), ≥ 0.
        p_kw_min: shape (M, T), ≥ 0, what cannot be curtailed.
        cost_per_kwh: shape (M,), cost of what is generated.
    """

    generator_id: tuple[str, ...]
    where: tuple[str, ...]
    group: Ints
    p_kw_available: Floats
    p_kw_min: Floats
    cost_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.generator_id)


@dataclass(frozen=True, eq=False)
class Targets:
    """Stored energy wanted at a moment, which may lie inside an interval.

    Attributes:
        where: path of each row in its document.
        battery: shape (K,), row of the battery.
        interval: shape (K,), the interval that contains the moment.
        share: shape (K,), share of that interval that has passed, in (0, 1].
        energy_kwh_min: shape (K,), −inf for none.
        energy_kwh_max: shape (K,), +inf for none.
        breach_price_per_kwh: shape (K,), price of missing or surplus energy; 0: firm.
    """

    where: tuple[str, ...]
    battery: Ints
    interval: Ints
    share: Floats
    energy_kwh_min: Floats
    energy_kwh_max: Floats
    breach_price_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.where)

    @property
    def is_firm(self) -> npt.NDArray[np.bool_]:
        """Targets without a price of their own, shape (K,)."""
        return np.asarray(self.breach_price_per_kwh == 0)
