"""Problems too large for memory: refused before anything is made, with both figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import optimizer.memory
from gridsim.cli.app import app
from gridsim.instances import make_instance
from optimizer.errors import SolveError, TooLargeError
from optimizer.memory import available_bytes, require_memory
from optimizer.solve import solve
from optimizer.writing import problem_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from optimizer.solve import Solver

    Leave = Callable[[int | None], None]


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> Leave:
    """Sets what is said to be available."""

    def say(size: int | None) -> None:
        monkeypatch.setattr(optimizer.memory, "available_bytes", lambda: size)

    return say


@pytest.mark.parametrize("solver", ["structured", "monolith"])
def test_what_does_not_fit_is_refused_with_both_figures(leave: Leave, solver: Solver) -> None:
    problem = make_instance(60, 6)
    leave(10_000)
    with pytest.raises(TooLargeError, match=r"about 0\.0 GB of memory, and 0\.0 GB is available"):
        solve(problem, solver=solver)
    leave(200_000_000)
    assert solve(problem, solver=solver).certificate is not None


def test_a_single_tree_needs_more_than_many_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a tree is in memory as a whole; of single areas there are few at a time."""
    most = {}
    for nested in (True, False):
        asked: list[int] = []

        def note(what: str, needed: int, asked: list[int] = asked) -> None:
            asked.append(needed)
            if len(asked) > 1:
                raise TooLargeError(what, needed, 0)

        monkeypatch.setattr("optimizer.engine.engine.require_memory", note)
        with pytest.raises(TooLargeError):
            solve(make_instance(6000, 4, "heavy", nested=nested), solver="structured", threads=1)
        most[nested] = max(asked)
    assert most[True] > 2 * most[False]


def test_the_command_line_says_it_without_a_traceback(leave: Leave, tmp_path: Path) -> None:
    file = tmp_path / "problem.json"
    file.write_text(json.dumps(problem_document(make_instance(60, 6))))
    leave(1_000_000)
    for arguments in (
        ["solve", str(file)],
        ["bench", "dispatch", "--batteries", "1000000", "--solver", "structured"],
        ["bench", "dispatch", "--batteries", "400"],
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 3
        assert "GB of memory, and 0.0 GB is available" in " ".join(result.stderr.split())
        assert "Traceback" not in result.output


def test_nothing_is_refused_where_nobody_knows(leave: Leave) -> None:
    leave(None)
    require_memory("anything", 1 << 60)


def test_the_error_is_one_of_the_solver() -> None:
    error = TooLargeError("it", 3_000_000_000, 1_500_000_000)
    assert isinstance(error, SolveError)
    assert str(error) == "it would take about 3.0 GB of memory, and 1.5 GB is available"
    assert (error.needed_bytes, error.available_bytes) == (3_000_000_000, 1_500_000_000)


@pytest.mark.parametrize(
    ("line", "files", "left"),
    [
        ("0::/a/b", {"a/memory.max": "900", "a/memory.current": "300"}, 600),
        ("0::/a/b", {"a/b/memory.max": "max", "a/b/memory.current": "300"}, 2 << 10),
        (
            "0::/gone",
            {"memory.max": "900", "memory.current": "800", "memory.stat": "inactive_file 500"},
            600,
        ),
        (
            "4:cpu,memory:/a",
            {"memory/a/memory.limit_in_bytes": "700", "memory/a/memory.usage_in_bytes": "100"},
            600,
        ),
        ("4:cpu:/a", {"memory.limit_in_bytes": "7", "memory.usage_in_bytes": "1"}, 2 << 10),
    ],
)
def test_the_least_of_system_and_control_groups_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, files: dict[str, str], left: int
) -> None:
    system, own, groups = tmp_path / "meminfo", tmp_path / "cgroup", tmp_path / "groups"
    system.write_text("MemTotal: 9 kB\nMemAvailable:       2 kB\n")
    own.write_text(line + "\n")
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text + "\n")
    for name, path in (("_MEMINFO", system), ("_OWN_GROUPS", own), ("_GROUPS", groups)):
        monkeypatch.setattr(optimizer.memory, name, path)
    assert available_bytes() == left
