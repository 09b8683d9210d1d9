"""What can be wrong with a grid, its profiles or what is attached to it."""

from __future__ import annotations

from twins.faults import Fault, InvalidInputError


class GridError(InvalidInputError):
    """A grid, its profiles or an injection was refused; `faults` names every reason."""


def grid_fault(source: str, where: str, found: str, allowed: str, hint: str = "") -> GridError:
    """An error with a single fault, to raise where nothing more can be checked."""
    return GridError(source, [Fault(where, found, allowed, hint)])
