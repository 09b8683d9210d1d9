"""What is not known about a battery, as a handful of drawn scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from twins.columns import kernel_parameters, size_stores
from twins.faults import FaultList, InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.fleet import Fleet

SCENARIOS_MAX = 1000
TRUNCATE_AT_STD = 2.0


@dataclass(frozen=True)
class Uncertainty:
    """How to draw parameter scenarios: normal, cut at two standard deviations, each battery apart.

    Scenario 0 is the nominal fleet. Scenario k depends on the seed and on k alone, so asking for
    more scenarios keeps the earlier ones.

    Attributes:
        count: scenarios, the nominal one included.
        seed: of the draws, not negative.
        capacity_std: relative, of present capacity.
        efficiency_std: relative, of both one-way store efficiencies; the result is kept at or below
            1 where the nominal value is.
        soc_initial_std: absolute, of the first state of charge; the result is kept within 0 to 1.

    Raises:
        InvalidInputError: on construction, with every fault.
    """

    count: int
    seed: int = 0
    capacity_std: float = 0.02
    efficiency_std: float = 0.005
    soc_initial_std: float = 0.01

    def __post_init__(self) -> None:
        faults = FaultList("uncertainty")
        if not 1 <= self.count <= SCENARIOS_MAX:
            faults.add("count", self.count, f"must be from 1 to {SCENARIOS_MAX}")
        if self.seed < 0:
            faults.add("seed", self.seed, "must not be negative")
        for name in ("capacity_std", "efficiency_std", "soc_initial_std"):
            value = getattr(self, name)
            if not 0 <= value <= 0.3:
                faults.add(name, value, "must be from 0 to 0.3")
        faults.raise_if_any(InvalidInputError)


def scenario_parameters(fleet: Fleet, uncertainty: Uncertainty) -> npt.NDArray[Any]:
    """Kernel records of every scenario after another, shape (count · N,)."""
    nominal = kernel_parameters(fleet)
    drawn = [nominal]
    for scenario in range(1, uncertainty.count):
        records = nominal.copy()
        generator = np.random.default_rng([uncertainty.seed, scenario])
        capacity, charge, discharge, soc = _truncated_normal(generator, (4, len(fleet)))
        for name, draw in (("charge", charge), ("discharge", discharge)):
            column = records[f"store_efficiency_{name}"]
            varied = column * (1 + uncertainty.efficiency_std * draw)
            column[:] = np.minimum(varied, np.maximum(1.0, column))
        soc_initial = fleet.soc_initial + uncertainty.soc_initial_std * soc
        size_stores(
            records,
            fleet,
            1 + uncertainty.capacity_std * capacity,
            np.clip(soc_initial, 0.0, 1.0),
        )
        drawn.append(records)
    return np.concatenate(drawn)


def _truncated_normal(
    generator: np.random.Generator, shape: tuple[int, ...]
) -> npt.NDArray[np.float64]:
    """Standard normal draws, drawn again where they lie beyond `TRUNCATE_AT_STD`."""
    draws = generator.standard_normal(shape)
    outside = np.abs(draws) > TRUNCATE_AT_STD
    while outside.any():
        draws[outside] = generator.standard_normal(int(outside.sum()))
        outside = np.abs(draws) > TRUNCATE_AT_STD
    return draws
