"""What a user installs: the built wheel, opened."""

from __future__ import annotations

import email
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.contract.fresh import PACKAGES, ROOT

if TYPE_CHECKING:
    from email.message import Message


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.message_from_bytes(wheel.read(name))


def test_the_top_level_is_the_five_packages(wheel: zipfile.ZipFile) -> None:
    top = {Path(name).parts[0] for name in wheel.namelist()}

    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    assert len(top) == len(PACKAGES) + 1


def test_every_package_says_that_it_is_typed(wheel: zipfile.ZipFile) -> None:
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_nothing_but_source_and_its_data_is_packed(wheel: zipfile.ZipFile) -> None:
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    scenarios = {name for name in packed if name.startswith("gridsim/_scenarios/")}

    assert packed - scenarios == {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "_scenarios" not in path.parts
    }
    assert scenarios == {
        f"gridsim/_scenarios/{path.relative_to(ROOT / 'scenarios')}"
        for path in (ROOT / "scenarios").rglob("*")
        if path.is_file()
    }


def test_the_shipped_scenarios_travel_along(wheel: zipfile.ZipFile) -> None:
    shipped = {Path(name).stem for name in wheel.namelist() if name.endswith((".yaml", ".yml"))}

    assert {"street", "town", "region"} <= shipped


def test_the_bare_project_needs_only_what_a_device_needs(metadata: Message) -> None:
    wanted = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    bare = {one.name for one in wanted if one.marker is None or "extra" not in str(one.marker)}

    assert bare == {"paho-mqtt", "cryptography"}


def test_the_wheel_cannot_be_published_by_accident(metadata: Message) -> None:
    assert "Private :: Do Not Upload" in metadata.get_all("Classifier", [])


def test_the_licence_is_inside(wheel: zipfile.ZipFile, metadata: Message) -> None:
    assert metadata["License-Expression"] == "Apache-2.0"
    inside = {Path(name).name for name in wheel.namelist() if "/licenses/" in name}
    assert inside == {"LICENSE", "NOTICE"}
