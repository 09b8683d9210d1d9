"""What importing a package loads, and what it can do without."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.contract.fresh import ROOT, distributions_of, modules_missing_without, run

SCIENCE = {
    "highspy", "lightsim2grid", "matplotlib", "numba", "numpy", "pandapower", "pandas", "pydantic",
    "pyomo", "scipy", "simbench", "xarray",
}  # fmt: skip

IMPORT_ALL = """
import importlib, pkgutil
package = importlib.import_module({package!r})
for module in pkgutil.walk_packages(package.__path__, {package!r} + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("package", ["gridsim", "edge"])
def test_importing_loads_nothing_scientific(package: str) -> None:
    loaded = run(f"import sys, {package}; print(*sys.modules)").split()

    assert not SCIENCE & {name.partition(".")[0] for name in loaded}


@pytest.mark.parametrize(
    ("extra", "package"),
    [
        (None, "edge"),
        ("twins", "twins"),
        ("optimizer", "optimizer"),
        ("dispatch", "dispatch"),
        ("grid", "gridsim.grid"),
        ("gridsim", "gridsim"),
    ],
)
def test_every_module_imports_with_its_extra_alone(extra: str | None, package: str) -> None:
    run(IMPORT_ALL.format(package=package), blocked=modules_missing_without(extra))


def test_the_bare_project_brings_nothing_scientific() -> None:
    assert not SCIENCE & distributions_of(None)
    assert distributions_of("all") >= SCIENCE


def test_the_import_contracts_hold() -> None:
    """In a process of its own: the linter switches off every logger that it finds."""
    code = "from importlinter import cli; raise SystemExit(cli.lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
