"""Problems whose tables do not fit together are refused, with the column or row named."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from optimizer.problem import DispatchProblem, ProblemError
from optimizer.table_checks import TABLES, columns_of
from tests.optimizer.problems import make_problem

OF_ENTRIES = {"entry_start", "entry_unit", "entry_group", "weight"}
NO_ARRAY = {"where", "battery_id", "generator_id", "group_id", "limit_id", "row_id", "position_id",
            "reserve_id"}  # fmt: skip


def full_problem() -> DispatchProblem:
    """Every table has rows: two batteries, one row of each other kind, three intervals."""
    return make_problem(
        3,
        batteries=[{"group": "g0", "p_kw_previous": 1.0, "provides_reserve": True}, {}],
        groups=[{}],
        limits=[{"group": "g0", "p_kw_max": 4.0}],
        generators=[{"group": "g0"}],
        targets=[{"interval": 2, "energy_kwh_min": 3.0}],
        network=[{"weights": {"g0": 1.0}, "p_kw_max": 5.0}],
        positions=[{"group": "g0"}],
        reserves=[{"group": "g0", "p_kw_required": 1.0}],
    )


def refused(table: str, **columns: Any) -> ProblemError:
    problem = full_problem()
    changed = replace(getattr(problem, table), **columns)
    with pytest.raises(ProblemError) as caught:
        replace(problem, **{table: changed})
    return caught.value


COLUMNS = [(table, column) for table in TABLES for column in sorted(columns_of(table))]


def test_every_column_of_every_table_is_looked_at() -> None:
    problem = full_problem()
    for table in TABLES:
        columns = {column.name for column in fields(getattr(problem, table))}
        assert columns - NO_ARRAY - OF_ENTRIES == columns_of(table)


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_with_a_row_too_many_is_named(table: str, column: str) -> None:
    values = getattr(getattr(full_problem(), table), column)
    longer = np.concatenate([values, values[:1]])
    error = refused(table, **{column: longer})
    assert [fault.where for fault in error.faults] == [f"{table}.{column}"]
    assert str(longer.shape) in str(error)
    assert str(values.shape) in str(error)


@pytest.mark.parametrize(
    ("table", "column"),
    [pair for pair in COLUMNS if getattr(getattr(full_problem(), pair[0]), pair[1]).ndim == 2],
)
@pytest.mark.parametrize("change", [1, -1])
def test_a_column_of_the_wrong_length_in_time_is_named(
    table: str, column: str, change: int
) -> None:
    values = getattr(getattr(full_problem(), table), column)
    wrong = np.concatenate([values, values[:, :1]], axis=1) if change > 0 else values[:, :-1]
    error = refused(table, **{column: wrong})
    assert any(fault.where.startswith(f"{table}.") for fault in error.faults)
    assert "shape" in str(error)


@pytest.mark.parametrize("name", ["price_import_per_kwh", "price_export_per_kwh"])
@pytest.mark.parametrize("shape", [(2,), (4,), (1, 3)])
def test_prices_of_another_horizon_are_named(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ProblemError, match=name):
        replace(full_problem(), **{name: np.full(shape, 0.1)})


REFERENCES = [
    ("batteries", "group", "battery[0].group"),
    ("generators", "group", "generator[0].group"),
    ("groups", "parent", "group[0].parent"),
    ("limits", "group", "limit[0].group"),
    ("positions", "group", "position[0].group"),
    ("reserves", "group", "reserve[0].group"),
    ("targets", "battery", "target[0].battery"),
    ("targets", "interval", "target[0].interval"),
    ("network", "interval", "network[0].interval"),
    ("network", "entry_unit", "network[0].entry_unit"),
    ("network", "entry_group", "network[0].entry_group"),
]


@pytest.mark.parametrize(("table", "column", "where"), REFERENCES)
@pytest.mark.parametrize("index", [-2, 3, 1000])
def test_a_reference_to_nothing_is_named(table: str, column: str, where: str, index: int) -> None:
    values = getattr(getattr(full_problem(), table), column).copy()
    values[0] = index
    error = refused(table, **{column: values})
    assert [(fault.where, fault.found) for fault in error.faults] == [(where, str(index))]


def test_a_group_where_there_is_none_is_named() -> None:
    problem = make_problem()
    wrong = replace(problem.batteries, group=np.array([0]))
    with pytest.raises(ProblemError, match=r"battery\[0\].group"):
        replace(problem, batteries=wrong)


@pytest.mark.parametrize("column", ["group", "power_levels"])
def test_whole_numbers_are_asked_for(column: str) -> None:
    values = getattr(full_problem().batteries, column).astype(float)
    assert f"batteries.{column}: float64" in str(refused("batteries", **{column: values}))


def test_flags_are_asked_for() -> None:
    error = refused("batteries", provides_reserve=np.ones(2))
    assert "must be true or false" in str(error)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_moment_outside_its_interval_is_named(share: float) -> None:
    assert "target[0].share" in str(refused("targets", share=np.array([share])))


def test_all_that_does_not_fit_is_named_at_once() -> None:
    error = refused("batteries", group=np.zeros(5, dtype=int), inflow_kw=np.zeros((2, 9)))
    assert {fault.where for fault in error.faults} == {"batteries.group", "batteries.inflow_kw"}
