"""Plan, prove and dispatch the charging of grid batteries.

Everything in `__all__` is loaded when it is first used, so ``import gridsim`` is fast and needs
nothing but itself. A name whose packages are not installed says which extra brings them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optimizer.plan import Certificate as Certificate
    from optimizer.plan import Plan as Plan
    from optimizer.problem import DispatchProblem as DispatchProblem
    from twins.timegrid import TimeGrid as TimeGrid

# Where each public name lives. Type checkers read the imports above; a test keeps the two alike.
_HOMES = {
    "Certificate": "optimizer.plan",
    "DispatchProblem": "optimizer.problem",
    "Plan": "optimizer.plan",
    "TimeGrid": "twins.timegrid",
}

__all__ = [
    "Certificate",
    "DispatchProblem",
    "Plan",
    "TimeGrid",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'gridsim' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(home), name)
    except ModuleNotFoundError as missing:
        raise _advised(name, home, missing) from missing
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _advised(name: str, home: str, missing: ModuleNotFoundError) -> ImportError:
    """The error that names the extra; if a module of our own is missing, that is a bug."""
    absent = (missing.name or "").partition(".")[0]
    package, _, rest = home.partition(".")
    if absent in {"", "gridsim", "dispatch", "optimizer", "twins", "edge"}:
        return missing
    extra = "grid" if package == "gridsim" and rest.partition(".")[0] == "grid" else package
    return ImportError(
        f"gridsim.{name} needs {absent}, which is not installed; "
        f'the extra {extra!r} brings it: pip install "gridsim[{extra}]"',
        name=absent,
    )
