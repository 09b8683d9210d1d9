"""Ctrl-C as an end of the search, not of the program."""

from __future__ import annotations

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
        no Ctrl-C, `work` just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        return work(), False
    came = 0
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while not running.done():
            try:
                # A signal that another thread received wakes nobody who waits without end.
                wait([running], timeout=_POLL_S)
            except KeyboardInterrupt:
                came += 1
                stop()
        found = running.result()
    if came > 1:
        raise KeyboardInterrupt
    return found, came > 0
