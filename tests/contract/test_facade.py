"""The names that `import gridsim` offers."""

from __future__ import annotations

import ast
import importlib
import pkgutil

import pytest

import gridsim
from tests.contract.fresh import (
    PACKAGES,
    ROOT,
    distributions_of,
    modules_missing_without,
    project,
    run,
)

EXTRAS = sorted(project()["optional-dependencies"])


def imports_for_type_checkers() -> dict[str, str]:
    """Name by name, the module that a type checker is told."""
    tree = ast.parse((ROOT / "gridsim" / "__init__.py").read_text())
    return {
        alias.asname or alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


@pytest.mark.parametrize("name", gridsim.__all__)
def test_a_name_is_what_its_home_calls_so(name: str) -> None:
    value = getattr(gridsim, name)
    home = imports_for_type_checkers()[name]

    assert value is getattr(importlib.import_module(home), name)
    assert name in dir(gridsim)
    # A type or function lives with the package that owns it, and says so in its repr.
    assert getattr(value, "__module__", home).partition(".")[0] in {*PACKAGES, "types"}


def test_type_checkers_and_users_see_the_same_names() -> None:
    assert imports_for_type_checkers() == gridsim._HOMES
    assert sorted(gridsim.__all__) == sorted(gridsim._HOMES)


def test_no_name_is_also_a_module() -> None:
    # Importing `gridsim.solve` would put the module where the function was.
    modules = {module.name for module in pkgutil.iter_modules(gridsim.__path__)}

    assert not modules & set(gridsim.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'gridsim' has no attribute 'Grids'"):
        _ = gridsim.Grids


MISSING = """
import gridsim
for name in gridsim.__all__:
    try:
        getattr(gridsim, name)
    except ImportError as error:
        print(name, error.name, str(error).partition("gridsim[")[2].partition("]")[0])
"""


def test_a_missing_package_names_an_extra_that_brings_it() -> None:
    printed = run(MISSING, blocked=modules_missing_without(None))
    advice = {name: (absent, extra) for name, absent, extra in map(str.split, printed.splitlines())}

    assert {"Fleet", "Plan", "Grid", "load_scenario"} <= set(advice)
    for name, (absent, extra) in advice.items():
        assert extra in EXTRAS, name
        assert absent not in modules_missing_without(extra), name


@pytest.mark.parametrize("extra", EXTRAS)
def test_each_extra_is_known_to_the_installed_project(extra: str) -> None:
    assert distributions_of(extra) > distributions_of(None)
