"""The other commands, some of them as a shell runs them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from gridsim.cli.app import app
from gridsim.cli.runs import print_run
from gridsim.scenario import load_scenario
from optimizer.plan_file import read_plan
from optimizer.reading import read_problem
from tests.gridsim.studies import small_scenario

if TYPE_CHECKING:
    from click.testing import Result

    from gridsim.run.result import Run

ROOT = Path(__file__).parent.parent.parent.parent
ENVIRONMENT = {**os.environ, "COLUMNS": "80"}
SHELL = [sys.executable, "-m", "gridsim"]


def gridsim(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(a) for a in arguments])


def in_shell(*arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*SHELL, *map(str, arguments)]
    return subprocess.run(
        command, env=ENVIRONMENT, cwd=folder, capture_output=True, text=True, check=False
    )


def fits(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


def test_the_version_is_the_packages() -> None:
    done = in_shell("--version")
    assert done.returncode == 0
    assert done.stdout == f"gridsim {metadata.version('gridsim')}\n"


@pytest.mark.parametrize(
    "command",
    [[], ["run"], ["compare"], ["solve"], ["verify"], ["schema"], ["scenario"],
     ["scenario", "check"]],
)  # fmt: skip
def test_help_is_whole_sentences_in_80_columns(command: list[str]) -> None:
    result = gridsim(*command, "--help")
    assert result.exit_code == 0
    assert fits(result.stdout)
    cut_off = [line for line in result.stdout.splitlines() if line.endswith("...")]
    assert [line for line in cut_off if not line.startswith("Usage:")] == []


# Scenarios and schemas -----------------------------------------------------------------------


def test_list_names_what_is_shipped() -> None:
    result = gridsim("scenario", "list")
    assert fits(result.stdout)
    rows = json.loads(gridsim("scenario", "list", "--json").stdout)
    assert {row["name"] for row in rows} == {"street", "town", "region"}
    assert all(row["name"] in result.stdout and row["description"] for row in rows)


def test_show_prints_a_scenario_that_can_be_loaded_again(tmp_path: Path) -> None:
    shown = gridsim("scenario", "show", "street").stdout
    assert yaml.safe_load(shown) == json.loads(
        gridsim("scenario", "show", "street", "--json").stdout
    )
    path = tmp_path / "again.yaml"
    path.write_text(shown)
    assert load_scenario(path).as_mapping() == load_scenario("street").as_mapping()


def test_check_says_ok_or_every_fault(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    content = small_scenario(tmp_path)
    good.write_text(yaml.safe_dump(content))
    bad.write_text(yaml.safe_dump({**content, "currncy": "EUR", "horizon": {"day": "soon"}}))
    result = gridsim("scenario", "check", good, bad)
    assert result.exit_code == 2
    assert "15 batteries" in result.stdout
    assert "currncy" in result.stderr
    assert "did you mean 'currency'?" in result.stderr
    assert "horizon.day" in result.stderr
    reports = json.loads(gridsim("scenario", "check", good, bad, "--json").stdout)
    assert [report["ok"] for report in reports] == [True, False]
    where = " ".join(fault["where"] for fault in reports[1]["faults"])
    assert "currncy" in where
    assert "horizon.day" in where


def test_the_scenario_schema_takes_the_shipped_files() -> None:

    schema = json.loads(gridsim("schema", "scenario").stdout)
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        # YAML reads a bare day as a date; in JSON it is text.
        content = json.loads(json.dumps(yaml.safe_load(path.read_text()), default=str))
        assert [error.message for error in checker.iter_errors(content)] == [], path.name
    assert list(checker.iter_errors({"name": 3, "grd": {}}))


def test_the_problem_schema_goes_to_a_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    assert gridsim("schema", "problem", "-o", path).exit_code == 0
    assert json.loads(path.read_text()) == json.loads(gridsim("schema", "problem").stdout)
    assert gridsim("schema", "problem", "-o", tmp_path / "no" / "s.json").exit_code == 2
    assert gridsim("schema", "plans").exit_code == 2


# Runs ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def street_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("runs") / "street"
    done = in_shell("run", "street", "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, json.loads(done.stdout)


def test_a_run_writes_all_of_it(street_folder: tuple[Path, dict[str, Any]]) -> None:
    folder, printed = street_folder
    names = {"report.html", "summary.json", "plan.json", "run.nc"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "summary.json").read_text()) == printed
    assert printed["verdict"] == "pass"
    assert printed["findings"] == []
    assert read_plan(folder / "plan.json").digest == printed["hashes"]["plan"]
    assert gridsim("verify", folder / "plan.json").exit_code == 0


def test_compare_puts_two_runs_side_by_side(
    street_folder: tuple[Path, dict[str, Any]], crowded_run: Run, tmp_path: Path
) -> None:
    folder, printed = street_folder
    other = crowded_run.save(tmp_path / "run.nc")
    result = gridsim("compare", folder, other)
    assert result.exit_code == 0, result.output
    assert "street" in result.stdout
    assert "small" in result.stdout
    rows = json.loads(gridsim("compare", folder, other, "--json").stdout)
    assert set(rows[0]) == {"figure", "first", "second", "difference"}
    costs = next(row for row in rows if row["figure"].startswith("cost with the plan"))
    assert costs["first"] == printed["cost"]["plan"]
    assert costs["difference"] == pytest.approx(costs["second"] - costs["first"])


def test_compare_refuses_what_is_no_run(tmp_path: Path) -> None:
    result = gridsim("compare", tmp_path, tmp_path / "none.nc")
    assert result.exit_code == 2
    assert "No such file" in result.stderr


@pytest.mark.parametrize("name", ["street_run", "crowded_run"])
def test_the_summary_fits_80_columns(
    name: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("COLUMNS", "80")
    print_run(request.getfixturevalue(name), None)
    text = capsys.readouterr().out
    assert fits(text)
    for words in ("PASS", "cost without batteries", "saving", "voltage", "by price alone"):
        assert words in text


def test_a_refused_plan_exits_1_with_its_findings(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(small_scenario(tmp_path, gate={"rounds_max": 0})))
    result = gridsim("run", path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "REFUSED" in result.stdout
    assert "per unit, limit 0.9" in result.stdout
    assert "more findings" in result.stdout
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["verdict"] == "refused"


def test_several_days_get_a_folder_each(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    content = small_scenario(tmp_path)
    content["horizon"] = {"day": "2023-01-16", "step_minutes": 120}
    path.write_text(yaml.safe_dump(content))
    days = ["--day", "2023-01-16", "--day", "2023-06-12"]
    result = gridsim("run", path, *days, "-o", tmp_path / "out")
    # The price file has no June: nothing of January is written either.
    assert result.exit_code == 2
    assert "2023-06-1" in result.stderr
    assert not (tmp_path / "out").exists()
    result = gridsim("run", path, *days[:2], *days[:2], "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["day"] == "2023-01-16"


def test_an_unknown_scenario_is_met_with_a_suggestion() -> None:
    done = in_shell("run", "strete")
    assert done.returncode == 2
    assert "did you mean 'street'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    for place in (path, path / "below"):
        result = gridsim("run", "street", "-o", place)
        assert result.exit_code == 2
        assert "must be a folder" in result.stderr
    assert path.read_text() == "mine"


def test_a_bad_day_is_refused() -> None:
    result = gridsim("run", "street", "--day", "yesterday")
    assert result.exit_code == 2
    assert "horizon.day" in result.stderr


def test_interrupted_it_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [*SHELL, "run", "street", "-o", str(out)]
    process = subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = ""
    while "round 1: plan" not in said:  # a step of the work itself, however long it took to come
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    said += process.stderr.read()
    process.wait(timeout=60)
    assert process.stdout is not None
    process.stdout.close()
    process.stderr.close()
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not out.exists()


def test_known_answers_are_problems_that_the_shell_solves(tmp_path: Path) -> None:
    case = sorted((ROOT / "tests" / "cases" / "dispatch").glob("*.json"))[0]
    problem = tmp_path / "problem.json"
    problem.write_text(json.dumps(json.loads(case.read_text())["problem"]))
    done = in_shell("solve", "problem.json", "-o", "plan.json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_plan(tmp_path / "plan.json").problem.digest == read_problem(problem).digest
