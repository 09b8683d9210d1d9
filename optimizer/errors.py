"""Why there is no plan; apart from the solver, so that catching them does not load it.

RuntimeError
├── InfeasibleError   the problem: something firm cannot be kept, and strict mode was asked for
└── SolveError        the solver: it gave no usable answer
    └── TooLargeError the machine: it has less memory than the solve would take
ValueError
└── UnsupportedFeatureError   the caller: this solver does not carry the problem, another does
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optimizer.clash import Clash
    from optimizer.plan import Breach

_BREACHES_SHOWN_MAX = 20


class InfeasibleError(RuntimeError):
    """Something firm cannot be kept.

    Attributes:
        breaches: of the cheapest plan: what, where, when and by how much.
        clash: a smallest set of rules that cannot be kept together, or None where none was found.
    """

    def __init__(self, name: str, breaches: Sequence[Breach], clash: Clash | None = None) -> None:
        self.breaches = tuple(breaches)
        self.clash = clash
        lines = [f"  {breach}" for breach in self.breaches[:_BREACHES_SHOWN_MAX]]
        if len(self.breaches) > _BREACHES_SHOWN_MAX:
            lines.append(f"  … and {len(self.breaches) - _BREACHES_SHOWN_MAX} more")
        if clash is not None:
            lines.append(str(clash))
        super().__init__("\n".join([f"{name}: not everything firm can be kept", *lines]))


class SolveError(RuntimeError):
    """The solver gave no usable answer; the text is what it said."""


class TooLargeError(SolveError):
    """A solve would take more memory than there is; it was not started.

    Attributes:
        needed_bytes: what it would take beside the problem, by estimate.
        available_bytes: what there was.
    """

    def __init__(self, what: str, needed_bytes: int, available_bytes: int) -> None:
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes
        super().__init__(
            f"{what} would take about {needed_bytes / 1e9:,.1f} GB of memory, "
            f"and {available_bytes / 1e9:,.1f} GB is available"
        )


class UnsupportedFeatureError(ValueError):
    """The structured solver does not carry something; `features` names all of it."""

    def __init__(self, name: str, features: tuple[str, ...]) -> None:
        self.features = features
        super().__init__(
            f"{name}: the structured solver does not carry {', '.join(features)}; "
            "solver='monolith' does"
        )
