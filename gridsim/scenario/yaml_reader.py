"""Reading YAML that nobody vouches for: bounded, without surprises, with line numbers.

Plain values are read as YAML 1.2 does (``no`` is text, ``12:30`` is text, ``1e3`` is a number), so
that a file means what it looks like. Duplicate keys, tags that make objects, anchors that contain
themselves and anchors that multiply without end are faults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from optimizer.borders import path_text
from twins.faults import FaultList

if TYPE_CHECKING:
    from pathlib import Path

YAML_BYTES_MAX = 1_000_000
NODES_MAX = 50_000
DEPTH_MAX = 40

_NUMBER_BASE = {"0x": 16, "0o": 8}


@dataclass
class Document:
    """What a file said.

    Attributes:
        content: plain values: dict, list, str, int, float, bool, None.
        lines: the line (from 1) of each path, e.g. ``fleet.seed``.
        faults: what is wrong with the file itself.
    """

    content: Any
    faults: FaultList
    lines: dict[str, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2's core schema and a bound on what it builds."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise yaml.YAMLError(f"more than {NODES_MAX} values")
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^(?:[-+]?[0-9]{1,400}|0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100})$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def read_yaml(path: Path, source: str) -> Document:
    """The document in `path`; its faults are collected, not raised.

    Args:
        path: of a file that exists.
        source: what the faults are said to be about.
    """
    document = Document(None, FaultList(source))
    text = _text(path, document.faults)
    if text is None:
        return document
    try:
        root = _compose(text)
    except yaml.YAMLError as error:
        document.faults.add(_place(error), None, f"is no valid YAML: {_reason(error)}")
    except RecursionError:
        document.faults.add("file", None, "is nested too deeply")
    else:
        document.content = _Builder(document).value(root, ())
    return document


def _text(path: Path, faults: FaultList) -> str | None:
    """The file's text, or None with a fault; never more than the bound is read."""
    with path.open("rb") as file:
        raw = file.read(YAML_BYTES_MAX + 1)
    if len(raw) > YAML_BYTES_MAX:
        faults.add("file", f"more than {YAML_BYTES_MAX} bytes", "is too large for a scenario")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        faults.add("file", f"byte {error.start}", "must be a YAML file in UTF-8, this is not text")
        return None


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}" if mark is not None else "file"


def _reason(error: yaml.YAMLError) -> str:
    reason = getattr(error, "problem", None) or str(error)
    context = getattr(error, "context", None)
    return f"{reason} {context}" if context else str(reason).splitlines()[0]


class _Builder:
    """Turns composed nodes into plain values, and notes where each one stood."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.open: list[int] = []
        self.built = 0
        self.full = False

    def value(self, node: yaml.Node | None, path: tuple[str | int, ...]) -> Any:
        """The plain value of `node`, which sits at `path`."""
        if node is None:
            return None
        where = path_text(path)
        self.document.lines.setdefault(where, node.start_mark.line + 1)
        if not self._may_build(node, where):
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if node.tag not in _BRANCHES:
            self.document.faults.add(where, node.tag, "tags are not allowed")
            return None
        self.open.append(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, at)) for at, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self.open.pop()

    def _may_build(self, node: yaml.Node, where: str) -> bool:
        """Whether the bounds allow this node; aliases can repeat one many times."""
        if self.full:
            return False
        self.built += 1
        if self.built > NODES_MAX:
            self.full = True
            self.document.faults.add(where, None, f"anchors unfold to more than {NODES_MAX} values")
            return False
        if id(node) in self.open:
            self.document.faults.add(where, None, "an alias must not point to what contains it")
            return False
        if len(self.open) > DEPTH_MAX:
            self.document.faults.add(where, None, f"nested more than {DEPTH_MAX} levels deep")
            return False
        return True

    def _mapping(self, node: yaml.Node, path: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        first_line: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                where = f"{path_text(path)}, line {line}"
                self.document.faults.add(where, None, "a key must be plain text")
                continue
            key = key_node.value
            where = path_text((*path, key))
            if key in values:
                allowed = f"occurs twice: in line {first_line[key]} and here"
                self.document.faults.add(f"{where}, line {line}", None, allowed)
                continue
            first_line[key] = line
            self.document.lines[where] = line
            values[key] = self.value(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.ScalarNode, where: str) -> Any:
        kind, text = node.tag.rpartition(":")[2], node.value
        if not node.tag.startswith("tag:yaml.org,2002:") or kind not in _SCALARS:
            self.document.faults.add(where, node.tag, "tags are not allowed")
            return None
        try:
            return _SCALARS[kind](text)
        except ValueError:
            self.document.faults.add(where, text, f"is no {kind}")
            return None


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _int(text: str) -> int:
    return int(text, _NUMBER_BASE.get(text[:2].lower(), 10))


_BRANCHES = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_SCALARS: dict[str, Any] = {
    "str": str,
    "int": _int,
    "float": _float,
    "bool": lambda text: text.lower() == "true",
    "null": lambda text: None,
}
