"""How commands speak: figures on standard output, progress and errors on standard error."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.status import Status

from optimizer.errors import InfeasibleError, SolveError
from twins.faults import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
R = TypeVar("R")

EXIT_REFUSED = 1
"""The plan was refused, or a check did not hold."""
EXIT_BAD_INPUT = 2
"""The input was wrong; nothing was written."""
EXIT_NO_PLAN = 3
"""The solver gave no plan, or strict mode found clashing limits."""

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


def print_json(content: Any) -> None:
    """One JSON object on standard output, and nothing else there."""
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose user sees one clear error instead of a traceback."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except InvalidInputError as error:
            _fail(str(error), EXIT_BAD_INPUT)
        except (InfeasibleError, SolveError) as error:
            _fail(str(error), EXIT_NO_PLAN)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _fail(f"{where}{error.strerror or error}", EXIT_BAD_INPUT)
        except KeyboardInterrupt:
            _fail("interrupted", 130)

    return wrapped


def _fail(message: str, code: int) -> NoReturn:
    err.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Tells what happens: a live line on a terminal, plain lines elsewhere, nothing if quiet."""
    if quiet:
        yield lambda _: None
    elif err.is_terminal:
        with Status("starting", console=err) as status:
            yield status.update
    else:
        yield lambda text: err.print(text, markup=False)
