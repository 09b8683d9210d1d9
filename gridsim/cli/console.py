"""How commands speak: figures on standard output, progress and errors on standard error."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.status import Status

from optimizer.errors import InfeasibleError, SolveError, UnsupportedFeatureError
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
EXIT_INTERRUPTED = 130
"""Ctrl-C, as shells count it."""

out = Console(highlight=False, soft_wrap=False)
err = Console(stderr=True, highlight=False)


def print_json(content: Any) -> None:
    """One JSON object on standard output, and nothing else there."""
    sys.stdout.write(json.dumps(content, indent=2, allow_nan=False) + "\n")


class _Interrupts:
    """Remembers Ctrl-C, because a library on the way may turn it into an error or forget it."""

    def __init__(self) -> None:
        self.came = False

    def check(self) -> None:
        """Raise what somebody has caught on the way."""
        if self.came:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: object) -> None:
        self.came = True
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """Listen while the block runs, unless the caller wants the signal handled otherwise."""
        self.came = False
        mine = threading.current_thread() is threading.main_thread()
        if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)


_interrupts = _Interrupts()


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A command whose user sees one clear error instead of a traceback.

    An interrupted command ends as one, whatever was made of the interrupt on the way.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _interrupts.heard():
                try:
                    return command(*args, **kwargs)
                finally:
                    _interrupts.check()
        except KeyboardInterrupt:
            _fail("interrupted", EXIT_INTERRUPTED)
        except (InvalidInputError, UnsupportedFeatureError) as error:
            _fail(str(error), EXIT_BAD_INPUT)
        except (InfeasibleError, SolveError) as error:
            _fail(str(error), EXIT_NO_PLAN)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _fail(f"{where}{error.strerror or error}", EXIT_BAD_INPUT)

    return wrapped


def _fail(message: str, code: int) -> NoReturn:
    err.print(message, style="red", markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Tells what happens: a live line on a terminal, plain lines elsewhere, nothing if quiet.

    Every step is also a place to stop at, should an interrupt have been lost on the way.
    """
    with contextlib.ExitStack() as shown:
        tell: Callable[[str], None] = functools.partial(err.print, markup=False)
        if not quiet and err.is_terminal:
            tell = shown.enter_context(Status("starting", console=err)).update

        def report(text: str) -> None:
            _interrupts.check()
            if not quiet:
                tell(text)

        yield report
