"""Plans and problems on disk: what goes in comes out, and what was changed is found out."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from optimizer.certificate import certify, check
from optimizer.plan_file import (
    contradictions,
    plan_document,
    plan_from_document,
    read_plan,
    write_plan,
)
from optimizer.problem import ProblemError
from optimizer.reading import read_problem
from optimizer.solve import solve
from optimizer.whole_file import whole_file
from optimizer.writing import problem_document
from tests.optimizer.problems import make_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optimizer.plan import Plan
    from optimizer.problem import DispatchProblem

INTERVALS = 4


def _number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


def _series(low: float, high: float) -> st.SearchStrategy[float | list[float]]:
    one = _number(low, high)
    return one | st.lists(one, min_size=INTERVALS, max_size=INTERVALS)


@st.composite
def batteries(draw: st.DrawFn, groups: list[str | None]) -> dict[str, Any]:
    pieces = draw(st.integers(1, 3))
    values = sorted(draw(st.lists(_number(-1, 1), min_size=pieces, max_size=pieces)), reverse=True)
    widths = draw(st.lists(_number(0.1, 20), min_size=pieces, max_size=pieces))
    row = {
        "group": draw(st.sampled_from(groups)),
        "energy_kwh_initial": draw(_number(0, 20)),
        "energy_kwh_min": draw(_number(0, 5)),
        "energy_kwh_max": draw(
            _number(5, 20) | st.lists(_number(5, 20), min_size=5, max_size=5).map(list)
        ),
        "p_charge_kw_max": draw(_series(2, 9)),
        "p_discharge_kw_max": draw(_series(2, 9)),
        "efficiency_charge": draw(_series(0.5, 1.1)),
        "inflow_kw": draw(_series(-2, 2)),
        "standing_loss_per_h": draw(_number(0, 0.5)),
        "wear_cost_discharge_per_kwh": draw(_number(0, 0.1)),
        "cycles_per_day_max": draw(st.just(np.inf) | _number(0, 3)),
        "ramp_up_kw_per_h": draw(st.just(np.inf) | _number(0, 9)),
        "p_kw_initial": draw(st.just(np.nan) | _number(-2, 2)),
        "end_value_per_kwh": values,
        "end_value_kwh": [np.inf] if pieces == 1 else widths,
    }
    steps = draw(st.sampled_from(["none", "levels", "least"]))
    if steps == "levels":
        row["power_levels"] = draw(st.integers(1, 4))
    if steps == "least":
        row["p_charge_kw_min"] = draw(_number(0, 2))
    return row


@st.composite
def problems(draw: st.DrawFn) -> DispatchProblem:
    """Problems in the order of a document: sites first, targets by battery."""
    sites = [f"site {at}" for at in range(draw(st.integers(0, 2)))]
    above = [f"group {at}" for at in range(draw(st.integers(0, 2)))]
    groups = [
        {
            "group_id": name, "is_site": True, "parent": draw(st.sampled_from([None, *above])),
            "load_kw": draw(_series(0, 5)), "generation_kw": draw(_series(0, 5)),
            "price_import_per_kwh": draw(_series(0.1, 1)),
            "price_export_per_kwh": draw(_series(0, 0.1)),
        }
        for name in sites
    ]  # fmt: skip
    groups += [
        {"group_id": name, "parent": draw(st.sampled_from([None, *above[:at]]))}
        for at, name in enumerate(above)
    ]
    places = [None, *sites, *above]
    count = draw(st.integers(1, 2))
    limits = [
        {
            "group": draw(st.sampled_from(places)),
            "p_kw_max": draw(_number(0, 9) | st.just([3.0, np.inf, 2.0, np.inf])),
            "p_kw_min": draw(st.just(-np.inf) | _number(-9, 0)),
            "breach_price_per_kwh": draw(st.just(0.0) | _number(0.5, 2)),
            "breach_price_per_kw": draw(st.just(0.0) | _number(0.5, 2)),
        }
        for _ in range(draw(st.integers(0, 2)))
    ]
    targets = [
        {
            "battery": battery, "interval": draw(st.integers(0, INTERVALS - 1)),
            "share": draw(st.integers(1, 30)) / 30, "energy_kwh_min": draw(_number(0, 8)),
            "breach_price_per_kwh": draw(st.just(0.0) | _number(0.5, 2)),
        }
        for battery in range(count)
        for _ in range(draw(st.integers(0, 2)))
    ]  # fmt: skip
    return make_problem(
        T=INTERVALS,
        step_h=draw(st.sampled_from([0.5, 1.0, [0.5, 1.0, 0.25, 2.0]])),
        batteries=[draw(batteries(places)) for _ in range(count)],
        generators=[{"group": draw(st.sampled_from(places)), "p_kw_available": draw(_series(1, 5))}]
        * draw(st.integers(0, 1)),
        groups=groups,
        limits=limits,
        targets=targets,
        price_import=draw(_series(-0.5, 1)),
        price_export=draw(_series(-0.5, 0.1)),
    )


@given(problems())
@settings(max_examples=150)
def test_a_problem_made_in_code_survives_its_document(problem: DispatchProblem) -> None:
    text = json.dumps(problem_document(problem), allow_nan=False)
    assert read_problem(json.loads(text)).digest == problem.digest


@given(problems())
@settings(max_examples=25)
def test_a_plan_survives_its_file(problem: DispatchProblem) -> None:
    plan = solve(problem)
    again = plan_from_document(json.loads(json.dumps(plan_document(plan), allow_nan=False)), "plan")
    for name in ("p_charge_kw", "p_discharge_kw", "energy_kwh", "generation_kw"):
        assert np.array_equal(getattr(again, name), getattr(plan, name)), name
    for name, values in vars(plan.multipliers).items() if plan.multipliers else ():
        assert np.array_equal(getattr(again.multipliers, name), values, equal_nan=True), name
    assert again.certificate == plan.certificate == certify(again, trust_solver=True)
    assert (again.status, again.stop_reason, again.breaches) == (
        plan.status, plan.stop_reason, plan.breaches,
    )  # fmt: skip
    assert again.solver == plan.solver
    assert again.digest == plan.digest


def unusual_problem() -> DispatchProblem:
    """Groups before sites, targets in no order, sessions among batteries: only code makes these."""
    return make_problem(
        T=4,
        batteries=[
            {"battery_id": "car", "is_session": True, "group": "home"},
            {"battery_id": "box", "group": "feeder"},
        ],
        groups=[
            {"group_id": "feeder"},
            {
                "group_id": "home", "is_site": True, "parent": "feeder", "load_kw": 1.0,
                "price_import_per_kwh": [0.1, 0.5, 0.2, 0.4], "price_export_per_kwh": 0.05,
            },
        ],
        limits=[{"group": "feeder", "p_kw_max": 4.0}],
        targets=[
            {"battery": "box", "interval": 3, "energy_kwh_min": 9.0},
            {"battery": "car", "interval": 2, "energy_kwh_min": 8.0},
        ],
        price_import=[0.1, 0.5, 0.2, 0.4],
    )  # fmt: skip


def test_a_plan_of_an_unusual_problem_is_read_again_and_still_proven(tmp_path: Path) -> None:
    plan = solve(unusual_problem())
    write_plan(plan, tmp_path / "plan.json")
    again = read_plan(tmp_path / "plan.json")
    assert np.array_equal(again.p_kw, plan.p_kw)
    assert check(again) == []
    assert certify(again).profit_bound == pytest.approx(plan.certificate.profit_bound, rel=1e-12)


def test_a_plan_without_a_bound_of_the_solver_can_be_written(tmp_path: Path) -> None:
    plan = solve(make_problem())
    unproven = dataclasses.replace(
        plan, solver=dataclasses.replace(plan.solver, bound=float("nan")), multipliers=None
    )
    write_plan(unproven, tmp_path / "plan.json")
    assert np.isnan(read_plan(tmp_path / "plan.json").solver.bound)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """One with everything that can be tampered with: a breach, a target, a generator."""
    problem = make_problem(
        T=4,
        batteries=[{"energy_kwh_initial": 2.0, "p_charge_kw_max": 1.0}, {}],
        generators=[{"p_kw_available": [0.0, 1.0, 2.0, 3.0]}],
        targets=[{"battery": 0, "interval": 1, "energy_kwh_min": 9.0}],
        price_import=[0.1, 0.4, 0.2, 0.5],
    )
    return solve(problem)


@pytest.fixture
def content(plan: Plan) -> dict[str, Any]:
    return json.loads(json.dumps(plan_document(plan)))


def test_an_honest_file_contradicts_itself_nowhere(content: dict[str, Any]) -> None:
    assert list(contradictions(content, plan_from_document(content, "plan"))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("batteries", 0, "p_kw", 2), 9.5),
        (("batteries", 1, "soc", 3), 0.123),
        (("targets", 0, "missing_kwh"), 0.0),
        (("targets", 0, "energy_kwh"), 9.0),
        (("time", 1), "2023-01-16T03:00:00Z"),
        (("breaches", 0, "text"), "nothing to see"),
        (("targets",), []),
        (("problem_digest",), "0" * 64),
    ],
)
def test_what_follows_from_the_plan_must_agree_with_it(
    content: dict[str, Any], path: tuple[str | int, ...], value: object
) -> None:
    *above, last = path
    inner: Any = content
    for key in above:
        inner = inner[key]
    inner[last] = value
    found = list(contradictions(content, plan_from_document(content, "plan")))
    assert len(found) == 1
    assert str(path[0]) in found[0]


@pytest.mark.parametrize("changed", [True, False])
def test_a_problem_with_another_digest_is_read_with_a_note(
    content: dict[str, Any], changed: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A version that reckons digests in another way must not lose the plans of the one before."""
    path = tmp_path / "plan.json"
    if changed:
        content["problem_digest"] = "0" * 64
    path.write_text(json.dumps(content))
    again = read_plan(path)
    assert check(again) == []
    assert [
        f"{path}: the file says problem_digest is 0000" in note for note in caplog.messages
    ] == ([True] if changed else [])


