"""Pictures, tables and the HTML page of a finished run. Reads a `Run`, changes nothing."""

from __future__ import annotations

from gridsim.report.explaining import plot_explanation
from gridsim.report.page import write_report
from gridsim.report.pictures import figures, overview
from gridsim.report.tables import comparison_rows

__all__ = ["comparison_rows", "figures", "overview", "plot_explanation", "write_report"]
