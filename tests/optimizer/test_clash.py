"""Strict mode names a smallest set of rules that cannot be kept together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from optimizer.clash import Clash, Rule, find_clash
from optimizer.errors import InfeasibleError
from optimizer.solve import solve
from optimizer.tables.network import NetworkRows
from optimizer.tables.reserve import Reserves
from tests.optimizer.certificate_problems import random_problem
from tests.optimizer.problems import make_problem
from twins.timegrid import iso

if TYPE_CHECKING:
    from optimizer.problem import DispatchProblem


def clash_of(**settings: Any) -> Clash:
    with pytest.raises(InfeasibleError) as caught:
        solve(make_problem(**settings), strict=True)
    assert caught.value.clash is not None
    return caught.value.clash


def kinds(clash: Clash) -> list[tuple[str, str, str]]:
    return sorted((rule.kind, rule.name, rule.side) for rule in clash.rules)


def test_a_target_out_of_reach_stands_alone() -> None:
    target = {"battery": 0, "interval": 0, "energy_kwh_min": 10.0}
    clash = clash_of(T=2, batteries=[{"energy_kwh_initial": 0.0}, {}], targets=[target])
    assert clash.rules == (Rule("target", "b0", "2023-01-16T01:00:00Z", "below"),)
    assert "cannot be kept, whatever else is given up" in str(clash)
    assert clash.where == "battery b0"


def test_a_target_above_the_band_clashes_with_the_band() -> None:
    target = {"battery": 0, "interval": 1, "energy_kwh_min": 12.0}
    clash = clash_of(T=2, targets=[target])
    assert kinds(clash) == [("band", "b0", "above"), ("target", "b0", "below")]


def test_targets_of_two_batteries_share_one_limit() -> None:
    """Either target can be kept below the limit, both cannot; a third battery has no part."""
    batteries = [{"group": "g1", "energy_kwh_initial": 0.0} for _ in range(3)]
    clash = clash_of(
        T=2,
        batteries=batteries,
        groups=[{}, {"parent": "g0"}],
        limits=[{"group": "g1", "p_kw_max": 3.0}, {"group": "g0", "p_kw_max": 100.0}],
        targets=[
            {"battery": 0, "interval": 1, "energy_kwh_min": 4.0},
            {"battery": 1, "interval": 1, "energy_kwh_min": 4.0},
        ],
    )
    limits = [rule for rule in clash.rules if rule.kind == "limit"]
    assert {(rule.name, rule.side) for rule in limits} == {("l0", "above")}
    assert len(limits) == 2  # both intervals: in one alone 5 kW more would do
    assert [rule.name for rule in clash.rules if rule.kind == "target"] == ["b0", "b1"]
    assert clash.where == "group g1"
    assert clash.is_minimal
    assert "without any one of them the others can" in str(clash)


def with_only(problem: DispatchProblem, rules: list[Rule]) -> DispatchProblem:
    """A problem whose only rules are some edges of its limits: the rest is wide or gone."""
    b, limits = problem.batteries, problem.limits
    starts = {iso(at): t for t, at in enumerate(problem.grid.starts)}
    edges = {
        "above": np.full_like(limits.p_kw_max, 1e6),
        "below": np.full_like(limits.p_kw_min, -1e6),
    }
    asked = {"above": limits.p_kw_max, "below": limits.p_kw_min}
    for rule in rules:
        at = (limits.limit_id.index(rule.name), starts[rule.at])
        edges[rule.side][at] = asked[rule.side][at]
    free, none = np.full(len(b), np.inf), np.zeros(len(b))
    targets = problem.targets
    return replace(
        problem,
        batteries=replace(
            b,
            energy_kwh_min=np.full_like(b.energy_kwh_min, -1e4),
            energy_kwh_max=np.full_like(b.energy_kwh_max, 1e4),
            ramp_up_kw_per_h=free,
            ramp_down_kw_per_h=free.copy(),
            p_charge_kw_min=none,
            p_discharge_kw_min=none.copy(),
            power_levels=np.zeros_like(b.power_levels),
        ),
        limits=replace(
            limits,
            p_kw_max=edges["above"],
            p_kw_min=edges["below"],
            ramp_up_kw_per_h=np.full(len(limits), np.inf),
            ramp_down_kw_per_h=np.full(len(limits), np.inf),
        ),
        targets=type(targets)(
            where=(), **{n: v[:0] for n, v in vars(targets).items() if n != "where"}
        ),
        network=NetworkRows.none(),
        reserves=Reserves.none(),
    )


def test_the_limits_of_a_clash_clash_and_do_not_without_any_one_of_them() -> None:
    checked = 0
    for seed in range(360):
        problem = random_problem(seed, shared=seed % 2 == 0)
        clash = find_clash(problem, solve(problem, solver="monolith").breaches)
        if clash is None or {rule.kind for rule in clash.rules} != {"limit"}:
            continue
        rules = list(clash.rules)
        assert broken(with_only(problem, rules)), f"seed {seed}"
        for rule in rules:
            others = [one for one in rules if one != rule]
            assert not broken(with_only(problem, others)), f"seed {seed}: {rule}"
        checked += 1
    assert checked >= 8


def broken(problem: DispatchProblem) -> bool:
    return any(breach.is_firm for breach in solve(problem, solver="monolith").breaches)


def test_a_large_part_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optimizer.clash.BATTERIES_MOST", 1)
    batteries = [{"group": "g0"} for _ in range(3)]
    groups = [{"load_kw": 90.0}]
    problem = make_problem(
        batteries=batteries, groups=groups, limits=[{"group": "g0", "p_kw_max": 4.0}]
    )
    with pytest.raises(InfeasibleError) as caught:
        solve(problem, strict=True)
    assert caught.value.clash is None
    assert caught.value.breaches
