"""Sentences of the report: the verdict, and what each picture shows to those who cannot see it."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gridsim.report.layout import bus_xy
from gridsim.report.numbers import as_text, look, number
from gridsim.report.series import gaps, outside_limits, overloaded, values
from gridsim.report.style import PLAN, PRICE_ONLY, WITHOUT
from gridsim.report.tables import worst_first

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from gridsim.report.style import Case
    from gridsim.run.result import Run


def verdict(summary: Mapping[str, Any]) -> str:
    """The run in one sentence: what was planned, what it saves, what was checked."""
    return _passed(summary) if summary["verdict"] == "pass" else _refused(summary)


def horizon(summary: Mapping[str, Any]) -> str:
    """The planned day, or both ends of the horizon."""
    day, start, end = (str(summary.get(key) or "") for key in ("day", "start", "end"))
    try:
        return f"on {_day(date.fromisoformat(day))}"
    except ValueError:
        first, last = (datetime.fromisoformat(text) for text in (start, end))
        return f"from {_day(first)} to {_day(last)}"


def alternatives(run: Run) -> dict[str, str]:
    """What each figure shows, in words, by the name of the figure."""
    data, summary = run.data, run.summary
    return {
        "plan": _plan_words(data, str(summary["currency"])),
        "voltage": _three(summary, "Lowest voltage", "voltage_pu.lowest", 1.0, 4, " per unit")
        + _three(summary, "Highest voltage", "voltage_pu.highest", 1.0, 4, " per unit"),
        "loading": _three(summary, "Highest line loading", "loading.line", 100.0, 1, " %")
        + _three(summary, "Highest transformer loading", "loading.transformer", 100.0, 1, " %"),
        "map": _map_words(data, PLAN),
        "map_price_only": _map_words(data, PRICE_ONLY),
    }


def map_note(data: xr.Dataset) -> str:
    """How the buses came to their places on the map."""
    xy, own = bus_xy(data)
    if not own:
        return (
            "The grid file has no coordinates: buses are drawn on circles around the upstream bus, "
            "by their number of branches from it."
        )
    missing = int((~np.isfinite(xy).all(axis=1)).sum())
    return f"Buses without coordinates, not drawn: {missing:,}." if missing else ""


def gap_note(data: xr.Dataset) -> str:
    """Which power flows did not converge, or nothing."""
    counts = {case.label: int(gaps(data, case).sum()) for case in (PLAN, WITHOUT, PRICE_ONLY)}
    found = [f"{count:,} {label}" for label, count in counts.items() if count]
    if not found:
        return ""
    return f"Intervals whose power flow did not converge (hatched): {', '.join(found)}."


def counted(findings: Mapping[str, Any]) -> str:
    """For example "9 voltage, 3 line loading"."""
    return ", ".join(f"{count:,} {check}" for check, count in findings.items() if count)


def _passed(summary: Mapping[str, Any]) -> str:
    same = len(summary.get("preexisting") or ())
    grid = "and no limit of the grid is broken"
    if same:
        grid = f"and of the grid's limits only the {same:,} broken without batteries too stay so"
        grid += ", none worse"
    return (
        f"Passed: {_what(summary)} {_saving(summary)}; a twin of every battery has lived through "
        f"it, an AC power flow of all {summary['intervals']:,} intervals has checked it, {grid}."
    )


def _refused(summary: Mapping[str, Any]) -> str:
    findings = summary.get("findings") or ()
    worst = worst_first(findings).shown[:1]
    example = f", the worst: {str(worst[0]['text']).rstrip('.')}" if worst else ""
    count = len(findings)
    return (
        f"Refused: {_what(summary)} must not be released, because the check by battery twins and "
        f"AC power flow has {count:,} finding{'' if count == 1 else 's'} against it "
        f"({counted(summary.get('finding_counts') or {})}){example}."
    )


def _what(summary: Mapping[str, Any]) -> str:
    batteries, sites = summary["batteries"], summary["sites"]
    whole = " in whole watts" if summary.get("resolution_w") == 1 else ""
    return f"the plan{whole} for {batteries:,} batteries at {sites:,} sites {horizon(summary)}"


def _saving(summary: Mapping[str, Any]) -> str:
    against = {"no_battery": "no batteries", "self_consumption": "rule-based self-consumption"}
    parts = []
    for key, words in against.items():
        percent = number(look(summary, f"saving_percent.{key}"))
        if percent is not None:
            verb = "less" if percent >= 0 else "more"
            parts.append(f"{as_text(abs(percent), 1)} % {verb} than {words}")
    plan, rest = (number(look(summary, f"cost.{key}")) for key in ("plan", "no_battery"))
    money = ""
    if plan is not None and rest is not None:
        currency = summary["currency"]
        money = f" ({currency} {as_text(plan, 2)} instead of {as_text(rest, 2)})"
    return f"costs the sites {' and '.join(parts)}{money}" if parts else "has no known saving"


def _plan_words(data: xr.Dataset, currency: str) -> str:
    power = values(data, "p_kw").sum(axis=0)
    price, soc = values(data, "price_import_per_kwh"), values(data, "soc")
    words = (
        f"The fleet charges at up to {as_text(max(power.max(initial=0.0), 0.0), 0)} kW and "
        f"discharges at up to {as_text(max(-power.min(initial=0.0), 0.0), 0)} kW, while the import "
        f"price goes from {as_text(float(price.min()), 3)} to {as_text(float(price.max()), 3)} "
        f"{currency}/kWh."
    )
    if soc.size:
        words += (
            f" The median state of charge goes from {np.median(soc, axis=0).min():.0%} "
            f"to {np.median(soc, axis=0).max():.0%}."
        )
    return words


def _three(
    summary: Mapping[str, Any], what: str, path: str, scale: float, decimals: int, unit: str
) -> str:
    texts = []
    for key, case in (("plan", PLAN), ("without", WITHOUT), ("price_only", PRICE_ONLY)):
        value = number(look(summary, f"{path}.{key}"))
        shown = as_text(None if value is None else value * scale, decimals)
        texts.append(f"{shown}{unit} {case.label}")
    return f"{what}: {', '.join(texts)}. "


def _map_words(data: xr.Dataset, case: Case) -> str:
    out = int(outside_limits(data, case).sum())
    hot = {kind: int(overloaded(data, case, kind).sum()) for kind in ("line", "transformer")}
    return (
        f"Map of {data.sizes['bus']:,} buses and {data.sizes['line']:,} lines {case.label}: "
        f"{out:,} buses leave their voltage limits, {hot['line']:,} lines and "
        f"{hot['transformer']:,} transformers are loaded above theirs."
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
