"""What can be wrong with a grid, its profiles or what is attached to it."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from twins.faults import Fault, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator


class GridError(InvalidInputError):
    """A grid, its profiles or an injection was refused; `faults` names every reason."""


def grid_fault(source: str, where: str, found: str, allowed: str, hint: str = "") -> GridError:
    """An error with a single fault, to raise where nothing more can be checked."""
    return GridError(source, [Fault(where, found, allowed, hint)])


@contextmanager
def others_deprecations() -> Iterator[None]:
    """Keeps back what pandapower and pandas say about each other's and old files' age."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield
