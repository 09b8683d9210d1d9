"""Each row family on a four-step toy, frozen as the LP file that Pyomo writes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyomo.environ as pyo
import pytest

from optimizer.formulation import Layout, build_model, needs_binary
from optimizer.formulation.model import ROWS
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem

GOLDEN = Path(__file__).parent / "golden_lp"
PAGE = Path(__file__).parents[2] / "docs" / "formulation.md"
PRICES = [0.1, 0.3, -0.2, 0.4]
LOSSY = {"efficiency_charge": 0.9, "efficiency_discharge": 0.8, "standing_loss_per_h": 0.01}
SITE = {"group_id": "home", "is_site": True, "load_kw": [1, 2, 1, 0], "generation_kw": [0, 0, 4, 1]}
TIGHT = {"limit_id": "cap", "p_kw_max": [3, 3, np.inf, 3], "p_kw_min": [-2, -2, -2, -np.inf]}


def _toy(**changes: Any) -> DispatchProblem:
    return make_problem(**{"T": 4, "price_import": PRICES, **changes})


def _battery(**changes: Any) -> DispatchProblem:
    return _toy(batteries=[{**LOSSY, **changes}])


def _site(pays: list[float], earns: list[float], **changes: Any) -> DispatchProblem:
    site = {**SITE, "price_import_per_kwh": pays, "price_export_per_kwh": earns}
    return _toy(batteries=[{"group": "home"}], groups=[site], **changes)


_OUTSIDE = {"energy_kwh_initial": 2.0, "energy_kwh_min": 4.0, "p_charge_kw_max": 1.0}
_DEAR_EXPORT = ([0.1, 0.3, 0.2, 0.4], [0.2, 0.3, 0.1, 0.5])
_PIECES = {"end_value_per_kwh": [0.2, -0.1], "end_value_kwh": [3.0, 4.0]}
_LIMIT = {
    "batteries": [{}, {"group": "feeder"}],
    "groups": [{"group_id": "feeder", "load_kw": 1.0}],
}
_ROW = {"interval": 1, "weights": {"b0": 1.0, "b1": -0.5, "m0": 0.25, "feeder": 0.75, None: 0.125}}
_PEAK = {**TIGHT, "limit_id": "peak", "group": "feeder", "breach_price_per_kw": 2.0}


def _reserve(**changes: Any) -> DispatchProblem:
    """Two batteries, one of which keeps one product in two intervals."""
    product = {"p_kw_required": [1, 0, 2, 0], **changes}
    keeps = {**LOSSY, "provides_reserve": True, "group": "feeder", "energy_kwh_min": 1.0}
    return _toy(batteries=[{}, keeps], groups=[{"group_id": "feeder"}], reserves=[product])


TOYS: dict[str, DispatchProblem] = {
    "energy_balance": _battery(inflow_kw=[0, -0.5, 0, 0.2], p_charge_kw_max=[5, 0, 5, 5]),
    "band_min": _battery(**_OUTSIDE),
    "band_max": _battery(energy_kwh_initial=12.0, p_discharge_kw_max=0.5),
    "ramp_up": _battery(ramp_up_kw_per_h=2.0, p_kw_initial=1.0),
    "ramp_down": _toy(batteries=[{"ramp_down_kw_per_h": 2.0}], step_h=[1, 0.5, 0.5, 1]),
    "cycles_per_day": _toy(
        batteries=[{**LOSSY, "cycles_per_day_max": 0.5}], start=np.datetime64("2023-01-15T22:00")
    ),
    "target_min": _toy(batteries=[LOSSY], targets=[{"at_h": 1.25, "energy_kwh_min": 8.0}]),
    "target_max": _toy(batteries=[LOSSY], targets=[{"at_h": 3.0, "energy_kwh_max": 2.0}]),
    "end_energy": _battery(end_value_per_kwh=[0.3, 0.1], end_value_kwh=[2.0, 5.0]),
    "end_beyond": _battery(**_PIECES),
    "end_filled": _battery(**_PIECES, energy_kwh_max=8.0),
    "charge_on": _battery(),
    "discharge_off": _battery(efficiency_charge=1.2),
    "discharge_on": _battery(p_discharge_kw_min=2.0),
    "charge_off": _battery(p_discharge_kw_min=2.0, inflow_kw=0.1),
    "one_direction": _battery(power_levels=1),
    "charge_least": _battery(p_charge_kw_min=2.0, p_charge_kw_max=[5, 1, 5, 5]),
    "discharge_least": _battery(power_levels=1, p_charge_kw_max=0.0),
    "charge_steps": _battery(power_levels=3, p_discharge_kw_max=0.0),
    "discharge_steps": _battery(power_levels=3),
    "charge_room": _battery(power_levels=1, inflow_kw=[0, 0.5, 0, 0]),
    "discharge_room": _battery(p_charge_kw_min=2.0, p_discharge_kw_min=2.0, energy_kwh_min=1.0),
    "group_net": _toy(**_LIMIT, generators=[{"group": "feeder"}], limits=[TIGHT]),
    "site_balance": _site([0.2, 0.3, 0.1, 0.4], [0.1, 0.3, 0.1, 0.3]),
    "site_import_mode": _site(*_DEAR_EXPORT),
    "site_export_mode": _site(*_DEAR_EXPORT, limits=[{**TIGHT, "group": "home"}]),
    "limit_max": _toy(**_LIMIT, limits=[{**TIGHT, "group": "feeder"}]),
    "limit_min": _toy(**_LIMIT, limits=[{**TIGHT, "breach_price_per_kw": 2.0}]),
    "peak_max": _toy(**_LIMIT, limits=[{**_PEAK, "breach_price_per_kwh": 1.0}]),
    "peak_min": _toy(**_LIMIT, limits=[TIGHT, {**_PEAK, "breach_price_per_kwh": 1.0}]),
    "network_max": _toy(**_LIMIT, generators=[{}], network=[{**_ROW, "p_kw_max": 2.0}]),
    "network_min": _toy(
        **_LIMIT,
        generators=[{}],
        network=[
            {**_ROW, "p_kw_max": 2.0, "p_kw_min": -1.0, "breach_price_per_kwh": 0.5},
            {"interval": 2, "weights": {"b1": 1.0}, "p_kw_min": 0.5},
        ],
    ),
    "reserve_charge": _reserve(is_up=False),
    "reserve_discharge": _reserve(),
    "reserve_energy_min": _reserve(duration_h=0.5),
    "reserve_energy_max": _reserve(is_up=False, duration_h=2.0, group="feeder"),
    "reserve_kept": _reserve(breach_price_per_kwh=0.2, duration_h=0.0),
    "limit_ramp_up": _toy(
        **_LIMIT, limits=[{"group": "feeder", "ramp_up_kw_per_h": 2.0}], step_h=[1, 0.5, 0.5, 1]
    ),
    "limit_ramp_down": _toy(
        **_LIMIT,
        limits=[{"ramp_down_kw_per_h": 2.0, "p_kw_initial": 3.0, "breach_price_per_kwh": 0.5}],
    ),
    "position": _toy(
        **_LIMIT,
        positions=[
            {"p_kw": [1, 2, 0, -1], "price_above_per_kwh": 0.5, "price_below_per_kwh": -0.1},
            {"group": "feeder", "p_kw": 1.0, "price_above_per_kwh": [0, 0.2, 0, 0]},
        ],
    ),
    "power_change": _toy(
        batteries=[
            {
                "p_kw_previous": [1, np.nan, -2, 0],
                "change_price_per_kwh": 0.1,
                "p_charge_kw_max": [5, 5, 0, 5],
            },
            {"p_kw_previous": 1.0},
        ]
    ),
}
NAMES = [add.__name__ for add in ROWS]


def _model(problem: DispatchProblem) -> pyo.ConcreteModel:
    return build_model(Layout(problem, needs_binary(problem)))


def _statements(text: str) -> dict[str, list[str]]:
    """An LP file as its statements by section, sorted: the order of rows and terms says nothing."""
    sections: dict[str, list[str]] = {}
    section, row = "", ""
    body = re.sub(r"\\\*.*?\*\\", "", text, flags=re.DOTALL)
    for line in filter(None, map(_plain, body.splitlines())):
        if line in ("min", "s.t.", "bounds", "binary", "general", "end"):
            section, row = line, ""
            sections.setdefault(section, [])
        elif line.endswith(":"):
            row = line
            sections[section].append(row)
        elif row:
            sections[section].append(f"{row} {line}")
        else:
            sections[section].append(line)
    return {name: sorted(lines) for name, lines in sections.items()}


def _plain(line: str) -> str:
    """A line with its numbers to ten digits: the last ones differ between machines."""
    number = r"(?<![\w(])[+-]?\d+(\.\d+)?([eE][+-]?\d+)?(?![\w)])"
    return re.sub(number, lambda found: f"{float(found[0]):+.10g}", line.strip())


def _written(problem: DispatchProblem, path: Path) -> str:
    _model(problem).write(str(path), io_options={"symbolic_solver_labels": True})
    return path.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_as_they_were_frozen(name: str, tmp_path: Path) -> None:
    golden = GOLDEN / f"{name}.lp"
    problem = TOYS[name]
    assert _model(problem).component(name) is not None, "the toy does not show its rows"
    written = _written(problem, tmp_path / "model.lp")
    if os.environ.get("GRIDSIM_WRITE_GOLDEN"):
        golden.write_text(written)
    assert _statements(written) == _statements(golden.read_text())


def test_a_function_adds_the_rows_of_its_own_name_and_no_others() -> None:
    for problem in TOYS.values():
        found = {row.name for row in _model(problem).component_objects(pyo.Constraint)}
        assert found <= set(NAMES)


def test_the_page_has_a_row_for_every_row_family_and_no_other() -> None:
    """The page's tables name the rows in their first column and the function in their last."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    rows = [(cell[0], cell[-1]) for cell in cells if cell[-1].startswith("formulation.")]
    places = [(f.__name__, f"{f.__module__.removeprefix('optimizer.')}.{f.__name__}") for f in ROWS]
    assert sorted(rows) == sorted(places)


def test_nothing_is_built_that_cannot_bind() -> None:
    """No columns for a unit that is away, no rows for infinite limits and ramps, no site meter."""
    away = {"p_charge_kw_max": [5, 0, 0, 5], "p_discharge_kw_max": 0.0}
    site = {"group_id": "home", "is_site": True, "load_kw": 1.0, "price_import_per_kwh": 0.2}
    one_price = {**site, "price_export_per_kwh": 0.2}
    model = _model(
        _toy(
            batteries=[{**away, "group": "home"}],
            groups=[one_price],
            limits=[{"p_kw_max": [np.inf, 2.0, np.inf, np.inf]}],
        )
    )
    columns = {var.name: len(var) for var in model.component_objects(pyo.Var) if len(var)}
    rows = {row.name: len(row) for row in model.component_objects(pyo.Constraint)}
    assert columns == {"p_charge_kw": 2, "energy_kwh": 4, "net_kw": 1, "breach_above_kw": 1}
    assert rows == {"energy_balance": 4, "group_net": 1, "limit_max": 1}
