"""Ctrl-C as an end of the search, not of the program."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

_POLL_S = 0.1


def run_until_interrupt(work: Callable[[], R], stop: Callable[[], None]) -> tuple[R, bool]:
    """Run `work` in a thread of its own, so that Ctrl-C never breaks off half a step of it.

    Args:
        work: what takes long; it ends soon after `stop` was called.
        stop: called at the first Ctrl-C. A second one is raised, once `work` has ended.

    Returns:
        what `work` returns, and whether Ctrl-C came. Outside the main thread, where Python delivers
        no Ctrl-C, and where the program handles Ctrl-C in its own way, `work` just runs.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return work(), False
    came = 0

    def count(*_: object) -> None:
        nonlocal came
        came += 1
        stop()

    # A handler, not an exception: that could come between any two steps of what follows.
    signal.signal(signal.SIGINT, count)
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(work)
            while not running.done():
                # A signal that another thread received wakes nobody who waits without end.
                wait([running], timeout=_POLL_S)
            found = running.result()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came > 1:
        raise KeyboardInterrupt
    return found, came > 0
