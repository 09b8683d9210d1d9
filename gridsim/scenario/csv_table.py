"""Reading a CSV file that nobody vouches for: bounded, columns by name, faults by line."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from twins.faults import FaultList, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    Bools = npt.NDArray[np.bool_]

CSV_BYTES_MAX = 200_000_000
ROWS_MAX = 2_000_000
HEADER_BYTES_MAX = 1_000_000
_HEADER_LINES = 1
ROWS_SHOWN_MAX = 5
"""Rows that are named where a whole column has the same fault; the rest are counted."""


@dataclass
class CsvTable:
    """Columns of text from a CSV file.

    Attributes:
        path: of the file.
        columns: the columns that were asked for and are there, as text, blanks stripped.
        names: all columns of the file, in its order.
        faults: what is wrong so far; readers add to it.
    """

    path: Path
    columns: dict[str, npt.NDArray[np.object_]]
    names: list[str]
    faults: FaultList

    def __len__(self) -> int:
        return next((column.size for column in self.columns.values()), 0)

    def note(self, wrong: Bools, column: str, allowed: str) -> None:
        """One fault for each wrong row of `column`; of very many, the first ones and a count."""
        rows = np.flatnonzero(wrong)
        for row in rows[:ROWS_SHOWN_MAX]:
            self.faults.add(self.place(int(row), column), self.columns[column][row], allowed)
        if rows.size > ROWS_SHOWN_MAX:
            more = f"{rows.size - ROWS_SHOWN_MAX} more rows"
            self.faults.add(f"{self.path.name}, {column}", more, allowed)

    def place(self, row: int, column: str) -> str:
        """Where a value stands, as a reader finds it in an editor."""
        return f"{self.path.name} line {row + _HEADER_LINES + 1}, {column}"

    def numbers(self, column: str, needed: Bools) -> npt.NDArray[np.float64]:
        """A column as numbers, NaN where it is blank; a needed row that has none is a fault."""
        text = self.columns[column]
        values = pd.to_numeric(pd.Series(text), errors="coerce").to_numpy(dtype=np.float64)
        finite = np.isfinite(values)
        self.note(needed & (text == ""), column, "is blank where a number is needed")
        self.note(needed & ~finite & (text != ""), column, "must be a finite number")
        return np.where(finite, values, np.nan)


def read_csv(path: Path, wanted: Sequence[str] | None, faults: FaultList, where: str) -> CsvTable:
    """The wanted columns of a ``.csv`` or ``.csv.gz`` file; faults are noted, not raised.

    Args:
        path: of a file that exists.
        wanted: column names that must be there; None for all columns.
        faults: takes what is wrong.
        where: path of the file's name in the scenario.
    """
    table = CsvTable(path, {}, [], faults)
    raw = _bytes(path, faults, where)
    if raw is None:
        return table
    frame = _frame(raw, faults, where)
    if frame is None:
        return table
    table.names = [str(name) for name in frame.columns]
    for name in table.names if wanted is None else dict.fromkeys(wanted):
        if name in table.names:
            column = frame[name].fillna("").str.strip()
            table.columns[name] = column.to_numpy(dtype=object)
        else:
            listed = ", ".join(table.names[:20])
            allowed = f"no such column in {path.name}; it has {listed}"
            faults.add(where, name, allowed, did_you_mean(name, table.names))
    return table


def _bytes(path: Path, faults: FaultList, where: str) -> bytes | None:
    """The file's content, unpacked; never more than the bound is read into memory."""
    allowed = f"at most {CSV_BYTES_MAX // 1_000_000} MB are read"
    size = path.stat().st_size
    if size > CSV_BYTES_MAX:
        faults.add(where, f"{path.name}, {size / 1e6:,.0f} MB", allowed)
        return None
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(CSV_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        faults.add(where, path.name, f"cannot be read: {error}")
        return None
    if len(raw) > CSV_BYTES_MAX:
        faults.add(where, f"{path.name}, unpacked", allowed)
        return None
    return bytes(raw)


def _frame(raw: bytes, faults: FaultList, where: str) -> pd.DataFrame | None:
    if b"\0" in raw[:100_000]:
        faults.add(where, None, "must be a CSV file, this is a binary one")
        return None
    try:
        with warnings.catch_warnings():
            # Rows longer than the header: pandas would drop what is too much and only warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.BytesIO(raw),
                dtype=str,
                keep_default_na=False,
                skip_blank_lines=False,
                index_col=False,
                encoding="utf-8-sig",
                nrows=ROWS_MAX + 1,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        text = str(error).strip().splitlines()[0]
        faults.add(where, None, f"must be a CSV file in UTF-8 with one header line: {text}")
        return None
    header = next(csv.reader(io.StringIO(raw[:HEADER_BYTES_MAX].decode("utf-8-sig", "replace"))))
    for name in sorted({name for name in header if header.count(name) > 1}):
        faults.add(where, name, "names two columns of the file")
    if len(frame) > ROWS_MAX:
        faults.add(where, f"more than {ROWS_MAX} rows", f"at most {ROWS_MAX} rows are read")
        return None
    return frame
