"""Where documents come in: pydantic's errors in the words of `twins.faults`.

Pydantic reports one line per union member and names the member in the location. A reader of a
document wants the path in the document, the value found there and what would have been allowed,
once. This module is the only place that knows how to turn the one into the other.
"""

from __future__ import annotations

import re
import types
import typing
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BaseModel, Tag, ValidationError

from twins.faults import Fault, InvalidInputError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    Location = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[^\s.\[\]'\"]+")
_KEYS_LISTED_MAX = 30

_ALLOWED_BY_TYPE = {
    "missing": "is missing and must be given",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "none_required": "must be null",
    "recursion_loop": "must not contain itself",
    "json_invalid": "must be valid JSON",
}
_ALLOWED_BY_LIMIT = {
    "greater_than": ("gt", "must be above"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be below"),
    "less_than_equal": ("le", "must be at most"),
    "multiple_of": ("multiple_of", "must be a multiple of"),
    "string_too_short": ("min_length", "must have this many characters or more:"),
    "string_too_long": ("max_length", "must have this many characters or fewer:"),
    "too_short": ("min_length", "must have this many entries or more:"),
    "too_long": ("max_length", "must have this many entries or fewer:"),
}


def faults_from_pydantic(
    error: ValidationError, model: type[BaseModel], prefix: str = ""
) -> list[Fault]:
    """Every fault in `error`, in the order of the document and each one once.

    A validator may raise `InvalidInputError` to report several faults at once: their paths are
    taken as relative to the place where the validator sits.

    Args:
        error: what pydantic raised while it validated a document.
        model: the model it was validated with; its field names (and aliases) give the hints.
        prefix: path of the document in a larger one, put before every path.
    """
    located = [_Located(detail, model) for detail in error.errors(include_url=False)]
    faults: list[Fault] = []
    for entry in _without_union_noise(located):
        faults.extend(_faults(entry, prefix))
    return list(dict.fromkeys(faults))


def path_text(location: Iterable[str | int], prefix: str = "") -> str:
    """A path as a reader writes it: ``batteries[3].soc_initial``."""
    text = prefix
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text or "document"


def key_names(model: type[BaseModel]) -> list[str]:
    """The keys that a document may use for this model's fields."""
    names = []
    for name, field in model.model_fields.items():
        alias = field.validation_alias if isinstance(field.validation_alias, str) else field.alias
        names.append(alias or name)
    return names


def field_at(model: type[BaseModel], path: Sequence[str | int]) -> FieldInfo | None:
    """The field that a document of `model` fills at `path`, or None where there is none."""
    candidates: list[Any] = [model]
    field: FieldInfo | None = None
    for part in path:
        candidates = _plain(candidates)
        while unions := [a for a in candidates if _is_union(a)]:
            inside = [member for union in unions for member in _members(union)]
            candidates = _plain([a for a in candidates if a not in unions] + inside)
        models = [a for a in candidates if _is_model(a)]
        fields = [f for m in models for n, f in m.model_fields.items() if part in (n, f.alias)]
        field = fields[0] if fields else None
        candidates = _child(candidates, part)
    return field


class _Located:
    """One pydantic error with its path in the document, and the union members it came through."""

    def __init__(self, detail: ErrorDetails, model: type[BaseModel]) -> None:
        self.detail = detail
        self.path: Location = ()
        self.members: dict[Location, str | int] = {}
        """For each union on the way (by its path): the member that was being tried."""
        self.parents: list[Any] = [model]
        """Annotations that the object holding the last key may have."""
        candidates = _plain([model])
        for part in detail["loc"]:
            union_members = [a for a in candidates if _is_union(a)]
            if union_members:
                self.members.setdefault(self.path, part)
                candidates = _plain(_member(union_members, part))
            else:
                self.parents = candidates
                candidates = _plain(_child(candidates, part))
                self.path = (*self.path, part)


def _plain(annotations: Iterable[Any]) -> list[Any]:
    """Annotations without `Annotated`, `None` and named aliases around them."""
    plain: list[Any] = []
    for annotation in annotations:
        if typing.get_origin(annotation) is Annotated:
            plain.extend(_plain([typing.get_args(annotation)[0]]))
        elif hasattr(annotation, "__value__"):
            plain.extend(_plain([annotation.__value__]))
        elif _is_optional(annotation):
            plain.extend(_plain(_members(annotation)))
        else:
            plain.append(annotation)
    return plain


def _members(annotation: Any) -> list[Any]:
    return [member for member in typing.get_args(annotation) if member is not types.NoneType]


def _is_any_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (Union, types.UnionType)


def _is_optional(annotation: Any) -> bool:
    return _is_any_union(annotation) and len(_members(annotation)) == 1


def _is_union(annotation: Any) -> bool:
    return _is_any_union(annotation) and len(_members(annotation)) > 1


def _member(unions: Iterable[Any], label: str | int) -> list[Any]:
    """The members that pydantic calls `label`; those without a name of their own if none does."""
    members = [member for union in unions for member in _members(union)]
    named = [member for member in members if label in _labels(member)]
    return named or [member for member in members if not _labels(member)]


def _labels(member: Any) -> set[Any]:
    """Names under which pydantic lists this union member, as far as they can be known."""
    labels: set[Any] = set()
    if typing.get_origin(member) is Annotated:
        inner, *metadata = typing.get_args(member)
        labels |= {entry.tag for entry in metadata if isinstance(entry, Tag)} | _labels(inner)
    elif _is_model(member):
        labels.add(member.__name__)
        for field in member.model_fields.values():
            if typing.get_origin(field.annotation) is typing.Literal:
                labels |= set(typing.get_args(field.annotation))
    return labels


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _child(candidates: Iterable[Any], part: str | int) -> list[Any]:
    """Annotations of what sits under `part` in an object of one of these annotations."""
    children: list[Any] = []
    for annotation in candidates:
        if _is_model(annotation):
            for name, field in annotation.model_fields.items():
                if part in (name, field.alias, field.validation_alias):
                    children.append(field.annotation)
        elif arguments := typing.get_args(annotation):
            origin = typing.get_origin(annotation)
            if origin is tuple and isinstance(part, int) and Ellipsis not in arguments:
                children.extend(arguments[part : part + 1])
            else:
                children.append(arguments[-1] if arguments[-1] is not Ellipsis else arguments[0])
    return children


def _without_union_noise(located: Sequence[_Located]) -> list[_Located]:
    """At each union, only the errors of the member that the author most likely meant."""
    kept = list(located)
    unions = dict.fromkeys(path for entry in located for path in entry.members)
    for union in sorted(unions, key=len):
        through = [entry for entry in kept if union in entry.members]
        best = _likeliest_member(union, through)
        if best is not None:
            kept = [e for e in kept if union not in e.members or e.members[union] == best]
    return kept


def _likeliest_member(union: Location, through: Sequence[_Located]) -> str | int | None:
    """The member in which the value got furthest, or None where no member took its type."""
    inside: dict[str | int, int] = {}
    refused_at_once: set[str | int] = set()
    for entry in through:
        label = entry.members[union]
        if len(entry.path) > len(union) or not _is_type_error(entry.detail):
            inside[label] = inside.get(label, 0) + 1
        else:
            refused_at_once.add(label)
    likely = {label: count for label, count in inside.items() if label not in refused_at_once}
    return min(likely, key=lambda label: likely[label]) if likely else None


def _is_type_error(detail: ErrorDetails) -> bool:
    return detail["type"].endswith(("_type", "_parsing", "_from_float"))


def _faults(entry: _Located, prefix: str) -> list[Fault]:
    """One error as faults; a union that took no member's type is stated once."""
    detail = entry.detail
    where = path_text(entry.path, prefix)
    context: Mapping[str, Any] = detail.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InvalidInputError):
        base = path_text(entry.path, prefix) if entry.path or prefix else ""
        return [_moved(fault, base) for fault in cause.faults]
    if detail["type"] == "extra_forbidden":
        return [_unknown_key(entry, where)]
    if detail["type"].startswith("union_tag"):
        return [_wrong_tag(context, where)]
    found = "" if detail["type"] == "missing" else _value_text(detail["input"])
    if union := _innermost_union(entry):
        return [Fault(where, found, union)]
    hint = ""
    if detail["type"] == "literal_error" and isinstance(detail["input"], str):
        hint = did_you_mean(detail["input"], re.findall(r"'([^']*)'", context["expected"]))
    return [Fault(where, found, _allowed(detail, context), hint)]


def _moved(fault: Fault, base: str) -> Fault:
    """The same fault with `base` before its path."""
    joint = "" if not base or not fault.where or fault.where.startswith("[") else "."
    return Fault(f"{base}{joint}{fault.where}", fault.found, fault.allowed, fault.hint)


def _unknown_key(entry: _Located, where: str) -> Fault:
    """A key that no field has, with the nearest key that one has, or else some that there are."""
    known = [name for parent in entry.parents if _is_model(parent) for name in key_names(parent)]
    if hint := did_you_mean(str(entry.path[-1]), known):
        return Fault(where, "", "unknown key", hint)
    listed = ", ".join(known[:_KEYS_LISTED_MAX]) + (", …" if len(known) > _KEYS_LISTED_MAX else "")
    return Fault(where, "", f"unknown key; known here: {listed}" if known else "unknown key")


def _wrong_tag(context: Mapping[str, Any], where: str) -> Fault:
    """A mapping whose kind, stated by one of its keys, is missing or not known."""
    discriminator = str(context["discriminator"]).strip("'")
    if discriminator.isidentifier():
        where = f"{where}.{discriminator}"
    if "tag" not in context:
        return Fault(where, "", _ALLOWED_BY_TYPE["missing"])
    expected = str(context["expected_tags"])
    hint = did_you_mean(context["tag"], re.findall(r"'([^']*)'", expected))
    return Fault(where, repr(context["tag"]), f"must be one of {expected}", hint)


def _innermost_union(entry: _Located) -> str:
    """What a union at this very place takes, or "" if the error is not such a union's."""
    if entry.path not in entry.members or not _is_type_error(entry.detail):
        return ""
    annotations: list[Any] = entry.parents
    if entry.path:
        annotations = _plain(_child(annotations, entry.path[-1]))
    kinds = [
        _kind(kind) for a in annotations if _is_union(a) for kind in _flat_members(_members(a))
    ]
    return f"must be {' or '.join(dict.fromkeys(kinds))}" if kinds else ""


def _flat_members(members: Iterable[Any]) -> list[Any]:
    """Union members, with unions among them taken apart."""
    flat: list[Any] = []
    for member in _plain(members):
        flat.extend(_flat_members(_members(member)) if _is_union(member) else [member])
    return flat


def _kind(annotation: Any) -> str:
    """An annotation in a reader's words."""
    if _is_model(annotation):
        return "a mapping"
    origin = typing.get_origin(annotation) or annotation
    if origin is typing.Literal:
        return " or ".join(repr(choice) for choice in typing.get_args(annotation))
    words = {
        float: "a number", int: "a whole number", str: "text", bool: "true or false",
        list: "a list", tuple: "a list", dict: "a mapping",
    }  # fmt: skip
    return words.get(origin, getattr(origin, "__name__", str(origin)))


def _allowed(detail: ErrorDetails, context: Mapping[str, Any]) -> str:
    """What would have been accepted, in words."""
    kind = detail["type"]
    if kind in _ALLOWED_BY_TYPE:
        return _ALLOWED_BY_TYPE[kind]
    if kind in _ALLOWED_BY_LIMIT:
        key, words = _ALLOWED_BY_LIMIT[kind]
        limit = context[key]
        return f"{words} {limit:g}" if isinstance(limit, float) else f"{words} {limit}"
    if kind in ("value_error", "assertion_error") and "error" in context:
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        return f"must be {context['expected']}"
    message = detail["msg"]
    return message[:1].lower() + message[1:]


def _value_text(value: object) -> str:
    """A value as the document shows it; a whole branch of it only by its kind."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if len(value) > 8 else repr(list(value))
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
