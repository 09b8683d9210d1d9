"""`gridsim bench dispatch`: one object with what was asked, what it took and what is proven."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from gridsim.cli.app import app
from gridsim.instances import make_instance
from optimizer.certificate import profit_bound

if TYPE_CHECKING:
    from click.testing import Result


def gridsim(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(a) for a in arguments])


def test_one_object_says_it_all() -> None:
    result = gridsim(
        "bench", "dispatch", "--batteries", 70, "--intervals", 12, "--congestion", "heavy",
        "--seed", 3, "--solver", "structured", "--resolution-w", 1, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    phases = ("build", "solve", "extract", "certify", "round")
    assert set(phases) < set(said["seconds"])
    assert said["seconds"]["round"] > 0
    assert sum(said["seconds"][phase] for phase in phases) <= said["seconds"]["total"] * 1.001
    assert said["seconds_compile"] > 0
    assert said["profit"] <= said["profit_bound"]
    assert said["gap_absolute"] == pytest.approx(said["profit_bound"] - said["profit"])
    assert said["worst_violation"] <= 1e-6
    assert said["peak_memory_mb"] > 10
    assert {"python", "numpy", "numba", "pyomo", "highspy"} < set(said["versions"])
    assert said["machine"]["cores"] >= 1
    # The instance is the one that its arguments draw: without prices the bound is looser.
    assert said["profit_bound"] <= profit_bound(make_instance(70, 12, "heavy", seed=3))
    assert (said["batteries"], said["congestion"], said["discrete"]) == (70, "heavy", 0.0)


def test_the_table_fits_eighty_columns() -> None:
    result = gridsim("bench", "dispatch", "--batteries", 60, "--intervals", 6)
    assert result.exit_code == 0, result.output
    assert "gap between the two" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--batteries", 0), "batteries"),
        (("--discrete", 1.5), "discrete"),
        (("--seed", -1), "seed"),
        (("--congestion", "some"), "congestion"),
        (("--solver", "guess"), "solver"),
        (("--resolution-w", 5), "resolution-w"),
    ],
)
def test_bad_input_is_named_without_a_traceback(options: tuple[object, ...], word: str) -> None:
    result = gridsim("bench", "dispatch", "--intervals", 4, *options)
    assert result.exit_code == 2
    assert word in result.stderr
    assert "Traceback" not in result.stderr
