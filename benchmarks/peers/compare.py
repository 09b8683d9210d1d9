"""Contestants on one instance: each run, scored by the certificate, in one result each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.peers.contestants import OWN, Contestant, Limits, run
from benchmarks.peers.instance import Recipe, neutral
from benchmarks.peers.score import score

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.peers.exchange import Answer

COUNTED = ("build", "solve", "extract", "certify")
"""Phases that make up a run's seconds; loading compiled code and the audit stand apart."""


@dataclass(frozen=True)
class Result:
    """One run of one contestant. Without a plan only `note` says something.

    Attributes:
        seconds: by phase.
        total_s: of the counted phases; gridsim's own certificate is counted, the others have none.
        profit, gap, worst_violation, breaches, breaks: see `score.Score`.
        planned: batteries with a plan.
    """

    contestant: str
    recipe: Recipe
    note: str
    seconds: dict[str, float] = field(default_factory=dict)
    total_s: float | None = None
    peak_memory_mb: float | None = None
    profit: float | None = None
    profit_bound: float | None = None
    gap: float | None = None
    worst_violation: float | None = None
    breaches: int = 0
    breaks: dict[str, str] = field(default_factory=dict)
    planned: int = 0
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether there is a plan for every battery."""
        return self.planned == self.recipe.batteries

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "finished": self.finished}


class Comparison:
    """Contestants on one instance, gridsim first for its bound."""

    def __init__(self, recipe: Recipe, limits: Limits) -> None:
        self.recipe, self.limits = recipe, limits
        self.problem = recipe.problem()
        self.instance = neutral(recipe, self.problem)
        self.bound: float | None = None

    def run(self, contestant: Contestant) -> Result:
        answer = run(contestant, self.instance, self.limits)
        if contestant.name == OWN:
            self.bound = answer.bound
        return self._result(contestant, answer)

    def _result(self, contestant: Contestant, answer: Answer) -> Result:
        common = {"contestant": contestant.name, "recipe": self.recipe, "note": answer.note}
        if answer.p_charge_kw is None or answer.p_discharge_kw is None:
            return Result(**common)
        found = score(self.problem, answer.p_charge_kw, answer.p_discharge_kw, self.bound)
        if answer.planned < self.recipe.batteries:
            words = f"planned {answer.planned:,} of {self.recipe.batteries:,} batteries"
            common["note"] = f"{words} in {self.limits.time_s:g} s; {answer.note}"
        return Result(
            **common,
            **asdict(found),
            seconds=answer.seconds,
            total_s=sum(answer.seconds.get(name, 0.0) for name in COUNTED),
            peak_memory_mb=answer.peak_memory_mb,
            profit_bound=answer.bound,
            planned=answer.planned,
            versions=answer.versions,
        )


class GivenUp:
    """Who did not finish an instance, and need not try others of that size or larger."""

    def __init__(self) -> None:
        self._failed: dict[str, int] = {}

    def note(self, result: Result) -> None:
        if not result.finished and not result.note.startswith("not installed"):
            size = result.recipe.batteries
            self._failed[result.contestant] = min(size, self._failed.get(result.contestant, size))

    def reason(self, contestant: Contestant, recipe: Recipe) -> str:
        """Why it is not tried, empty if it is."""
        size = self._failed.get(contestant.name)
        if size is None or size > recipe.batteries:
            return ""
        return f"not tried: did not finish {size:,} batteries"


def compare(
    recipes: Iterable[Recipe], contestants: list[Contestant], limits: Limits
) -> Iterator[Result]:
    """Every contestant on every instance, in the order given: the easy ones had better be first.

    Who writes integers by hand takes part only where there are discrete batteries.
    """
    given_up = GivenUp()
    for recipe in recipes:
        comparison = Comparison(recipe, limits)
        for contestant in contestants:
            if contestant.is_only_discrete and not recipe.discrete:
                continue
            reason = given_up.reason(contestant, recipe)
            if reason:
                result = Result(contestant.name, recipe, reason)
            else:
                result = comparison.run(contestant)
            given_up.note(result)
            yield result
