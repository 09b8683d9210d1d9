"""`Scenario`: a checked scenario file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from gridsim.scenario.base import Section, ZoneName, refused
from gridsim.scenario.fleet_spec import FleetSection  # noqa: TC001  (pydantic reads it)
from gridsim.scenario.sections import Gate, GridSource, Horizon, Optimiser, Prices, Profiles

if TYPE_CHECKING:
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

    def time_grid(self) -> TimeGrid:
        """The intervals of the horizon."""
        return self.horizon.time_grid(self.time_zone)

    def as_mapping(self) -> dict[str, Any]:
        """The scenario with every default filled in, as plain values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
