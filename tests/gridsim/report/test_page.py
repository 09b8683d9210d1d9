"""The report as a file: sound HTML, nothing from outside, and the same figures as the summary."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gridsim.report.numbers import look
from gridsim.report.page import TEMPLATE, environment, render
from gridsim.report.pictures import figures
from gridsim.report.tables import BATTERIES, COSTS, FINDINGS_SHOWN, GRID, PROOF, RESOURCES, SAVINGS
from tests.gridsim.report.html_reading import Page, shown_number
from tests.gridsim.report.synthetic import synthetic_run

if TYPE_CHECKING:
    from pathlib import Path

    from gridsim.run.result import Run

REGION = {"buses": 9_102, "batteries": 10_000}
FILE_SIZE_MAX = 5_000_000
HOSTILE = pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "\"' onload=x", "a & b </td>"]
)


@pytest.fixture(scope="module")
def passed() -> Run:
    return synthetic_run()


@pytest.fixture(scope="module")
def refused() -> Run:
    return synthetic_run(gap=20, findings=310, preexisting=4)


@pytest.fixture(scope="module")
def unplaced() -> Run:
    return synthetic_run(coordinates=False)


@pytest.fixture(scope="module")
def pages(passed: Run, refused: Run, unplaced: Run) -> dict[str, Page]:
    runs = {"passed": passed, "refused": refused, "unplaced": unplaced}
    return {name: Page(render(run)) for name, run in runs.items()}


@pytest.fixture(params=["passed", "refused", "unplaced"])
def page(pages: dict[str, Page], request: pytest.FixtureRequest) -> Page:
    return pages[request.param]


def test_every_element_is_closed_and_every_id_is_used_once(page: Page) -> None:
    assert page.faults == []
    assert len(set(page.ids)) == len(page.ids)


def test_nothing_comes_from_outside(page: Page) -> None:
    assert page.addresses
    assert all(one.startswith(("data:", "#")) for one in page.addresses)
    assert {name for name, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    policy = [given for given in page.named("meta") if "http-equiv" in given]
    assert policy[0]["content"] == ("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_pictures_are_sound_and_fetch_nothing(page: Page) -> None:
    pictures = page.pictures()
    assert len(pictures) == 2 * len(page.named("img"))
    for svg in pictures:
        root = ET.fromstring(svg)
        assert root.tag.endswith("}svg")
        ids = [one.get("id") for one in root.iter() if one.get("id")]
        assert len(set(ids)) == len(ids)
        for one in root.iter():
            for name, value in one.attrib.items():
                used = re.findall(r"url\(#([^)]+)\)", value)
                used += [value.removeprefix("#")] if name.endswith("href") else []
                assert all(at in ids or at.startswith("data:image/png") for at in used)


def test_a_reader_who_cannot_see_is_told(page: Page) -> None:
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch("h[1-6]", name)]

    assert page.named("html")[0]["lang"] == "en"
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(len(image["alt"] or "") > 40 for image in page.named("img"))
    assert all(head.get("scope") in {"row", "col"} for head in page.named("th"))
    labels = {given.get("aria-labelledby") for given in page.named("section")} - {None}
    assert labels <= set(page.ids)


def test_cells_round_their_values(page: Page) -> None:
    numbers = [(shown, value) for _, shown, value in page.cells if value is not None]
    assert len(numbers) > 40
    for shown, value in numbers:
        stored = value * 100 if shown.endswith("%") else value
        mantissa, _, exponent = shown.rstrip(" %pukWh").replace(",", "").partition("e")
        decimals = len(mantissa.partition(".")[2]) - int(exponent.replace("−", "-") or 0)
        assert shown_number(shown) == pytest.approx(stored, abs=0.51 * 10.0**-decimals)


def test_the_tables_say_what_the_summary_says(passed: Run, pages: dict[str, Page]) -> None:
    values = {value for _, _, value in pages["passed"].cells}
    grid = [one for group in GRID for one in group]

    for one in [*COSTS, *SAVINGS, *grid, *BATTERIES, *PROOF, *RESOURCES]:
        assert look(passed.summary, one.path) * one.scale in values, one.path


@pytest.mark.parametrize("name", ["passed", "refused"])
def test_the_verdict_comes_first(name: str, pages: dict[str, Page]) -> None:
    text = " ".join(pages[name].text.split())

    assert text.index(name.capitalize()) < text.index("Summary")
    assert ("must not be released" in text) == (name == "refused")


def test_findings_are_shown_up_to_a_number_and_the_rest_is_counted(pages: dict[str, Page]) -> None:
    text = " ".join(pages["refused"].text.split())
    rows = [
        head for head, shown, _ in pages["refused"].cells if shown in ("voltage", "line loading")
    ]

    assert len(rows) == FINDINGS_SHOWN + 4
    assert "worst first; 110 more" in text


def test_a_flow_that_did_not_converge_is_said(pages: dict[str, Page]) -> None:
    assert "power flow did not converge" in pages["refused"].text
    assert "power flow did not converge" not in pages["passed"].text


def test_the_way_a_grid_without_coordinates_is_drawn_is_said(pages: dict[str, Page]) -> None:
    assert "no coordinates" in pages["unplaced"].text
    assert "no coordinates" not in pages["passed"].text


def test_rounds_show_what_the_check_found(pages: dict[str, Page]) -> None:
    rows = [shown for head, shown, _ in pages["passed"].cells if head == "1"]

    assert rows == ["201", "51", "150", "12.00", "0", "2", "412.20", "1.02"]
    assert "gridsim run town --day 2023-01-16" in pages["passed"].text


@HOSTILE
def test_names_cannot_become_markup(hostile: str) -> None:
    run = synthetic_run(buses=12, batteries=3, findings=3, preexisting=1)
    summary = dict(run.summary) | {
        "scenario": hostile,
        "day": hostile,
        "versions": {hostile: hostile},
    }
    for key in ("findings", "preexisting"):
        summary[key] = [{**one, "element": hostile, "text": hostile} for one in summary[key]]
    data = run.data.assign_coords(bus=[hostile, *run.data["bus"].to_numpy()[1:]])
    page = Page(
        render(
            dataclasses.replace(
                run, name=hostile, summary=summary, data=data, scenario_text=hostile
            )
        )
    )

    assert page.faults == []
    assert not page.named("script")
    assert not any("onload" in given for _, given in page.elements)
    assert hostile in page.text


def test_every_figure_of_the_template_exists_and_is_used(passed: Run) -> None:
    loader = environment().loader
    assert loader is not None
    source = loader.get_source(environment(), TEMPLATE)[0]

    assert set(re.findall(r'picture\("(\w+)"\)', source)) == set(figures(passed))


def test_the_same_run_gives_the_same_report(passed: Run, tmp_path: Path) -> None:
    first = passed.report(tmp_path / "first.html")
    second = passed.report(tmp_path)

    assert second == tmp_path / "report.html"
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_a_report_that_fails_leaves_nothing_behind(passed: Run, tmp_path: Path) -> None:
    broken = dataclasses.replace(passed, data=passed.data.drop_vars("soc"))

    with pytest.raises(KeyError, match="soc"):
        broken.report(tmp_path / "new" / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["r" * 250 + ".html", "ü" * 125 + ".html"])
def test_any_name_that_the_system_takes_will_do(passed: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert passed.report(path) == path
    assert list(tmp_path.iterdir()) == [path]


def test_a_region_stays_small_enough_to_open(tmp_path: Path) -> None:
    path = synthetic_run(**REGION).report(tmp_path / "report.html")

    assert path.stat().st_size < FILE_SIZE_MAX
    assert Page(path.read_text()).faults == []


def _unplanned(summary: dict[str, Any]) -> dict[str, Any]:
    unknown = dict.fromkeys(("profit", "profit_bound", "gap", "gap_absolute", "bound_source"))
    return summary | unknown | {"rounds": [], "cost": {"no_battery": 12.0}, "saving_percent": {}}


@pytest.mark.parametrize("all_gaps", [False, True])
def test_what_is_unknown_is_a_dash(all_gaps: bool, passed: Run) -> None:
    data = passed.data
    if all_gaps:
        names = [
            name
            for name in data.data_vars
            if str(name).startswith(("v_pu", "line_loading", "transformer_loading"))
        ]
        data = data.assign(
            {name: data[name] * np.nan for name in names if "time" in data[name].dims}
        )
    page = Page(
        render(dataclasses.replace(passed, summary=_unplanned(dict(passed.summary)), data=data))
    )

    shown = {head: text for head, text, _ in page.cells}
    assert page.faults == []
    assert shown["profit [EUR]"] == shown["gap within the linear grid of the last round [%]"] == "–"
    assert "nan" not in page.text.lower().replace("finance", "")
