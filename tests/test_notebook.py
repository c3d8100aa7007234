"""The notebook of first steps runs from its first cell to its last, and holds no stale output."""

import json
import os
import re

import pytest

from tests.conftest import ROOT

FILE = ROOT / "docs" / "first_steps.ipynb"


def cells():
    return json.loads(FILE.read_text(encoding="utf-8"))["cells"]


def test_it_holds_no_output():
    for cell in cells():
        assert cell["cell_type"] == "markdown" or not (cell["outputs"] or cell["execution_count"])


@pytest.mark.long
def test_it_runs(tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="pip install -r requirements-dev.txt")
    nbclient = pytest.importorskip("nbclient", reason="pip install -r requirements-dev.txt")
    pytest.importorskip("ipykernel", reason="pip install -r requirements-dev.txt")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = nbformat.read(FILE, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert len(list((tmp_path / "first_steps" / "predicted").glob("*_mask.png"))) == 8
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    shares = [float(number) for number in re.findall(r"_?\w+: ([\d.]+)% road", printed)]
    assert len(shares) == 8 and 0 < max(shares) < 60, "a network that learned finds some road"
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3
