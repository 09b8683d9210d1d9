"""docs/glossary.md and the code use the same names, in the same units."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gridsim.grid import Grid, PowerFlow, nominal_profiles
from tests.contract.fresh import PACKAGES, ROOT
from twins import TECHNOLOGIES, BatterySpec, Fleet, TimeGrid, replay

if TYPE_CHECKING:
    from collections.abc import Callable

HOURS = TimeGrid.uniform("2023-01-16T00:00Z", dt.timedelta(hours=1), 2)

# Where the quantities live that a user meets.
MODULES = (
    "edge.limits",
    "twins.fleet",
    "twins.technology",
    "optimizer.problem",
    "optimizer.tables.network",
    "optimizer.tables.reserve",
    "optimizer.tables.trading",
    "optimizer.tables.tree",
    "optimizer.tables.units",
    "optimizer.plan",
    "dispatch.findings",
    "dispatch.gate",
    "dispatch.verdict",
    "gridsim.grid.tables",
)

# A field whose name holds one of these words is a quantity, and must be in the glossary.
UNIT_OF_WORD = {
    "kw": "kW", "kwh": "kWh", "kvar": "kvar", "kva": "kVA", "kv": "kV", "pu": "1", "soc": "1",
    "loading": "1", "efficiency": "1", "fraction": "1",
}  # fmt: skip
QUANTITY = re.compile(rf"(?:^|_)(?:{'|'.join(UNIT_OF_WORD)}|per|price|cost|seconds)(?:_|$)")


@cache
def glossary() -> dict[str, dict[str, str]]:
    """The rows of every table, by name."""
    rows: dict[str, dict[str, str]] = {}
    for line in (ROOT / "docs" / "glossary.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `"):
            keys = ("name", "meaning", "unit", "sign", "where")
            row = dict(zip(keys, cells, strict=True))
            name = row["name"].strip("`")
            assert name not in rows, f"{name} stands twice"
            rows[name] = row
    return rows


@cache
def code() -> str:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return "\n".join(path.read_text() for path in files)


def quantities() -> set[tuple[str, str]]:
    """(class, field) of every public dataclass field that names a quantity."""
    found = set()
    for module in map(importlib.import_module, MODULES):
        for kind in vars(module).values():
            if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__:
                names = [field.name for field in dataclasses.fields(kind)]
                found |= {(kind.__name__, name) for name in names if QUANTITY.search(name)}
    return {(kind, name) for kind, name in found if not name.startswith("_")}


def test_every_quantity_in_the_code_is_in_the_glossary() -> None:
    assert sorted(f"{kind}.{name}" for kind, name in quantities() if name not in glossary()) == []


def test_every_name_in_the_glossary_is_in_the_code() -> None:
    assert [name for name in glossary() if not re.search(rf"\b{name}\b", code())] == []


def test_each_row_is_complete_and_names_a_home_that_exists() -> None:
    for name, row in glossary().items():
        assert all(row[key] for key in ("meaning", "unit", "where")), name
        homes = re.findall(r"`([\w.]+)`", row["where"])
        assert homes, name
        assert [home for home in homes if not re.search(rf"\b{home}\b", code())] == [], name


def test_a_unit_in_a_name_is_its_unit() -> None:
    for name, row in glossary().items():
        quantity, _, per = name.partition("_per_")
        words = [UNIT_OF_WORD[word] for word in quantity.split("_") if word in UNIT_OF_WORD]
        divisor = {"kw": "kW", "kwh": "kWh", "h": "h"}.get(per)
        if words and not per:
            assert row["unit"] == words[-1], name
        if divisor:
            assert row["unit"].endswith(f"/{divisor}"), name


def a_replay() -> dict[str, str]:
    technology = next(iter(TECHNOLOGIES.values()))
    spec = BatterySpec("b", "s", technology, 10.0, 5.0, 5.0, 5.0)
    lived = replay(Fleet.from_specs([spec]), HOURS, np.array([[1.0, -1.0]]))
    return {str(name): values.attrs["units"] for name, values in lived.data_vars.items()}


def a_power_flow() -> dict[str, str]:
    grid = Grid.from_pandapower("case33bw")
    flow = PowerFlow(grid, nominal_profiles(grid, HOURS), {}).flow()
    return {str(name): values.attrs.get("units", "-") for name, values in flow.data_vars.items()}


@pytest.mark.parametrize("made", [a_replay, a_power_flow])
def test_a_dataset_speaks_the_glossary(made: Callable[[], dict[str, str]]) -> None:
    units = made()

    assert units == {name: glossary()[name]["unit"] for name in units if name in glossary()}
