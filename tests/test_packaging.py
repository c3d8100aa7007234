"""pyproject.toml and the requirements files agree; files of the package are found."""

import re
from pathlib import Path

import pytest

from dlinknet.files import shipped
from tests.conftest import ROOT

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML, older ones do not")


def listed(name: str) -> set:
    """Return the lines of a requirements file, without those of the files that it includes."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return (
        {line.split("#")[0].strip() for line in lines if line.strip()}
        - {""}
        - {line.strip() for line in lines if line.startswith("-r ")}
    )


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    "file, extras, with_base",
    [
        ("requirements.txt", ["mindspore"], True),
        ("requirements-onnx.txt", ["onnx"], False),
        ("requirements-obs.txt", ["obs"], False),
        ("requirements-dev.txt", ["onnx", "openvino", "quantize", "obs", "dev"], False),
    ],
)
def test_requirements_files_are_the_extras(project, file, extras, with_base):
    wanted = {each for extra in extras for each in project["optional-dependencies"][extra]}
    wanted = {each for each in wanted if not each.startswith("dlinknet[")}
    assert listed(file) == wanted | (set(project["dependencies"]) if with_base else set())


def test_mindspore_is_an_extra_alone(project):
    assert not any(each.startswith("mindspore") for each in project["dependencies"])


def test_the_file_of_the_oldest_mindspore_names_the_same_packages(project):
    def names(requirements):
        return {re.split(r"[<>=\[]", each)[0].lower() for each in requirements}

    wanted = names(project["dependencies"]) | names(project["optional-dependencies"]["onnx"])
    assert names(listed("requirements-2.0.txt")) >= wanted | {"mindspore", "pytest"}


def test_what_is_shipped_lies_in_a_checkout_or_in_the_package(monkeypatch, tmp_path):
    assert shipped.checkout() == ROOT and shipped.shipped("configs/classes").is_dir()
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "site-packages" / "dlinknet")
    assert shipped.checkout() is None
    inside = Path(tmp_path, "site-packages", "dlinknet", "dlinknet_config.yaml")
    assert shipped.shipped("dlinknet_config.yaml") == inside
