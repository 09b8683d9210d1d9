"""How every picture looks: colours, line styles, and a figure that belongs to nobody's backend.

Colours are Okabe and Ito's ("Color Universal Design", 2008), which stay apart under colour-vision
deficiency; each kind of line has its own dashes as well. Colours named in `THEME` become CSS
variables in the SVG, so that one picture suits a light and a dark page.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#1b1d21"
FAINT = "#d5d7db"
PANEL = "#e9eaec"
NEUTRAL = "#6f747c"
BLUE = "#0072b2"
VERMILION = "#d55e00"
GREEN = "#008f68"
ORANGE = "#e69f00"

# Colour on a light page to (name of the variable, colour on a dark page).
THEME = {
    INK: ("ink", "#e7e8ea"),
    FAINT: ("faint", "#42464d"),
    PANEL: ("panel", "#50545b"),
    NEUTRAL: ("neutral", "#a3a8b0"),
    BLUE: ("plan", "#56b4e9"),
    VERMILION: ("price-only", "#f0803c"),
    GREEN: ("price", "#2bc79b"),
}

WIDE_IN = 9.2
NARROW_IN = 4.6
RASTER_DPI = 120


class Case(NamedTuple):
    """One of the three power flows that a run compares."""

    suffix: str
    label: str
    line: dict[str, Any]


PLAN = Case("", "with the plan", {"color": BLUE, "linestyle": "-", "linewidth": 1.8})
WITHOUT = Case(
    "_without", "without batteries", {"color": NEUTRAL, "linestyle": "--", "linewidth": 1.5}
)
PRICE_ONLY = Case(
    "_price_only", "by price alone", {"color": VERMILION, "linestyle": ":", "linewidth": 1.8}
)
LIMIT: dict[str, Any] = {"color": INK, "linestyle": (0, (7, 2, 1, 2)), "linewidth": 1.0}


class ReportFigure(Figure):
    """A matplotlib figure outside pyplot: safe in threads, and shown by notebooks."""

    @property
    def is_narrow(self) -> bool:
        """Whether it is made for a telephone's width."""
        return bool(self.get_figwidth() < (WIDE_IN + NARROW_IN) / 2)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=100)
        return buffer.getvalue()

    def to_svg(self) -> str:
        """The picture as one `<svg>` element; the same figure always gives the same text."""
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.savefig(
            buffer, format="svg", dpi=RASTER_DPI, transparent=False, metadata=dict(nothing)
        )
        text = buffer.getvalue()
        return _themed(_renumbered(text[text.index("<svg") :]))


def new_figure(width_in: float, height_in: float, *, paper: bool = False) -> ReportFigure:
    """An empty figure; see-through unless it needs `paper` of its own."""
    figure = ReportFigure(figsize=(width_in, height_in), layout="constrained")
    figure.set_facecolor("white" if paper else "none")
    return figure


def dress(axes: Axes, title: str, ylabel: str = "") -> None:
    """Title, label, grid and colours of one panel, whatever the reader's own settings are."""
    axes.set_facecolor("none")
    axes.set_title(title, loc="left", color=INK, fontsize=10, fontweight="bold")
    axes.set_ylabel(ylabel, color=INK, fontsize=9)
    axes.tick_params(colors=INK, labelcolor=INK, labelsize=8.5)
    axes.grid(visible=True, color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(NEUTRAL)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: ReportFigure, *panels: Axes) -> None:
    """One legend under all panels, each label once, so that it never covers data."""
    handles: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=min(len(handles), 2 if figure.is_narrow else 4),
        frameon=False,
        fontsize=8.5,
        labelcolor=INK,
        handlelength=2.6,
    )


def _renumbered(svg: str) -> str:
    """Identifiers counted from 1: matplotlib draws them at random."""
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    number = {name: f"i{at}" for at, name in enumerate(names, start=1)}
    return re.sub(
        r'(\bid="|#)([\w.-]+)', lambda m: m[1] + number.get(m[2], m[2]), svg, flags=re.ASCII
    )


def _themed(svg: str) -> str:
    """Colours of the theme as variables that follow the reader's preference."""
    for light, (name, _) in THEME.items():
        svg = svg.replace(light, f"var(--{name})")
    light_rules = ";".join(f"--{name}:{light}" for light, (name, _) in THEME.items())
    dark_rules = ";".join(f"--{name}:{dark}" for name, dark in THEME.values())
    style = (
        f"<style>:root{{{light_rules}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{dark_rules}}}}}</style>"
    )
    head, end, rest = svg.partition(">")
    return head + end + style + rest
