"""Batteries listed in a CSV file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gridsim.scenario.csv_table import read_csv
from gridsim.scenario.sites import SiteMap, make_sites
from twins.faults import FAULTS_SHOWN_MAX, did_you_mean
from twins.fleet import Fleet, FleetError
from twins.technology import TECHNOLOGIES, technology_from_mapping

if TYPE_CHECKING:
    import numpy.typing as npt

    from gridsim.grid import Grid
    from gridsim.scenario.csv_table import CsvTable
    from gridsim.scenario.fleet_spec import FleetCsv, SiteGeneration
    from twins.faults import FaultList

    Floats = npt.NDArray[np.float64]

REQUIRED = ("battery_id", "energy_kwh_max", "p_charge_kw_max", "p_discharge_kw_max")
DEFAULTS = {
    "soc_min": 0.0,
    "soc_max": 1.0,
    "soc_initial": 0.5,
    "wear_cost_charge_per_kwh": 0.0,
    "wear_cost_discharge_per_kwh": 0.0,
    "capacity_fraction": 1.0,
}
_TEXT = ("battery_id", "site_id", "load", "bus", "technology")
_KNOWN = (*REQUIRED, *DEFAULTS, *_TEXT, "s_kva_max")
_ROW = re.compile(r"batteries\[(\d+)\]\.(\w+)")


@dataclass(frozen=True, eq=False)
class ListedBatteries:
    """Batteries as the file lists them, and where they say they stand.

    Attributes:
        fleet: the batteries.
        load, bus: shape (N,), label as written, "" where the row leaves it blank.
        table: the file, for faults that only the grid can tell.
    """

    fleet: Fleet
    load: npt.NDArray[np.object_]
    bus: npt.NDArray[np.object_]
    table: CsvTable


def read_fleet_csv(spec: FleetCsv, faults: FaultList) -> ListedBatteries | None:
    """The batteries in a file, or None with the faults noted, each with its line."""
    before = len(faults)
    table = read_csv(spec.path, None, faults, "fleet.csv.path")
    if len(faults) > before:
        return None
    _check_columns(table, faults)
    if len(faults) > before:
        return None
    if len(table) == 0:
        faults.add("fleet.csv.path", spec.path.name, "must list at least one battery")
        return None
    blank = np.full(len(table), "", dtype=object)
    load, bus = (table.columns.get(name, blank) for name in ("load", "bus"))
    _check_places(table, load, bus)
    fleet = _fleet(spec, table, np.where(load == "", bus, load), faults)
    if fleet is None or len(faults) > before:
        return None
    return ListedBatteries(fleet, load, bus, table)


def listed_sites(
    listed: ListedBatteries, grid: Grid, *, generation: SiteGeneration
) -> SiteMap | None:
    """The sites of listed batteries, or None with the faults noted where the file's faults are."""
    faults = listed.table.faults
    before = len(faults)
    loads = _rows(listed.table, "load", listed.load, grid.loads.label)
    buses = _rows(listed.table, "bus", listed.bus, grid.buses.label)
    if len(faults) > before:
        return None
    at_load = loads >= 0
    bus_of_load = grid.buses.positions(grid.loads.bus)
    buses = np.where(at_load, bus_of_load[np.maximum(loads, 0)], buses)
    ids, first, site = np.unique(listed.fleet.site_id, return_index=True, return_inverse=True)
    moved = (loads != loads[first][site]) | (buses != buses[first][site])
    column = "site_id" if "site_id" in listed.table.columns else "battery_id"
    listed.table.note(moved, column, "stands at another load or bus than its site's first battery")
    dead = ~grid.buses.energised[buses]
    listed.table.note(dead, column, "stands at a bus that is not energised")
    _check_overlap(listed.table, column, loads, buses, site, bus_of_load)
    if len(faults) > before:
        return None
    # Sites in the order of the file, not of their names.
    order = np.argsort(first, kind="stable")
    rows = first[order]
    return make_sites(grid, ids[order], loads[rows], buses[rows], generation=generation)


def _check_columns(table: CsvTable, faults: FaultList) -> None:
    for name in table.names:
        if name not in _KNOWN:
            allowed = f"unknown column; known are {', '.join(_KNOWN)}"
            faults.add(f"{table.path.name}, {name}", None, allowed, did_you_mean(name, _KNOWN))
    for name in REQUIRED:
        if name not in table.columns:
            faults.add(f"{table.path.name}, {name}", None, "this column is missing")
    if "load" not in table.columns and "bus" not in table.columns:
        faults.add(f"{table.path.name}, load", None, "a column load or bus is missing")


