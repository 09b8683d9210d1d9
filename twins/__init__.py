"""What we believe about an asset: time, batteries, and how they behave. Imports `edge` alone."""

from twins.faults import Fault, FaultList, InvalidInputError, did_you_mean
from twins.fleet import BatterySpec, Fleet, FleetError
from twins.parameters import TechnologyError
from twins.projection import project_ageing
from twins.replay import replay
from twins.technology import (
    TECHNOLOGIES,
    Ageing,
    ConverterLoss,
    Taper,
    Technology,
    Thermal,
    technology_from_mapping,
)
from twins.timegrid import TimeGrid, iso, to_utc
from twins.uncertainty import Uncertainty

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
