"""Ctrl-C ends a command as an interrupt, whatever the code on the way makes of it."""

from __future__ import annotations

import io
import signal
import threading
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import typer

from gridsim.cli.console import guarded, progress
from twins.faults import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable


class _Interrupting(io.StringIO):
    """A file at which the user loses patience."""

    def read(self, size: int | None = -1, /) -> str:
        signal.raise_signal(signal.SIGINT)
        return super().read(size)


def swallowed() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        return
    raise AssertionError("the interrupt must be raised where it comes")


def swallowed_and_refused() -> None:
    swallowed()
    raise typer.Exit(1)


def turned_into_bad_input() -> None:
    try:
        pd.read_csv(_Interrupting("a,b\n1,2\n"))
    except (KeyboardInterrupt, ValueError) as error:
        raise InvalidInputError("prices.csv", []) from error


def turned_into_what_it_is_not() -> None:
    swallowed()
    raise ZeroDivisionError


def exit_code(command: Callable[[], object]) -> int:
    with pytest.raises(typer.Exit) as caught:
        guarded(command)()
    return caught.value.exit_code


@pytest.mark.parametrize(
    "command", [swallowed, swallowed_and_refused, turned_into_bad_input, turned_into_what_it_is_not]
)
def test_an_interrupt_is_not_lost(
    command: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(command) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("quiet", [True, False])
def test_nothing_is_begun_after_a_lost_interrupt(quiet: bool) -> None:
    begun = []

    def command() -> None:
        with progress(quiet) as report:
            report("first")
            swallowed()
            report("second")
            begun.append("second")

    assert exit_code(command) == 130
    assert begun == []


def test_the_next_command_knows_nothing_of_it() -> None:
    assert exit_code(swallowed) == 130
    assert guarded(lambda: 7)() == 7


def test_somebody_elses_handling_of_the_signal_stays() -> None:
    """As for a command that a shell starts in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        guarded(lambda: signal.raise_signal(signal.SIGINT))()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_command_runs_in_any_thread() -> None:
    answers = []
    thread = threading.Thread(target=lambda: answers.append(guarded(lambda: 7)()))
    thread.start()
    thread.join()
    assert answers == [7]