def _check_places(table: CsvTable, load: Any, bus: Any) -> None:
    column = "load" if "load" in table.columns else "bus"
    table.note((load == "") & (bus == ""), column, "name the battery's load or its bus")
    table.note((load != "") & (bus != ""), column, "name either a load or a bus, not both")


def _fleet(spec: FleetCsv, table: CsvTable, place: Any, faults: FaultList) -> Fleet | None:
    """The fleet; what is no number is noted, and a harmless one stands in for further checks."""
    columns: dict[str, Any] = {}
    for name in (*REQUIRED[1:], *DEFAULTS, "s_kva_max"):
        if name in table.columns:
            stand_in = DEFAULTS.get(name, 1.0 if name in REQUIRED else np.inf)
            columns[name] = _numbers(table, name, stand_in)
    power = np.maximum(columns["p_charge_kw_max"], columns["p_discharge_kw_max"])
    if "s_kva_max" in columns:
        rating = columns["s_kva_max"]
        columns["s_kva_max"] = np.where(np.isinf(rating), power, rating)
    technologies, index = _technologies(spec, table)
    site = table.columns.get("site_id", np.full(len(table), "", dtype=object))
    site = np.where(site == "", place, site)
    try:
        return Fleet.from_columns(
            battery_id=table.columns["battery_id"].astype(np.str_),
            # A missing place is noted already.
            site_id=np.where(site == "", "?", site).astype(np.str_),
            technologies=technologies,
            technology_index=index,
            **columns,
        )
    except FleetError as error:
        for fault in error.faults:
            row = _ROW.fullmatch(fault.where)
            where = table.place(int(row[1]), row[2]) if row else f"fleet.csv: {fault.where}"
            faults.add(where, fault.found, fault.allowed, fault.hint)
        return None


def _numbers(table: CsvTable, name: str, stand_in: float) -> Floats:
    """A column as numbers; blank is a fault where the column is required, else the default."""
    needed = np.full(len(table), name in REQUIRED) | (table.columns[name] != "")
    values = table.numbers(name, needed)
    return np.where(np.isnan(values), stand_in, values)


def _technologies(spec: FleetCsv, table: CsvTable) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """The technologies in use, and which of them each row has."""
    written = table.columns.get("technology", np.full(len(table), "", dtype=object))
    names, index = np.unique(written.astype(np.str_), return_inverse=True)
    made = []
    for at, name in enumerate(names.tolist()):
        if name in TECHNOLOGIES:
            made.append(TECHNOLOGIES[name])
            continue
        made.append(technology_from_mapping(spec.technology or "ideal"))
        column = "technology" if "technology" in table.columns else "battery_id"
        if name:
            allowed = f"must be one of {', '.join(TECHNOLOGIES)}"
            hint = did_you_mean(name, TECHNOLOGIES)
            table.note(index == at, column, f"{allowed} ({hint})" if hint else allowed)
        elif spec.technology is None:
            allowed = "names no technology, and fleet.csv.technology gives none for such rows"
            first = np.zeros(len(table), dtype=bool)
            first[np.argmax(index == at)] = True
            table.note(first, column, allowed)
    return made, index.astype(np.int64)


def _rows(table: CsvTable, column: str, wanted: Any, labels: Any) -> npt.NDArray[np.int64]:
    """Rows of named elements, -1 where a name is blank; a name that the grid lacks is a fault."""
    rows = {str(label): at for at, label in enumerate(labels.tolist())}
    found = np.array([rows.get(label, -1) for label in wanted], dtype=np.int64)
    unknown = np.flatnonzero((found < 0) & (wanted != ""))
    for row in unknown[:FAULTS_SHOWN_MAX]:
        label = str(wanted[row])
        hint = did_you_mean(label, rows)
        table.faults.add(table.place(int(row), column), label, "is not in the grid", hint)
    if unknown.size > FAULTS_SHOWN_MAX:
        more = f"{unknown.size - FAULTS_SHOWN_MAX} more rows"
        table.faults.add(f"{table.path.name}, {column}", more, "is not in the grid")
    return found


def _check_overlap(
    table: CsvTable, column: str, loads: Any, buses: Any, site: Any, bus_of_load: Any
) -> None:
    """Two sites must not share a load: its demand would be counted twice."""
    owner: dict[tuple[str, int], int] = {}
    double = np.zeros(len(table), dtype=bool)
    whole_bus = dict(zip(buses[loads < 0].tolist(), site[loads < 0].tolist(), strict=True))
    for row, (load, bus, one) in enumerate(zip(loads, buses, site, strict=True)):
        place = ("load", int(load)) if load >= 0 else ("bus", int(bus))
        double[row] = owner.setdefault(place, one) != one
        double[row] |= load >= 0 and int(bus) in whole_bus
    table.note(double, column, "shares its load with another site")
