"""Distributions that a scenario may state, and drawing from them.

Every quantity has its own stream of random numbers, made from the fleet's seed and the quantity's
name: changing how sizes are drawn leaves the states of charge as they were.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field, model_validator
from scipy.special import ndtr, ndtri

from gridsim.scenario.base import NonNegative, Positive, Section, refused, require_one

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


class Normal(Section):
    """A normal distribution cut off at both ends (not clipped: nothing piles up at the ends)."""

    mean: float = Field(description="mean before cutting")
    sd: Positive = Field(description="standard deviation before cutting")
    min: float = Field(description="smallest value")
    max: float = Field(description="largest value")

    @model_validator(mode="after")
    def _ordered(self) -> Normal:
        _check_order(self.min, self.max)
        return self


class Lognormal(Section):
    """A lognormal distribution cut off at both ends."""

    median: Positive = Field(description="median before cutting")
    sigma: Positive = Field(description="standard deviation of the natural logarithm")
    min: Positive = Field(description="smallest value")
    max: Positive = Field(description="largest value")

    @model_validator(mode="after")
    def _ordered(self) -> Lognormal:
        _check_order(self.min, self.max)
        return self


class Choice(Section):
    """One of several values."""

    values: list[float] = Field(min_length=1, description="the values")
    weights: list[NonNegative] | None = Field(
        default=None, description="how often each value occurs, relative; equal if left out"
    )

    @model_validator(mode="after")
    def _matched(self) -> Choice:
        if self.weights is not None:
            if len(self.weights) != len(self.values):
                raise refused("weights", self.weights, f"give one for each of {len(self.values)}")
            if not sum(self.weights) > 0:
                raise refused("weights", self.weights, "at least one must be above 0")
        return self


class Draw(Section):
    """A distribution; give exactly one of its keys."""

    uniform: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="evenly between the two values"
    )
    normal: Normal | None = Field(default=None, description="normal, cut off at both ends")
    lognormal: Lognormal | None = Field(default=None, description="lognormal, cut off at both ends")
    choice: Choice | None = Field(default=None, description="one of several values")

    @model_validator(mode="after")
    def _one(self) -> Draw:
        require_one(self, {name: name for name in type(self).model_fields})
        if self.uniform is not None:
            low, high = self.uniform
            _check_order(low, high, where="uniform")
        return self


class YearlyDemand(Section):
    """A size in proportion to the demand of the load that the battery stands behind."""

    kwh_per_mwh: Positive = Field(description="kWh of store for each MWh of yearly demand")
    min: Positive = Field(default=1e-3, description="smallest size, kWh")
    max: Positive = Field(default=1e9, description="largest size, kWh")

    @model_validator(mode="after")
    def _ordered(self) -> YearlyDemand:
        _check_order(self.min, self.max)
        return self


class SizeDraw(Draw):
    """A distribution of sizes, or a size in proportion to demand; give exactly one key."""

    yearly_demand: YearlyDemand | None = Field(
        default=None, description="in proportion to the load's yearly demand"
    )


def _check_order(low: float, high: float, where: str = "") -> None:
    if low > high:
        raise refused(
            where, f"{low:g} to {high:g}", "the smallest value must not exceed the largest"
        )


def value_range(spec: float | Draw) -> tuple[float, float]:
    """The smallest and largest value that can be drawn (sizes by demand: their stated bounds)."""
    if not isinstance(spec, Draw):
        return spec, spec
    if spec.uniform is not None:
        return spec.uniform[0], spec.uniform[1]
    if spec.choice is not None:
        return min(spec.choice.values), max(spec.choice.values)
    bounds = spec.normal or spec.lognormal or getattr(spec, "yearly_demand", None)
    assert bounds is not None
    return bounds.min, bounds.max


def draw(
    spec: float | Draw, count: int, seed: int, name: str, yearly_kwh: Floats | None = None
) -> Floats:
    """`count` values from `spec`, shape (count,).

    Args:
        spec: a constant or a distribution.
        count: how many.
        seed: of the fleet.
        name: of the quantity; picks its stream.
        yearly_kwh: shape (count,), demand of each load, for sizes in proportion to it.
    """
    if not isinstance(spec, Draw):
        return np.full(count, float(spec))
    if isinstance(spec, SizeDraw) and spec.yearly_demand is not None:
        assert yearly_kwh is not None
        by = spec.yearly_demand
        return np.clip(yearly_kwh / 1000.0 * by.kwh_per_mwh, by.min, by.max)
    rng = stream(seed, name)
    if spec.choice is not None:
        return _choose(spec.choice, count, rng)
    share = rng.random(count)
    if spec.uniform is not None:
        low, high = spec.uniform
        return low + share * (high - low)
    if spec.normal is not None:
        n = spec.normal
        return _cut(share, n.mean, n.sd, n.min, n.max)
    log = spec.lognormal
    assert log is not None
    low, high = np.log([log.min, log.max])
    drawn = np.exp(_cut(share, float(np.log(log.median)), log.sigma, low, high))
    return np.clip(drawn, log.min, log.max)


def stream(seed: int, name: str) -> np.random.Generator:
    """The random numbers of one quantity."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _choose(choice: Choice, count: int, rng: np.random.Generator) -> Floats:
    weights = None if choice.weights is None else np.array(choice.weights) / sum(choice.weights)
    drawn: Floats = rng.choice(np.array(choice.values, np.float64), size=count, p=weights)
    return drawn


def _cut(share: Floats, mean: float, sd: float, low: float, high: float) -> Floats:
    """A cut-off normal distribution by its inverse, so that one draw costs one random number."""
    bottom, top = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
    return np.asarray(np.clip(mean + sd * ndtri(bottom + share * (top - bottom)), low, high))