def _set(*path: str | int) -> Callable[[dict[str, Any], object], None]:
    def change(content: dict[str, Any], value: object) -> None:
        inner: Any = content
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("schema_version",), 2, "schema_version"),
        (("status",), "splendid", "status"),
        (("stop_reason",), None, "stop_reason"),
        (("certificate",), {"cost": 1}, "certificate.profit"),
        (("certificate", "profit"), "much", "certificate.profit"),
        (("certificate", "profit"), float("nan"), "certificate.profit"),
        (("solver",), [], "solver"),
        (("breaches", 0, "at"), "noon", "breaches[0].at"),
        (("breaches", 0, "size"), None, "breaches[0].size"),
        (("batteries", 0), 7, "batteries[0]"),
        (("batteries", 0, "p_charge_kw", 1), "x", "batteries[0].p_charge_kw[1]"),
        (("batteries", 0, "p_charge_kw", 1), float("inf"), "batteries[0].p_charge_kw[1]"),
        (("batteries", 0, "p_charge_kw"), [1.0], "b0.p_charge_kw"),
        (("batteries", 0, "battery_id"), "b7", "batteries"),
        (("batteries",), [], "batteries"),
        (("generators",), [], "generators"),
        (("multipliers", "energy_value_per_kwh", "shape"), [3, 3], "multipliers.energy_value"),
        (("multipliers", "ramp_up_per_kw"), None, "multipliers.ramp_up_per_kw"),
        (("problem_digest",), 7, "problem_digest"),
        (("problem",), [], "problem"),
        (("problem",), {}, "price_import_per_kwh"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_by_path(
    content: dict[str, Any], path: tuple[str | int, ...], value: object, where: str
) -> None:
    _set(*path)(content, value)
    with pytest.raises(ProblemError) as caught:
        plan_from_document(content, "plan.json")
    assert any(fault.where.startswith(where) for fault in caught.value.faults), caught.value


def test_a_problem_file_is_no_plan() -> None:
    with pytest.raises(ProblemError, match="problem_digest"):
        plan_from_document(problem_document(make_problem()), "problem.json")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_what_was_there(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "plan.json"
    path.write_text("old")

    def write_half() -> None:
        with whole_file(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["ü" * 127, "a" * 255, "plan.json"])
def test_any_name_that_the_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    with whole_file(tmp_path / name) as partial:
        partial.write_text("whole")
    assert (tmp_path / name).read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_two_writers_in_one_process_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with whole_file(path) as first:
        first.write_text("first")
        with whole_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_to_no_folder_or_to_a_folder_names_it(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        write_plan(plan, tmp_path / "none" / "plan.json")
    assert missing.value.filename == str(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        write_plan(plan, tmp_path)


def test_a_pipe_is_written_through(plan: Plan) -> None:
    read_end, write_end = os.pipe()
    try:
        with whole_file(f"/dev/fd/{write_end}") as path:
            path.write_text("plan")
        assert os.read(read_end, 10) == b"plan"
    finally:
        os.close(read_end)
        os.close(write_end)
