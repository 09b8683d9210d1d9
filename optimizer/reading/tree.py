"""Sites, groups and limits of a document, as columns of the normal form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from optimizer.problem import Groups, Limits

if TYPE_CHECKING:
    import numpy.typing as npt

    from optimizer.document import (
        GroupDocument,
        LimitDocument,
        PeakChargeDocument,
        SiteDocument,
    )
    from optimizer.reading.context import Reading

    Floats = npt.NDArray[np.float64]


def groups_of(reading: Reading, price_import: Floats, price_export: Floats) -> Groups:
    """Sites first, then groups; a site without prices of its own takes the problem's."""
    sites, groups = reading.document.sites, reading.document.groups
    where = reading.where("sites") + reading.where("groups")
    nodes: list[SiteDocument | GroupDocument] = [*sites, *groups]
    rows = list(zip(nodes, where, strict=True))
    prices = [
        _site_prices(reading, site, path, price_import, price_export)
        for site, path in zip(sites, where, strict=False)
    ]
    prices += [(np.zeros(len(reading.grid)),) * 2] * len(groups)
    return Groups(
        group_id=tuple([site.site_id for site in sites] + [group.group_id for group in groups]),
        where=where,
        parent=np.array(
            [reading.group(row.parent_id, f"{path}.parent_id") for row, path in rows],
            dtype=np.int64,
        ),
        is_site=np.arange(len(rows)) < len(sites),
        load_kw=reading.matrix([reading.series(r.load_kw, f"{p}.load_kw") for r, p in rows]),
        generation_kw=reading.matrix(
            [reading.series(row.generation_kw, f"{path}.generation_kw") for row, path in rows]
        ),
        price_import_per_kwh=reading.matrix([paid for paid, _ in prices]),
        price_export_per_kwh=reading.matrix([earned for _, earned in prices]),
    )


def _site_prices(
    reading: Reading, site: SiteDocument, path: str, price_import: Floats, price_export: Floats
) -> tuple[Floats, Floats]:
    """Import and export price; a site that only names one price pays and earns that one."""
    paid, earned = price_import, price_export
    if site.price_import_per_kwh is not None:
        paid = earned = reading.series(site.price_import_per_kwh, f"{path}.price_import_per_kwh")
    if site.price_export_per_kwh is not None:
        earned = reading.series(site.price_export_per_kwh, f"{path}.price_export_per_kwh")
    return paid, earned


def limits_of(reading: Reading) -> Limits:
    """Limits first, then peak charges: limits at the peak already paid, priced on the largest."""
    limits, peaks = reading.document.limits, reading.document.peak_charges
    paths, peak_paths = reading.where("limits"), reading.where("peak_charges")
    top, bottom = [], []
    for limit, path in zip(limits, paths, strict=True):
        top.append(reading.open_series(limit.p_kw_max, f"{path}.p_kw_max", np.inf))
        bottom.append(reading.open_series(limit.p_kw_min, f"{path}.p_kw_min", -np.inf))
    for peak, path in zip(peaks, peak_paths, strict=True):
        counts = _counts(reading, peak.applies, f"{path}.applies")
        is_import = peak.side == "import"
        top.append(np.where(counts & is_import, peak.p_kw_paid, np.inf))
        bottom.append(np.where(counts & (not is_import), -peak.p_kw_paid, -np.inf))
    names = [limit.limit_id or path for limit, path in zip(limits, paths, strict=True)]
    names += [peak.peak_id or path for peak, path in zip(peaks, peak_paths, strict=True)]
    bounds: list[LimitDocument | PeakChargeDocument] = [*limits, *peaks]
    rows = zip(bounds, paths + peak_paths, strict=True)
    return Limits(
        limit_id=tuple(names),
        where=paths + peak_paths,
        group=np.array(
            [reading.group(row.group_id, f"{path}.group_id") for row, path in rows], dtype=np.int64
        ),
        p_kw_max=reading.matrix(top),
        p_kw_min=reading.matrix(bottom),
        breach_price_per_kwh=np.array(
            [limit.breach_price_per_kwh or 0.0 for limit in limits] + [0.0] * len(peaks)
        ),
        breach_price_per_kw=np.array(
            [limit.breach_price_per_kw or 0.0 for limit in limits]
            + [peak.price_per_kw for peak in peaks]
        ),
        **_ramps(limits, len(peaks)),
    )


def _ramps(limits: list[LimitDocument], peaks: int) -> dict[str, Floats]:
    """Ramps of limits; a peak charge has none."""
    return {
        name: np.array(
            [none if (value := getattr(limit, name)) is None else value for limit in limits]
            + [none] * peaks,
            dtype=float,
        )
        for name, none in (
            ("ramp_up_kw_per_h", np.inf),
            ("ramp_down_kw_per_h", np.inf),
            ("p_kw_initial", np.nan),
        )
    }


def _counts(reading: Reading, applies: list[bool] | None, where: str) -> npt.NDArray[np.bool_]:
    """The intervals in which a peak counts."""
    count = len(reading.grid)
    if applies is None:
        return np.ones(count, dtype=bool)
    if len(applies) != count:
        if not reading.has_time:
            return np.ones(count, dtype=bool)
        allowed = f"must have {count}: one for each interval"
        reading.faults.add(where, f"{len(applies)} entries", allowed)
        return np.ones(count, dtype=bool)
    return np.array(applies)
