"""Pydantic's errors become one fault each, at the path in the document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from optimizer.borders import faults_from_pydantic, field_at
from twins.faults import Fault, InvalidInputError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Draw(Strict):
    uniform: list[float] | None = None
    mean: float | None = None


class Circle(Strict):
    kind: Literal["circle"]
    radius: float


class Square(Strict):
    kind: Literal["square"]
    side: float


class Document(Strict):
    size: float | Draw = 1.0
    series: Annotated[float, Field(ge=0)] | list[Annotated[float, Field(ge=0)]] = 0.0
    bought: float = Field(default=0.0, alias="import")
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    draws: list[Draw] = []
    options: dict[str, float] = {}
    mode: Literal["fast", "slow"] = "fast"

    @model_validator(mode="after")
    def _consistent(self) -> Document:
        if self.mode == "slow":
            faults = [Fault("size", "1", "is too small"), Fault("draws[0]", "", "is missing")]
            raise InvalidInputError("", faults)
        return self


CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"size": "big"}, ["doc.size: 'big': must be a number or a mapping"]),
    ({"size": float("nan")}, ["doc.size: nan: must be a finite number"]),
    (
        {"size": {"unifrm": [1, 2]}},
        ["doc.size.unifrm: unknown key (did you mean 'uniform'?)"],
    ),
    ({"size": {"uniform": [1, "two"]}}, ["doc.size.uniform[1]: 'two': must be a number"]),
    ({"series": -1}, ["doc.series: -1: must be at least 0"]),
    (
        {"series": [1, -2, None]},
        ["doc.series[1]: -2: must be at least 0", "doc.series[2]: null: must be a number"],
    ),
    ({"series": True}, ["doc.series: true: must be a number or a list"]),
    (
        {"shape": {"kind": "circel"}},
        ["doc.shape.kind: 'circel': must be one of 'circle', 'square' (did you mean 'circle'?)"],
    ),
    ({"shape": {"radius": 1}}, ["doc.shape.kind: is missing and must be given"]),
    ({"shape": {"kind": "circle"}}, ["doc.shape.radius: is missing and must be given"]),
    ({"draws": [{}, 3]}, ["doc.draws[1]: 3: must be a mapping"]),
    ({"options": {"a b": "c"}}, ["doc.options['a b']: 'c': must be a number"]),
    ({"mode": "fas"}, ["doc.mode: 'fas': must be 'fast' or 'slow' (did you mean 'fast'?)"]),
    ({"mode": "slow"}, ["doc.size: 1: is too small", "doc.draws[0]: is missing"]),
    ({"imports": 1}, ["doc.imports: unknown key (did you mean 'import'?)"]),
    ({"draws": [{"xyz": 1}]}, ["doc.draws[0].xyz: unknown key; known here: uniform, mean"]),
]


@pytest.mark.parametrize(("document", "lines"), CASES, ids=[str(case[0]) for case in CASES])
def test_a_fault_reads_as_its_author_would_say_it(
    document: dict[str, Any], lines: list[str]
) -> None:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(document)
    assert [str(f) for f in faults_from_pydantic(caught.value, Document, "doc")] == lines


def test_all_faults_of_a_document_come_together() -> None:
    planted = {"size": "big", "series": -1, "mode": "fas", "x": 1, "draws": [3]}
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(planted)
    found = {fault.where for fault in faults_from_pydantic(caught.value, Document)}
    assert found == {"size", "series", "mode", "x", "draws[0]"}


def test_a_document_that_is_no_mapping_has_a_name() -> None:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate([1])
    assert [str(f) for f in faults_from_pydantic(caught.value, Document)] == [
        "document: [1]: must be a mapping"
    ]


def test_fields_are_found_through_unions_and_lists() -> None:
    found = [field_at(Document, path) for path in (("size", "mean"), ("draws", 2, "uniform"))]
    assert found == [Draw.model_fields["mean"], Draw.model_fields["uniform"]]
    assert field_at(Document, ("options", "any")) is None
