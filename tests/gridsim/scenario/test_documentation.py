"""The page about scenarios shows a file that loads, and names every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from gridsim.scenario import Scenario, load_scenario
from gridsim.scenario.shipped import shipped_folder

PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")


def test_the_example_loads(tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    text = example[1].replace("csv: data/", f"csv: {shipped_folder() / 'data'}/")
    (tmp_path / "example.yaml").write_text(text, encoding="utf-8")
    assert load_scenario(tmp_path / "example.yaml", with_grid=True).name == "example"


def test_every_key_is_on_the_page_and_described_in_the_schema() -> None:
    schema = Scenario.model_json_schema()
    sections: list[dict[str, Any]] = [schema, *schema["$defs"].values()]
    for section in sections:
        for key, field in section["properties"].items():
            assert re.search(rf"\b{key}\b", PAGE), key
            assert field.get("description"), f"{section['title']}.{key}"
