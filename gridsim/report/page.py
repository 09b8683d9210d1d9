"""The report: one HTML file that needs nothing but a browser."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gridsim.report import tables, words
from gridsim.report.pictures import figures
from optimizer.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridsim.report.style import ReportFigure
    from gridsim.run.result import Run

TEMPLATE = "report.html.j2"
FILE_NAME = "report.html"
# Blanks and quotes end a URL in HTML, so only these stay as they are.
_SAFE = "/:;=,()+@!$*~?-_.'{}[]|"


def write_report(run: Run, path: str | Path) -> Path:
    """Write the report of `run` to `path`, or to report.html in it where it is a folder.

    The file holds its styles and pictures, and asks for nothing from outside. It appears whole or
    not at all.
    """
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    text = render(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def render(run: Run) -> str:
    """The report as text."""
    template = environment().get_template(TEMPLATE)
    return template.render(**_content(run))


def environment() -> Environment:
    """Jinja2 with every value escaped and every misspelt name an error."""
    return Environment(
        loader=PackageLoader("gridsim.report", "templates"),
        autoescape=select_autoescape(enabled_extensions=("j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _content(run: Run) -> dict[str, Any]:
    summary = run.summary
    wide, narrow = figures(run), figures(run, narrow=True)
    said = words.alternatives(run)
    return {
        "run": run,
        "summary": summary,
        "horizon": words.horizon(summary),
        "verdict": words.verdict(summary),
        "gap_note": words.gap_note(run.data),
        "map_note": words.map_note(run.data),
        "pictures": {name: _picture(wide[name], narrow[name], said[name]) for name in wide},
        "summary_table": tables.summary_table(summary),
        "price_only_table": tables.price_only_table(summary),
        "battery_table": tables.list_table(summary, tables.BATTERIES),
        "proof_table": tables.list_table(summary, tables.PROOF),
        "resource_table": tables.list_table(summary, tables.RESOURCES),
        "rounds_table": tables.rounds_table(summary),
        "findings": tables.worst_first(summary.get("findings") or ()),
        "preexisting": tables.worst_first(summary.get("preexisting") or ()),
        "finding_counts": words.counted(summary.get("finding_counts") or {}),
        "finding_value": tables.finding_value,
        "finding_time": tables.finding_time,
        "command": _command(summary),
    }


def _picture(wide: ReportFigure, narrow: ReportFigure, said: str) -> dict[str, Any]:
    return {
        "wide": _data_url(wide.to_svg()),
        "narrow": _data_url(narrow.to_svg()),
        "said": said,
        "width": round(wide.get_figwidth() * 96),
        "height": round(wide.get_figheight() * 96),
    }


def _data_url(svg: str) -> str:
    """Percent-encoded rather than base64: pixels inside are base64 already, and would grow."""
    return "data:image/svg+xml," + quote(svg, safe=_SAFE)


def _command(summary: Mapping[str, Any]) -> str:
    """What to type to get this run again."""
    day = ["--day", str(summary["day"])] if summary.get("day") else []
    return shlex.join(["gridsim", "run", str(summary["scenario"]), *day])
