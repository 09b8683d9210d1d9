"""What the gate found: what, where, when, value, limit."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Check(enum.Enum):
    """The rule that a finding belongs to."""

    DEVICE_LIMIT = "device limit"
    BATTERY_REPLAY = "battery replay"
    VOLTAGE = "voltage"
    LINE_LOADING = "line loading"
    TRANSFORMER_LOADING = "transformer loading"
    POWER_FLOW = "power flow"
    FLEET_RAMP = "fleet ramp"
    PLAN = "plan"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be.

    Attributes:
        check: the rule.
        element: the battery, bus, line or transformer, or "fleet".
        at: start of the interval, RFC 3339, or "" where it is about the whole horizon.
        value: what it would be, in `unit`.
        limit: what is allowed, in `unit`.
        unit: "pu", "1" (a fraction), "kW", "kWh", "kW/s" or "".
        without_batteries: the same quantity with every battery at rest, or None.
        text: the finding in words.
    """

    check: Check
    element: str
    at: str
    value: float
    limit: float
    unit: str
    text: str
    without_batteries: float | None = None

    def __str__(self) -> str:
        return self.text
