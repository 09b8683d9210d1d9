"""The report of a run that took place, and made-up runs held against it."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import pytest

from gridsim.report.page import render
from gridsim.report.tables import BATTERIES, COSTS, GRID, PROOF, RESOURCES, SAVINGS
from tests.gridsim.report.html_reading import Page
from tests.gridsim.report.synthetic import synthetic_run

if TYPE_CHECKING:
    from gridsim.run.result import Run

OPEN = {"findings", "finding_counts", "versions", "hashes"}
"""Mappings whose keys are the run's own: checks, packages, files."""


@pytest.fixture(scope="module")
def repaired(crowded_run: Run) -> Run:
    assert crowded_run.passed
    assert len(crowded_run.summary["rounds"]) > 1
    return crowded_run


def shape(value: Any, name: str = "") -> Any:
    """Keys and kinds of a summary, without its figures."""
    if isinstance(value, dict):
        if name in OPEN:
            return {str(shape(entry)) for entry in value.values()}
        return {key: shape(entry, key) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return str(value)
    return "number" if isinstance(value, Real) else type(value).__name__


def test_made_up_summaries_look_like_real_ones(repaired: Run) -> None:
    made_up, real = dict(synthetic_run().summary), dict(repaired.summary)
    for summary in (made_up, real):
        summary["rounds"] = [{**summary["rounds"][0], "seconds": {}}]
        summary["finding_counts"] = {}
    real["day"] = "2023-01-16"  # the small scenario starts at a moment instead
    assert shape(made_up) == shape(real)


def test_made_up_arrays_look_like_real_ones(repaired: Run) -> None:
    made_up, real = synthetic_run().data, repaired.data
    assert set(made_up.variables) == set(real.variables)
    for name in made_up.data_vars:
        assert made_up[name].dims == real[name].dims, name


def test_a_repaired_run_is_reported_with_all_its_figures(repaired: Run) -> None:
    page = Page(render(repaired))
    assert page.faults == []
    summary = repaired.summary
    groups = (COSTS, SAVINGS, *GRID, PROOF, BATTERIES, RESOURCES)
    unknown = [one.label for group in groups for one in group if one.value(summary) is None]
    assert unknown == []
