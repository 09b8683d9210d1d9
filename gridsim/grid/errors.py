"""What can be wrong with a grid, its profiles or what is attached to it."""

from __future__ import annotations

from twins.faults import InvalidInputError


class GridError(InvalidInputError):
    """A grid, its profiles or an injection was refused; `faults` names every reason."""
