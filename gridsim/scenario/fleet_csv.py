"""Batteries listed in a CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridsim.scenario.fleet_spec import FleetCsv
    from twins.faults import FaultList


def read_fleet_csv(spec: FleetCsv, faults: FaultList) -> None:
    return None
