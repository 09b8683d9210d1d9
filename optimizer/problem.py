"""What was asked: one dispatch problem in normal form.

Everything that plans, solves or checks reads this form: columns of numpy arrays with every default
filled in, every reference an index and every series at full length. The portable JSON form is in
`optimizer.document`; the equations are in `docs/formulation.md`.

Axes: ``N`` batteries (charging sessions are rows among them), ``M`` generators, ``G`` groups, ``L``
limits, ``K`` targets, ``T`` intervals. Power is positive into the unit or group (charging,
consuming, importing); all series over intervals are interval means.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from optimizer.checks import problem_faults
from twins.faults import InvalidInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from twins.timegrid import TimeGrid

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

NO_GROUP = -1
"""Index that stands for "in no group" (a unit), "at the top" (a group) or "the whole" (a limit)."""


class ProblemError(InvalidInputError):
    """A dispatch problem that makes no sense; `faults` names every reason."""


@dataclass(frozen=True, eq=False)
class Batteries:
    """Batteries and charging sessions, one row each.

    Attributes:
        battery_id: the rows' names, length N.
        where: path of each row in the document it came from, for error texts.
        is_session: shape (N,), true for a charging session.
        group: shape (N,), index of the group or site the unit sits in, or `NO_GROUP`.
        energy_kwh_initial: shape (N,), stored energy at instant 0. May lie outside the band.
        energy_kwh_min: shape (N, T+1), lower edge of the band by instant (instant 0 is not used).
        energy_kwh_max: shape (N, T+1), upper edge of the band by instant.
        p_charge_kw_max: shape (N, T), at the terminals, ≥ 0; availability is already applied.
        p_discharge_kw_max: shape (N, T), as a positive number.
        p_charge_kw_min: shape (N,), least charging power when charging; 0 for none.
        p_discharge_kw_min: shape (N,), least discharging power when discharging.
        power_levels: shape (N,), number of equal steps to full power (1: on/off), 0: continuous.
        efficiency_charge: shape (N, T), terminal to store.
        efficiency_discharge: shape (N, T), store to terminal.
        standing_loss_per_h: shape (N,), compounds as ``(1 - loss)**hours``.
        inflow_kw: shape (N, T), net gain of the store beside the converter (usage < 0).
        wear_cost_charge_per_kwh: shape (N,), at the terminals.
        wear_cost_discharge_per_kwh: shape (N,), at the terminals.
        cycles_per_day_max: shape (N,), equivalent full cycles a UTC day; inf for none.
        ramp_up_kw_per_h: shape (N,), largest rise of ``p_kw`` between the means of neighbouring
            intervals, per hour between their midpoints; inf for none.
        ramp_down_kw_per_h: shape (N,), largest fall, as a positive number.
        p_kw_initial: shape (N,), power before the first interval, nan where the first is free.
        end_value_per_kwh: shape (N, P), value of energy left at the last instant, by piece,
            non-increasing along a row.
        end_value_kwh: shape (N, P), the pieces' widths, counted from an empty store; inf allowed.
    """

    battery_id: tuple[str, ...]
    where: tuple[str, ...]
    is_session: npt.NDArray[np.bool_]
    group: Ints
    energy_kwh_initial: Floats
    energy_kwh_min: Floats
    energy_kwh_max: Floats
    p_charge_kw_max: Floats
    p_discharge_kw_max: Floats
    p_charge_kw_min: Floats
    p_discharge_kw_min: Floats
    power_levels: Ints
    efficiency_charge: Floats
    efficiency_discharge: Floats
    standing_loss_per_h: Floats
    inflow_kw: Floats
    wear_cost_charge_per_kwh: Floats
    wear_cost_discharge_per_kwh: Floats
    cycles_per_day_max: Floats
    ramp_up_kw_per_h: Floats
    ramp_down_kw_per_h: Floats
    p_kw_initial: Floats
    end_value_per_kwh: Floats
    end_value_kwh: Floats

    def __len__(self) -> int:
        return len(self.battery_id)

    @property
    def energy_kwh_rated(self) -> Floats:
        """The largest energy the band ever allows, shape (N,): what one full cycle means."""
        return np.asarray(self.energy_kwh_max.max(axis=1))

    @property
    def is_discrete(self) -> npt.NDArray[np.bool_]:
        """Rows with a least power or with equal steps, shape (N,)."""
        least = (self.p_charge_kw_min > 0) | (self.p_discharge_kw_min > 0)
        return np.asarray((self.power_levels > 0) | least)


@dataclass(frozen=True, eq=False)
class Generators:
    """Curtailable generation: any output between a least and the available power.

    Attributes:
        generator_id: names, length M.
        where: path of each row in its document.
        group: shape (M,), index of the group it feeds, or `NO_GROUP`.
        p_kw_available: shape (M, T), ≥ 0.
        p_kw_min: shape (M, T), ≥ 0, what cannot be curtailed.
        cost_per_kwh: shape (M,), cost of what is generated.
    """

    generator_id: tuple[str, ...]
    where: tuple[str, ...]
    group: Ints
    p_kw_available: Floats
    p_kw_min: Floats
    cost_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.generator_id)


@dataclass(frozen=True, eq=False)
class Groups:
    """The tree of groups; a *site* is a group with a meter.

    Attributes:
        group_id: names, length G.
        where: path of each row in its document.
        parent: shape (G,), index of the parent or `NO_GROUP`.
        is_site: shape (G,), true where the net is metered and settled at the site's own prices.
        load_kw: shape (G, T), fixed consumption, ≥ 0, of this node itself (children not included).
        generation_kw: shape (G, T), fixed generation, ≥ 0.
        price_import_per_kwh: shape (G, T), what a site pays; not used for other groups.
        price_export_per_kwh: shape (G, T), what a site earns.
    """

    group_id: tuple[str, ...]
    where: tuple[str, ...]
    parent: Ints
    is_site: npt.NDArray[np.bool_]
    load_kw: Floats
    generation_kw: Floats
    price_import_per_kwh: Floats
    price_export_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.group_id)

    @cached_property
    def ancestors(self) -> tuple[tuple[int, ...], ...]:
        """For each group: itself, its parent, and so on to the top."""
        chains: list[tuple[int, ...]] = []
        for group in range(len(self)):
            chain, at = [], group
            while at != NO_GROUP:
                chain.append(at)
                at = int(self.parent[at])
            chains.append(tuple(chain))
        return tuple(chains)

    @cached_property
    def site_of(self) -> Ints:
        """For each group the index of the site it is or lies in, or `NO_GROUP`. Shape (G,)."""
        sites = [next((g for g in chain if self.is_site[g]), NO_GROUP) for chain in self.ancestors]
        return np.array(sites, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Limits:
    """Bounds on a group's net active power, and prices on their breach.

    A limit with neither price is firm: it is only broken where nothing else is possible, at a price
    above all others, and the breach is reported. A peak charge is a limit at the peak already paid
    whose largest breach is priced.

    Attributes:
        limit_id: names, length L.
        where: path of each row in its document.
        group: shape (L,), the group that is bounded, or `NO_GROUP` for the whole problem.
        p_kw_max: shape (L, T), +inf where there is none.
        p_kw_min: shape (L, T), −inf where there is none; −100 allows 100 kW of export.
        breach_price_per_kwh: shape (L,), on each interval's breach, 0 for none.
        breach_price_per_kw: shape (L,), on the largest breach of each side, 0 for none.
    """

    limit_id: tuple[str, ...]
    where: tuple[str, ...]
    group: Ints
    p_kw_max: Floats
    p_kw_min: Floats
    breach_price_per_kwh: Floats
    breach_price_per_kw: Floats

    def __len__(self) -> int:
        return len(self.limit_id)

    @property
    def is_firm(self) -> npt.NDArray[np.bool_]:
        """Limits without any price of their own, shape (L,)."""
        return np.asarray((self.breach_price_per_kwh == 0) & (self.breach_price_per_kw == 0))


@dataclass(frozen=True, eq=False)
class Targets:
    """Stored energy wanted at a moment, which may lie inside an interval.

    Attributes:
        where: path of each row in its document.
        battery: shape (K,), row of the battery.
        interval: shape (K,), the interval that contains the moment.
        share: shape (K,), share of that interval that has passed, in (0, 1].
        energy_kwh_min: shape (K,), −inf for none.
        energy_kwh_max: shape (K,), +inf for none.
        breach_price_per_kwh: shape (K,), price of missing or surplus energy; 0: firm.
    """

    where: tuple[str, ...]
    battery: Ints
    interval: Ints
    share: Floats
    energy_kwh_min: Floats
    energy_kwh_max: Floats
    breach_price_per_kwh: Floats

    def __len__(self) -> int:
        return len(self.where)

    @property
    def is_firm(self) -> npt.NDArray[np.bool_]:
        """Targets without a price of their own, shape (K,)."""
        return np.asarray(self.breach_price_per_kwh == 0)


@dataclass(frozen=True, eq=False)
class DispatchProblem:
    """A checked dispatch problem; see the module's text for axes and signs.

    Attributes:
        grid: the T intervals.
        price_import_per_kwh: shape (T,), paid for what a unit outside every site draws.
        price_export_per_kwh: shape (T,), earned for what it delivers.
        name: free text.
        currency: unit of every price, e.g. "EUR".

    Raises:
        ProblemError: anything is inconsistent; every fault is named.
    """

    grid: TimeGrid
    price_import_per_kwh: Floats
    price_export_per_kwh: Floats
    batteries: Batteries
    generators: Generators
    groups: Groups
    limits: Limits
    targets: Targets
    name: str = "problem"
    currency: str = "EUR"
    document: dict[str, Any] | None = field(default=None, repr=False)
    """The portable form this was read from, kept so that a saved plan holds what was asked."""

    def __post_init__(self) -> None:
        faults = problem_faults(self)
        if faults:
            raise ProblemError(self.name, faults)

    def __repr__(self) -> str:
        counts = f"{len(self.batteries)} batteries, {len(self.groups)} groups"
        return f"DispatchProblem({self.name!r}, {counts}, {self.grid})"

    @property
    def shape(self) -> tuple[int, int]:
        """(batteries, intervals)."""
        return len(self.batteries), len(self.grid)

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that decides the answer; the same in every process."""
        digest = hashlib.sha256(self.grid.instants.tobytes())
        for price in (self.price_import_per_kwh, self.price_export_per_kwh):
            digest.update((price + 0).tobytes())
        for table in (self.batteries, self.generators, self.groups, self.limits, self.targets):
            for column in fields(table):
                value = getattr(table, column.name)
                if column.name == "where":
                    continue
                # Adding 0 turns -0.0 into 0.0: equal problems have equal digests.
                is_array = isinstance(value, np.ndarray)
                data = (value + 0).tobytes() if is_array else repr(value).encode()
                digest.update(column.name.encode() + data)
        return digest.hexdigest()

    @cached_property
    def battery_site(self) -> Ints:
        """The site each battery is settled at, or `NO_GROUP` for its own terminals. Shape (N,)."""
        return self._sites_of(self.batteries.group)

    @cached_property
    def generator_site(self) -> Ints:
        """The site each generator is settled at, or `NO_GROUP`. Shape (M,)."""
        return self._sites_of(self.generators.group)

    def _sites_of(self, group: Ints) -> Ints:
        if not len(self.groups):
            return np.full(group.shape, NO_GROUP, dtype=np.int64)
        return np.where(group == NO_GROUP, NO_GROUP, self.groups.site_of[group])

    @cached_property
    def energy_after_loss(self) -> Floats:
        """Share of an interval's first energy that is left at its end, shape (N, T)."""
        kept = 1.0 - self.batteries.standing_loss_per_h
        return np.asarray(kept[:, None] ** self.grid.step_h[None, :])

    @cached_property
    def days(self) -> Ints:
        """The UTC day of each interval, counted from 0, shape (T,)."""
        day = self.grid.starts.astype("datetime64[D]").astype(np.int64)
        return np.asarray(day - day[0])

    @cached_property
    def firm_price_per_kwh(self) -> float:
        """Price at which a firm limit is broken where nothing else is possible.

        Far above every energy price and above every stated breach price, so that a firm limit
        yields last, and not so far that the solver's tolerances are lost.
        """
        energy = [self.price_import_per_kwh, self.price_export_per_kwh]
        if self.groups.is_site.any():
            energy += [
                self.groups.price_import_per_kwh[self.groups.is_site],
                self.groups.price_export_per_kwh[self.groups.is_site],
            ]
        energy += [self.batteries.end_value_per_kwh, self.batteries.wear_cost_charge_per_kwh]
        energy += [self.batteries.wear_cost_discharge_per_kwh, self.generators.cost_per_kwh]
        largest = max(float(np.abs(column).max(initial=0.0)) for column in energy)
        stated = max(
            float(self.limits.breach_price_per_kwh.max(initial=0.0)),
            float((self.limits.breach_price_per_kw / self.grid.step_h.min()).max(initial=0.0)),
            float(self.targets.breach_price_per_kwh.max(initial=0.0)),
        )
        return max(1000.0 * largest, 10.0 * stated, 1.0)
