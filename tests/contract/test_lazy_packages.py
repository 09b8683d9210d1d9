"""Packages whose names are loaded when they are first used: the same names, and nothing before."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dispatch
import twins
from tests.contract.fresh import run

if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = [twins, dispatch]
HEAVY = {"numba", "xarray", "pandas", "numpy", "pyomo", "pandapower"}
LOADED = "import sys; import {module}; print(*(n.partition('.')[0] for n in sys.modules))"


def imports_for_type_checkers(package: ModuleType) -> dict[str, str | None]:
    """Name by name, the module that a type checker is told."""
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("module", ["twins.faults", "twins", "dispatch"])
def test_what_needs_no_arrays_loads_none(module: str) -> None:
    assert not HEAVY & set(run(LOADED.format(module=module)).split())


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_and_users_see_the_same_names(package: ModuleType) -> None:
    assert imports_for_type_checkers(package) == package._HOMES
    assert package.__all__ == list(package._HOMES)
    for name, home in package._HOMES.items():
        assert getattr(package, name) is getattr(importlib.import_module(home), name)
        assert name in dir(package)
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_also_a_module(package: ModuleType) -> None:
    # Importing `twins.replay` as a module would put it where the function is looked up.
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & set(package.__all__)
