"""`gridsim solve` and `gridsim verify`: exit codes, files, and words for 80 columns."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gridsim.cli.app import app
from optimizer.certificate import certify
from optimizer.plan_file import read_plan, write_plan

if TYPE_CHECKING:
    from click.testing import Result

CASES = Path(__file__).parent.parent.parent / "cases"
BROKEN = json.loads((CASES / "broken_problems" / "expected.json").read_text(encoding="utf-8"))


def gridsim(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(a) for a in arguments])


def problem(**more: Any) -> dict[str, Any]:
    return {
        "name": "two boxes",
        "time": {"start": "2023-01-16T00:00:00Z", "step_minutes": 60, "count": 4},
        "price_import_per_kwh": [0.1, 0.5, 0.2, 0.4],
        "batteries": [
            {
                "battery_id": name, "energy_kwh_max": 10, "energy_kwh_initial": 2,
                "p_charge_kw_max": 3, "p_discharge_kw_max": 3, "efficiency_charge": 0.95,
            }
            for name in ("left", "right")
        ],
        **more,
    }  # fmt: skip


def written(folder: Path, content: dict[str, Any], name: str = "problem.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_problem_leaves_nothing_behind(name: str, tmp_path: Path) -> None:
    result = gridsim("solve", CASES / "broken_problems" / f"{name}.json", "-o", tmp_path / "o.json")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for where, _, _ in BROKEN[name]:
        assert where in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_solve_prints_figures_and_writes_a_plan(tmp_path: Path) -> None:
    result = gridsim("solve", written(tmp_path, problem()), "-o", tmp_path / "plan.json")
    assert result.exit_code == 0, result.output
    assert "two boxes: 2 batteries, 4 intervals" in result.stdout
    assert "profit" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert read_plan(tmp_path / "plan.json").problem.name == "two boxes"


def test_solve_says_the_same_as_json(tmp_path: Path) -> None:
    result = gridsim("solve", written(tmp_path, problem()), "--json")
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert set(content) >= {
        "status", "stop_reason", "cost", "cost_idle", "profit", "profit_bound", "gap",
        "gap_absolute", "worst_violation", "bound_source", "breaches", "seconds", "solver",
        "peak_memory_mb", "problem_digest",
    }  # fmt: skip
    assert content["status"] == "optimal"
    assert set(content["seconds"]) == {"build", "solve", "extract", "certify"}


def unreachable(folder: Path) -> Path:
    content = problem()
    wanted = {"at": "2023-01-16T01:00:00Z", "energy_kwh_min": 9}
    content["batteries"][1]["targets"] = [wanted]
    return written(folder, content)


def test_an_unreachable_target_is_reported(tmp_path: Path) -> None:
    result = gridsim("solve", unreachable(tmp_path))
    assert result.exit_code == 0
    assert "broken: target of right at 2023-01-16T01:00:00Z: 4.15 kWh below" in result.stdout


def test_strict_names_it_and_writes_nothing(tmp_path: Path) -> None:
    result = gridsim("solve", unreachable(tmp_path), "--strict", "-o", tmp_path / "plan.json")
    assert result.exit_code == 3
    assert "target of right at 2023-01-16T01:00:00Z: 4.15 kWh below" in result.stderr
    assert not (tmp_path / "plan.json").exists()


@pytest.mark.parametrize("place", ["none/plan.json", "."])
def test_a_place_that_takes_no_file_is_found_out_first(tmp_path: Path, place: str) -> None:
    result = gridsim("solve", written(tmp_path, problem()), "-o", tmp_path / place)
    assert result.exit_code == 2
    assert "--output" in result.stderr
    assert result.stdout == ""


# Verify --------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    assert gridsim("solve", unreachable(tmp_path), "-o", path).exit_code == 0
    return path


def test_an_honest_plan_holds_alone(plan: Path, tmp_path: Path) -> None:
    (tmp_path / "problem.json").unlink()
    result = gridsim("verify", plan)
    assert result.exit_code == 0, result.output
    assert "the plan holds" in result.stdout
    content = json.loads(gridsim("verify", plan, "--json").stdout)
    assert content["holds"] is True
    assert content["bound_proven"] is True
    assert content["violations"] == content["doubts"] == content["notes"] == []


TAMPERED: dict[str, tuple[tuple[str | int, ...], Any, int, str]] = {
    "power": (("batteries", 0, "p_charge_kw", 0), 2.0, 1, "balance of left"),
    "beyond its limit": (("batteries", 0, "p_charge_kw", 0), 30.0, 1, "charge power of left"),
    "stored energy": (("batteries", 1, "energy_kwh", 2), 9.0, 1, "balance of right"),
    "claimed profit": (("certificate", "profit"), 99.0, 1, "the file says profit is 99"),
    "claimed cost": (("certificate", "cost"), -99.0, 1, "the file says cost is -99"),
    "claimed bound": (("certificate", "profit_bound"), 0.1, 1, "the file says profit_bound"),
    "claimed gap": (("certificate", "gap"), -1.0, 1, "the file says gap"),
    "breach removed": (("breaches",), [], 1, "target of right"),
    "breach played down": (("breaches", 0, "size"), 0.1, 1, "target of right"),
    "shown power": (("batteries", 0, "p_kw", 1), 0.0, 1, "batteries[0].p_kw[1]"),
    "prices": (("problem", "price_import_per_kwh"), 0.2, 1, "problem_digest"),
    "a larger battery": (("problem", "batteries", 0, "energy_kwh_max"), 50, 1, "problem_digest"),
    "digest": (("problem_digest",), "0" * 64, 1, "problem_digest is 0000000000000000…"),
    "status": (("status",), "perfect", 2, "status"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_plan_does_not_hold(plan: Path, what: str) -> None:
    path, value, code, words = TAMPERED[what]
    content = json.loads(plan.read_text())
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    plan.write_text(json.dumps(content))
    result = gridsim("verify", plan)
    assert result.exit_code == code, result.output
    said = " ".join((result.stdout if code == 1 else result.stderr).split())
    assert words in said
    assert "Traceback" not in result.stderr
    if code == 1:
        assert "the plan does not hold" in said
        answer = json.loads(gridsim("verify", plan, "--json").stdout)
        assert answer["holds"] is False
        assert answer["violations"] or answer["doubts"]


def test_a_forged_bound_does_not_close_the_gap(tmp_path: Path) -> None:
    """Powers to 0, and a solver that is said to have proven that nothing can be earned."""
    path = tmp_path / "plan.json"
    assert gridsim("solve", written(tmp_path, problem()), "-o", path).exit_code == 0
    content = json.loads(path.read_text())
    earned = content["certificate"]["profit"]
    assert earned > 1
    forged = dataclasses.replace(
        read_plan(path),
        **{name: np.zeros((2, 4)) for name in ("p_charge_kw", "p_discharge_kw")},
        energy_kwh=np.full((2, 5), 2.0),
        multipliers=None,
    )
    forged = dataclasses.replace(
        forged, solver=dataclasses.replace(forged.solver, binaries=1, bound=certify(forged).cost)
    )
    claimed = certify(forged, trust_solver=True)
    assert claimed.gap == 0
    write_plan(dataclasses.replace(forged, certificate=claimed), path)
    answer = json.loads(gridsim("verify", path, "--json").stdout)
    assert answer["bound_proven"] is False
    assert answer["bound_source"] == "multipliers"
    assert answer["profit_bound"] >= earned
    assert answer["gap"] > 1
    assert "cannot be proven from the file" in answer["notes"][0]
    said = " ".join(gridsim("verify", path).stdout.split())
    assert "rests on branch and bound and cannot be proven from the file" in said
    assert " 0.0000%" not in said


def stepped() -> dict[str, Any]:
    """Where branch and bound knows more than the multipliers do: two steps, room for one and a
    half."""
    content = problem(limits=[{"limit_id": "cable", "p_kw_max": 4.5}])
    for battery in content["batteries"]:
        battery |= {"power_levels": 1}
    return content


def test_an_honest_bound_of_branch_and_bound_is_named_as_unproven(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    assert gridsim("solve", written(tmp_path, stepped()), "-o", path).exit_code == 0
    stored = json.loads(path.read_text())["certificate"]
    assert stored["bound_source"] == "branch and bound"
    result = gridsim("verify", path, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["holds"] is True
    assert answer["bound_proven"] is False
    assert answer["gap"] > stored["gap"]
    content = json.loads(path.read_text())
    content["certificate"]["gap"] = -0.5
    path.write_text(json.dumps(content))
    assert gridsim("verify", path).exit_code == 1


def test_what_is_no_plan_is_refused(tmp_path: Path) -> None:
    result = gridsim("verify", written(tmp_path, problem()))
    assert result.exit_code == 2
    assert "problem_digest: is missing" in result.stderr
