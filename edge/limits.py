"""What a device may ever be asked to do: six numbers, checked where they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

ROUNDING_KW = 5e-4
"""Half of the wire's smallest step (one watt): less than this over a limit is rounding."""


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """The limits of one battery, as its own controller knows them.

    Powers are at the terminals in kW and never negative; ``p_kw`` elsewhere is positive when the
    battery charges. State of charge is a fraction of `energy_kwh_max`.

    Attributes:
        p_charge_kw_max: largest charging power, kW.
        p_discharge_kw_max: largest discharging power, kW.
        s_kva_max: the converter's rating, kVA: ``p² + q² <= s_kva_max²``.
        soc_min: lowest state of charge that the battery may be taken to.
        soc_max: highest state of charge that the battery may be taken to.
        energy_kwh_max: energy in the full store, kWh.

    Raises:
        ValueError: on construction, naming every limit that makes no sense.
    """

    p_charge_kw_max: float
    p_discharge_kw_max: float
    s_kva_max: float
    soc_min: float
    soc_max: float
    energy_kwh_max: float

    def __post_init__(self) -> None:
        faults = self._own_faults()
        if faults:
            raise ValueError("device limits: " + "; ".join(faults))

    def faults(self, p_kw: float, q_kvar: float = 0.0) -> list[str]:
        """Why this set-point may not be sent, one sentence each; empty when it may.

        Args:
            p_kw: active power at the terminals, kW, positive charges.
            q_kvar: reactive power, kvar, positive absorbed.
        """
        if not (math.isfinite(p_kw) and math.isfinite(q_kvar)):
            return [f"a set-point must be finite, got {p_kw} kW and {q_kvar} kvar"]
        found = []
        if p_kw > self.p_charge_kw_max + ROUNDING_KW:
            found.append(f"charges {p_kw} kW; at most {self.p_charge_kw_max} kW")
        if -p_kw > self.p_discharge_kw_max + ROUNDING_KW:
            found.append(f"discharges {-p_kw} kW; at most {self.p_discharge_kw_max} kW")
        s_kva = math.hypot(p_kw, q_kvar)
        if s_kva > self.s_kva_max + ROUNDING_KW:
            found.append(f"carries {s_kva:.6g} kVA; at most {self.s_kva_max} kVA")
        return found

    def _own_faults(self) -> list[str]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        found = [f"{name} must be finite" for name, v in values.items() if not math.isfinite(v)]
        if found:
            return found
        powers = ("p_charge_kw_max", "p_discharge_kw_max", "s_kva_max")
        found = [f"{n} = {values[n]} must not be negative" for n in powers if values[n] < 0]
        if self.energy_kwh_max <= 0:
            found.append(f"energy_kwh_max = {self.energy_kwh_max} must be above 0")
        if not 0 <= self.soc_min <= self.soc_max <= 1:
            found.append(
                f"soc_min = {self.soc_min} and soc_max = {self.soc_max} must rise within 0 to 1"
            )
        return found
