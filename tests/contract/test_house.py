"""The files around the code: commands, workflow, and what no tracked file may hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.contract.fresh import PACKAGES, ROOT, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES_MAX = 500

# Folders of somebody's machine, and marks of work left undone (in pieces: this file is searched).
NOT_IN_TRACKED_FILES = re.compile(
    r"(?<![\w.~:/-])/(?:home|root|Users|work)/\w|\b(?:TO" "DO|FIX" "ME|XX" r"X)\b"
)


# What a tree without git may hold that nobody wrote.
_MADE_BY_MACHINES = {
    "__pycache__", "build", "dist", "site", "node_modules", "venv", "env", "htmlcov", "out", "runs",
}  # fmt: skip
_HIDDEN_AND_TRACKED = {".ci", ".github"}


def tracked_files(root: Path = ROOT) -> list[Path]:
    """Files that belong to the project: git's, or all of an unpacked archive's."""
    if not (root / ".git").exists():
        return sorted(_written_files(root))
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    )
    return [root / name for name in listed.stdout.split("\0") if name and (root / name).is_file()]


def _written_files(root: Path) -> Iterator[Path]:
    for path in root.iterdir():
        hidden = path.name.startswith(".") and path.name not in _HIDDEN_AND_TRACKED
        if path.is_file():
            yield path
        elif not (hidden or _is_made(path)):
            yield from _written_files(path)


def _is_made(folder: Path) -> bool:
    made = folder.name in _MADE_BY_MACHINES or folder.name.endswith(".egg-info")
    return made or (folder / "pyvenv.cfg").exists()


@pytest.mark.parametrize("target", ["run", "test", "lint", "bench", "soak", "docs"])
def test_make_knows_the_command(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_the_hosted_workflow_runs_the_same_script() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["run"]

    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    assert {"3.11", "3.13"} <= set(job["strategy"]["matrix"]["python"])
    assert project()["requires-python"] == ">=3.11"


def test_the_ci_script_is_sound_bash() -> None:
    script = ROOT / ".ci" / "run"

    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_tracked_files_name_no_machine_and_leave_no_marks() -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if NOT_IN_TRACKED_FILES.search(line)
        ]

    assert not found


def test_an_unpacked_archive_is_searched_like_a_repository(tmp_path: Path) -> None:
    copy = tmp_path / "archive"
    for path in tracked_files():
        to = copy / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    tracked = tracked_files(copy)
    for made in ("twins/__pycache__/x.pyc", ".venv/lib/x.py", "gridsim.egg-info/PKG-INFO"):
        (copy / made).parent.mkdir(parents=True)
        (copy / made).touch()

    assert {path.relative_to(copy) for path in tracked} == {
        path.relative_to(ROOT) for path in tracked_files()
    }
    assert tracked_files(copy) == tracked


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_too_long_to_read(package: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / package).rglob("*.py")}

    assert {str(path): count for path, count in lengths.items() if count > LINES_MAX} == {}


def test_notebooks_import_only_the_facade() -> None:
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        source = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        imported = set(re.findall(r"^\s*(?:from|import)\s+(\w+)", source, flags=re.MULTILINE))

        assert not imported & (set(PACKAGES) - {"gridsim"}), path.name


@pytest.mark.parametrize(("required", "outcome"), [("1", "1 failed"), ("", "1 skipped")])
def test_a_skip_fails_where_services_are_required(
    tmp_path: Path, required: str, outcome: str
) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it(): pytest.skip('no broker')\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)]
    env = {**os.environ, "GRIDSIM_REQUIRE_SERVICES": required}
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )

    assert outcome in done.stdout
    assert "no broker" in done.stdout or not required
