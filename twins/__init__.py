"""What we believe about an asset: time, batteries, and how they behave. Imports `edge` alone.

Everything in `__all__` is loaded when it is first used: a fault or a time grid needs no compiler.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twins.faults import Fault as Fault
    from twins.faults import FaultList as FaultList
    from twins.faults import InvalidInputError as InvalidInputError
    from twins.faults import did_you_mean as did_you_mean
    from twins.fleet import BatterySpec as BatterySpec
    from twins.fleet import Fleet as Fleet
    from twins.fleet import FleetError as FleetError
    from twins.parameters import TechnologyError as TechnologyError
    from twins.projection import project_ageing as project_ageing
    from twins.replaying import replay as replay
    from twins.technology import TECHNOLOGIES as TECHNOLOGIES
    from twins.technology import Ageing as Ageing
    from twins.technology import ConverterLoss as ConverterLoss
    from twins.technology import Taper as Taper
    from twins.technology import Technology as Technology
    from twins.technology import Thermal as Thermal
    from twins.technology import technology_from_mapping as technology_from_mapping
    from twins.timegrid import TimeGrid as TimeGrid
    from twins.timegrid import iso as iso
    from twins.timegrid import to_utc as to_utc
    from twins.uncertainty import Uncertainty as Uncertainty

# Where each public name lives. Type checkers read the imports above; a test keeps the two alike.
_HOMES = {
    "TECHNOLOGIES": "twins.technology",
    "Ageing": "twins.technology",
    "BatterySpec": "twins.fleet",
    "ConverterLoss": "twins.technology",
    "Fault": "twins.faults",
    "FaultList": "twins.faults",
    "Fleet": "twins.fleet",
    "FleetError": "twins.fleet",
    "InvalidInputError": "twins.faults",
    "Taper": "twins.technology",
    "Technology": "twins.technology",
    "TechnologyError": "twins.parameters",
    "Thermal": "twins.technology",
    "TimeGrid": "twins.timegrid",
    "Uncertainty": "twins.uncertainty",
    "did_you_mean": "twins.faults",
    "iso": "twins.timegrid",
    "project_ageing": "twins.projection",
    "replay": "twins.replaying",
    "technology_from_mapping": "twins.technology",
    "to_utc": "twins.timegrid",
}

__all__ = [
    "TECHNOLOGIES",
    "Ageing",
    "BatterySpec",
    "ConverterLoss",
    "Fault",
    "FaultList",
    "Fleet",
    "FleetError",
    "InvalidInputError",
    "Taper",
    "Technology",
    "TechnologyError",
    "Thermal",
    "TimeGrid",
    "Uncertainty",
    "did_you_mean",
    "iso",
    "project_ageing",
    "replay",
    "technology_from_mapping",
    "to_utc",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'twins' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
