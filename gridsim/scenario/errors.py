"""What can be wrong with a scenario."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twins.faults import InvalidInputError

if TYPE_CHECKING:
    from twins.faults import Fault, FaultList


class ScenarioError(InvalidInputError):
    """A scenario was refused; `faults` names every reason."""


def collected(faults: FaultList) -> list[Fault]:
    """What a list has collected so far."""
    try:
        faults.raise_if_any(ScenarioError)
    except ScenarioError as error:
        return list(error.faults)
    return []
