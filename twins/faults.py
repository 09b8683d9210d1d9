"""One way to refuse input: collect every fault, raise once.

A fault says where, what was found and what would have been allowed. The error that carries them is
for the person who wrote the input, so it never needs a traceback to be understood.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FAULTS_SHOWN_MAX = 50
_VALUE_CHARACTERS_MAX = 80


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with an input.

    Attributes:
        where: path in the document, e.g. ``batteries[3].soc_initial``.
        found: the offending value as text, or "" where something is missing.
        allowed: what would have been accepted, as in "must be at least 0".
        hint: a suggestion, e.g. ``did you mean 'energy_kwh_max'?``, or "".
    """

    where: str
    found: str
    allowed: str
    hint: str = ""

    def __str__(self) -> str:
        found = f"{shorten(self.found)}: " if self.found else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {found}{self.allowed}{hint}"


class InvalidInputError(ValueError):
    """Input that was refused whole; `faults` names every reason.

    Attributes:
        source: what was read (a file's name, or a description).
        faults: all faults found, in the order of the document.
    """

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        self.source = source
        self.faults = tuple(faults)
        shown = [f"  {fault}" for fault in self.faults[:FAULTS_SHOWN_MAX]]
        if len(self.faults) > FAULTS_SHOWN_MAX:
            shown.append(f"  … and {len(self.faults) - FAULTS_SHOWN_MAX} more")
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n".join([f"{source}: {count}", *shown]))


class FaultList:
    """Collects faults while an input is read, and raises them together."""

    def __init__(self, source: str) -> None:
        self.source = source
        # A dict keeps the order and drops what two checks both saw.
        self._faults: dict[Fault, None] = {}

    def add(self, where: str, found: object, allowed: str, hint: str = "") -> None:
        """Note one fault; `found` is shown as it was written."""
        text = "" if found is None else found if isinstance(found, str) else repr(found)
        self._faults[Fault(where, text, allowed, hint)] = None

    def extend(self, faults: Iterable[Fault]) -> None:
        """Note faults that another check has collected."""
        self._faults.update(dict.fromkeys(faults))

    def __len__(self) -> int:
        return len(self._faults)

    def raise_if_any(self, error: type[InvalidInputError] = InvalidInputError) -> None:
        """Raise one `error` that carries every fault, if there is any."""
        if self._faults:
            raise error(self.source, tuple(self._faults))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint naming the closest known word, or "".

    The same parts in another order are closest of all: letter by letter ``energy_max_kwh`` is
    nearer to ``energy_kwh_min`` than to ``energy_kwh_max``.
    """
    words = list(known)
    parts = _parts(word)
    reordered = [one for one in words if _parts(one) == parts] if len(parts) > 1 else []
    close = reordered or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _parts(word: str) -> list[str]:
    return sorted(re.split(r"[_\W]+", word.casefold()))


def shorten(text: str) -> str:
    """`text` cut to a length that fits an error line."""
    return text if len(text) <= _VALUE_CHARACTERS_MAX else f"{text[:_VALUE_CHARACTERS_MAX]}…"
