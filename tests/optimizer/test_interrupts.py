"""Ctrl-C and time limits: the best plan so far with its certificate, never worse than rest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

import optimizer.engine.engine
from gridsim.instances import make_instance
from optimizer.engine.engine import solve_structured
from optimizer.engine.loop import Outcome, Team, Work, iterate
from optimizer.interrupts import run_until_interrupt
from optimizer.plan import StopReason
from optimizer.rounding import follow_within_limits
from optimizer.solve import solve

if TYPE_CHECKING:
    from collections.abc import Callable

_PROGRAM = """
import json, optimizer.engine.engine as engine
from gridsim.instances import make_instance
from optimizer.solve import solve

problem, iterate = make_instance(150, 8, "heavy"), engine.iterate

def slow(work, tolerance, stop, team):
    print("running", flush=True)
    while not stop():
        pass
    return iterate(work, tolerance, lambda: False, team)

engine.iterate = slow
plan = solve(problem, solver="structured", resolution_w=1)
found = plan.certificate
print(json.dumps([plan.stop_reason.value, found.profit, found.worst_violation]))
"""


def test_a_real_interrupt_returns_a_plan_with_its_certificate() -> None:
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    reason, profit, violation = json.loads(process.communicate(timeout=120)[0])
    assert reason == "interrupted"
    assert profit >= 0.0
    assert violation <= 1e-6


def test_a_second_interrupt_is_raised() -> None:
    """Nothing is left hanging, and the caller learns that the plan is not wanted."""
    stops: list[float] = []

    def work() -> None:
        for _ in range(2):
            count = len(stops)
            signal.raise_signal(signal.SIGINT)
            while len(stops) == count:
                time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        run_until_interrupt(work, lambda: stops.append(time.perf_counter()))
    assert len(stops) == 2


def test_outside_the_main_thread_work_just_runs() -> None:
    found: list[tuple[int, bool]] = []
    thread = threading.Thread(
        target=lambda: found.append(run_until_interrupt(lambda: 3, lambda: None))
    )
    thread.start()
    thread.join()
    assert found == [(3, False)]


@pytest.mark.parametrize("iterations", [0, 2, 5, 9])
@pytest.mark.parametrize("nested", [False, True])
def test_an_early_plan_keeps_all_limits_and_is_no_worse_than_rest(
    iterations: int, nested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = make_instance(300, congestion="heavy", nested=nested)
    asked: list[int] = []

    def stopped(work: Work, tolerance: float, stop: Callable[[], bool], team: Team) -> Outcome:
        left = iter(range(iterations))
        outcome = iterate(work, tolerance, lambda: next(left, None) is None, team)
        asked.append(outcome.iterations)
        signal.raise_signal(signal.SIGINT)
        while not stop():
            time.sleep(0.001)
        return outcome

    monkeypatch.setattr(optimizer.engine.engine, "iterate", stopped)
    plan = solve_structured(problem, threads=1)
    assert asked == [iterations]
    assert plan.stop_reason is StopReason.INTERRUPTED
    assert plan.breaches == ()
    assert plan.certificate is not None
    assert plan.certificate.worst_violation <= 1e-6
    assert 0.0 <= plan.certificate.profit <= plan.certificate.profit_bound


def test_energies_that_no_limit_allows_are_followed_as_far_as_limits_go() -> None:
    """Everybody wants to fill up at once; the areas let them do so at their pace."""
    problem = make_instance(200, 24, "heavy")
    b = problem.batteries
    wanted = np.array(b.energy_kwh_max)
    wanted[:, 0] = b.energy_kwh_initial
    charge, discharge, energy = follow_within_limits(problem, wanted, np.zeros((0, 24)))
    assert energy[:, -1].sum() > 1.2 * b.energy_kwh_initial.sum()
    assert (np.minimum(charge, discharge) == 0.0).all()
    full = solve(problem, solver="structured", audit=False)
    again = follow_within_limits(problem, full.energy_kwh, np.zeros((0, 24)))
    np.testing.assert_allclose(again[2], full.energy_kwh, atol=1e-5)
