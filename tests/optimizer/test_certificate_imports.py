"""The certificate takes nothing from the model but what its documentation says."""

from __future__ import annotations

import ast
from pathlib import Path

import optimizer.certificate

FOLDER = Path(optimizer.certificate.__file__).parent


def test_only_the_problem_the_plan_and_the_bands_that_yield_are_shared() -> None:
    shared: dict[str, set[str]] = {}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("optimizer") for name in node.names)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("optimizer"):
                assert node.module is not None
                shared.setdefault(node.module, set()).update(name.name for name in node.names)
    outside = {name for name in shared if not name.startswith("optimizer.certificate")}
    asked = {"optimizer.problem", "optimizer.plan", "optimizer.reach"}
    # Sums of rows by group and the problem a part at a time: tested against numpy and the whole.
    assert outside == asked | {"optimizer.sums", "optimizer.parts"}
    assert shared["optimizer.reach"] == {"BAND_FACTOR", "band_yields"}
