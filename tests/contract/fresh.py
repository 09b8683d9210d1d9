"""Fresh interpreters, with as much or as little installed as a test wants."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = ("gridsim", "dispatch", "optimizer", "twins", "edge")

# Hides every third-party package but those allowed, as if it had never been installed.
_BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def run(code: str, *, blocked: set[str] | None = None) -> str:
    """What `code` prints in an interpreter of its own where `blocked` packages are missing."""
    program = _BLOCKER.format(blocked=blocked or set()) + code
    command = [sys.executable, "-I", "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def project() -> dict[str, Any]:
    """The project's own table in pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distributions_of(extra: str | None) -> set[str]:
    """Every distribution that ``gridsim[extra]`` installs; None: the bare project."""
    found: set[str] = set()
    todo = [Requirement(text) for text in project()["dependencies"]]
    if extra:
        todo.append(Requirement(f"gridsim[{extra}]"))
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        found.add(name)
        todo += [
            one for one in _needs(name, wanted.extras) if canonicalize_name(one.name) not in found
        ]
    return found - {"gridsim"}


def modules_missing_without(extra: str | None) -> set[str]:
    """Top-level modules that are installed here and would not be with ``gridsim[extra]`` alone."""
    present = distributions_of(extra)
    return {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if module not in PACKAGES and not present & {canonicalize_name(owner) for owner in owners}
    }


def _needs(name: str, extras: set[str]) -> list[Requirement]:
    if name == "gridsim":
        return [Requirement(text) for one in extras for text in _extra(one)]
    try:
        texts = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []  # wanted on other platforms only
    needs = [Requirement(text) for text in texts]
    return [one for one in needs if _applies(one, extras)]


def _extra(name: str) -> list[str]:
    """An extra's requirements with the project's own extras unfolded."""
    found = []
    for text in project()["optional-dependencies"][name]:
        wanted = Requirement(text)
        if wanted.name == "gridsim":
            found += [inner for one in wanted.extras for inner in _extra(one)]
        else:
            found.append(text)
    return found


def _applies(wanted: Requirement, extras: set[str]) -> bool:
    if wanted.marker is None:
        return True
    return any(wanted.marker.evaluate({"extra": extra}) for extra in (extras or {""}))
