"""`Scenario`: a checked scenario file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field, PrivateAttr

from gridsim.scenario.base import Section, ZoneName, refused
from gridsim.scenario.fleet_spec import FleetSection  # noqa: TC001  (pydantic reads it)
from gridsim.scenario.sections import Gate, GridSource, Horizon, Optimiser, Prices, Profiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twins.timegrid import TimeGrid

_CURRENCY = re.compile(r"[A-Z]{3}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _name(text: str) -> str:
    if _NAME.fullmatch(text) is None:
        allowed = "must be 1 to 64 lower-case letters, digits, _ and -, and start with no sign"
        raise refused("", text, allowed)
    return text


def _currency(text: str) -> str:
    if _CURRENCY.fullmatch(text) is None:
        raise refused("", text, "must be three capital letters such as EUR")
    return text


class Scenario(Section):
    """One planning task: a grid with its demand, prices, a fleet and a horizon.

    Load one with `load_scenario`; `build` turns it into arrays. Values are frozen; files are
    absolute paths.
    """

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="short name: lower-case letters, digits, _ and -", examples=["street"]
    )
    description: Annotated[str, Field(max_length=2000)] = Field(
        default="", description="one sentence for lists"
    )
    time_zone: ZoneName = Field(
        description="zone of local days and of times that are displayed", examples=["UTC"]
    )
    currency: Annotated[str, AfterValidator(_currency)] = Field(
        default="EUR", description="currency of all costs, three letters"
    )
    horizon: Horizon = Field(
        description="the time that is planned", examples=[{"day": "2023-01-16"}]
    )
    grid: GridSource = Field(
        description="the grid", examples=[{"simbench": "1-LV-urban6--2-no_sw"}]
    )
    profiles: Profiles = Field(description="demand and generation", examples=[{"nominal": True}])
    prices: Prices = Field(description="energy prices")
    fleet: FleetSection = Field(description="batteries and sites")
    gate: Gate = Field(default_factory=Gate, description="how the plan is checked")
    optimiser: Optimiser = Field(
        default_factory=Optimiser, description="what the plan is asked for"
    )

    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """Where the scenario's file is; the working folder for one that was made in a program."""
        return self._folder

    def within(self, folder: Path) -> Scenario:
        """The same scenario, told where the file that states it is."""
        placed = self.model_copy()
        placed._folder = folder
        return placed

    def time_grid(self) -> TimeGrid:
        """The intervals of the horizon."""
        return self.horizon.time_grid(self.time_zone)

    def as_mapping(self) -> dict[str, Any]:
        """The scenario with every default filled in, as plain values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def as_portable_mapping(self) -> dict[str, Any]:
        """As `as_mapping`, with files relative to the scenario's folder: alike on every machine."""
        content = self.as_mapping()
        for key, path in self.data_files().items():
            *sections, last = key.split(".")
            place = content
            for section in sections:
                place = place[section]
            relative = os.path.relpath(path, self.folder.resolve())
            place[last] = Path(relative).as_posix()
        return content

    def data_files(self) -> dict[str, Path]:
        """The files that the scenario names, by key such as ``prices.csv``."""
        return dict(_paths(self.model_dump(by_alias=True, exclude_none=True), ""))


def _paths(content: Mapping[str, Any], above: str) -> Iterator[tuple[str, Path]]:
    for key, value in content.items():
        if isinstance(value, Path):
            yield f"{above}{key}", value
        elif isinstance(value, dict) and all(isinstance(name, str) for name in value):
            yield from _paths(value, f"{above}{key}.")
