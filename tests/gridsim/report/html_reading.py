"""Reads a report as a browser would: every element closed, every address and every cell in hand."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import unquote

VOID = {"meta", "img", "source", "link", "br", "hr", "input"}
ADDRESSES = {"src", "srcset", "href", "action", "data", "poster", "xlink:href"}


class Page(HTMLParser):
    """One parsed document.

    Attributes:
        faults: elements closed out of turn or never.
        addresses: the value of every attribute that a browser would fetch.
        ids: every id, in order.
        cells: every table cell as (row heading, shown text, value in full or None).
        text: all text outside of style.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[tuple[str, str, float | None]] = []
        self.text = ""
        self._open: list[str] = []
        self._head = ""
        self._value: float | None = None
        self._shown = ""
        self.feed(html)
        self.close()
        self.faults += [f"<{name}> is never closed" for name in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        self.addresses += [value or "" for name, value in attrs if name in ADDRESSES]
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("td", "th"):
            self._shown, self._value = "", None
        if tag == "data":
            self._value = float(given["value"] or "")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()}")
        if tag == "th":
            self._head = self._shown.strip()
        if tag == "td":
            self.cells.append((self._head, self._shown.strip(), self._value))

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
            self._shown += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element called `tag`."""
        return [given for name, given in self.elements if name == tag]

    def pictures(self) -> list[str]:
        """The SVG text of every picture."""
        head = "data:image/svg+xml,"
        return [unquote(one.removeprefix(head)) for one in self.addresses if one.startswith(head)]


def shown_number(text: str) -> float:
    """What a reader takes a cell to say."""
    return float(re.sub(r"[, %]|pu$", "", text).replace("−", "-"))
