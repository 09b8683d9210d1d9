"""Loading a scenario by name or path: everything that is wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gridsim.scenario.base import Section, refused
from gridsim.scenario.check import check_mapping
from gridsim.scenario.content import content_faults
from gridsim.scenario.errors import ScenarioError
from gridsim.scenario.shipped import shipped_files
from gridsim.scenario.yaml_reader import read_yaml
from twins.faults import Fault, FaultList, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gridsim.scenario.model import Scenario


def load_scenario(name_or_path: str | Path, *, with_grid: bool = False) -> Scenario:
    """A checked scenario.

    Args:
        name_or_path: a shipped scenario's name (see `shipped_scenarios`) or the path of a YAML
            file. Files that it names are relative to its folder.
        with_grid: also read the grid and look up what the fleet names there; takes seconds.

    Raises:
        ScenarioError: with every fault found in the file, in the data files that it names and
            between them. What only the grid can tell (an unknown bus) is checked when the scenario
            is built, or here if `with_grid` is set or there is another fault anyway.
    """
    path = _scenario_file(name_or_path)
    document = read_yaml(path, f"scenario {path.name}")
    if document.content is None and len(document.faults) == 0:
        document.faults.add("file", None, "is empty")
    document.faults.raise_if_any(ScenarioError)
    scenario, faults = check_mapping(document.content, path.parent)
    faults = [*faults, *content_faults(scenario, faults, with_grid=with_grid)]
    if faults or scenario is None:
        raise ScenarioError(f"scenario {path.name}", _with_lines(faults, document.lines))
    return scenario


def scenario_from_mapping(content: Mapping[str, Any], folder: str | Path = ".") -> Scenario:
    """A checked scenario from plain values, as a YAML file would give them.

    Raises:
        ScenarioError: with every fault, as `load_scenario`.
    """
    scenario, faults = check_mapping(dict(content), Path(folder))
    faults = [*faults, *content_faults(scenario, faults)]
    if faults or scenario is None:
        raise ScenarioError("scenario", faults)
    return scenario


def shipped_scenarios() -> list[tuple[str, str]]:
    """Name and description of each shipped scenario."""
    listed = []
    for name, path in shipped_files().items():
        content = read_yaml(path, path.name).content
        described = content.get("description", "") if isinstance(content, dict) else ""
        listed.append((name, str(described)))
    return listed


def with_horizon(
    scenario: Scenario, *, day: str | None = None, start: str | None = None
) -> Scenario:
    """The same scenario from another local day, or from another moment.

    Raises:
        ScenarioError: no such day or moment, both or neither given, or no prices for it.
    """
    if (day is None) == (start is None):
        raise refused("horizon", "", "give exactly one of day, start")
    horizon = scenario.horizon.model_dump(exclude={"day", "start"}, exclude_none=True)
    given = {"day": day} if day is not None else {"start": start}
    content: dict[str, Any] = {**_plain(scenario), "horizon": {**horizon, **given}}
    moved, faults = check_mapping(content, scenario.folder)
    faults = [*faults, *content_faults(moved, faults)]
    if faults or moved is None:
        raise ScenarioError(f"scenario {scenario.name}", faults)
    return moved


def _plain(section: Section) -> dict[str, Any]:
    return section.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _scenario_file(name_or_path: str | Path) -> Path:
    """The file that is meant; a plain word is a shipped name, unless a file has that name."""
    path = Path(name_or_path)
    shipped = shipped_files()
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in shipped and not path.is_file():
        return shipped[text]
    faults = FaultList(f"scenario {text!r}")
    try:
        if path.is_file():
            return path.resolve()
        if path.is_dir():
            faults.add("path", text, "must be a YAML file, this is a folder")
        else:
            names = ", ".join(shipped)
            allowed = f"no such file, and no shipped scenario ({names})"
            faults.add("path", text, allowed, did_you_mean(text, shipped))
    except (OSError, ValueError):
        faults.add("path", text, "is no usable path")
    faults.raise_if_any(ScenarioError)
    raise AssertionError("a fault was just added")


def _with_lines(faults: Iterable[Fault], lines: Mapping[str, int]) -> list[Fault]:
    """The faults with the line of the file beside each path; a missing key gets none."""
    return [
        Fault(f"{f.where}, line {lines[f.where]}", f.found, f.allowed, f.hint)
        if f.where in lines
        else f
        for f in faults
    ]
