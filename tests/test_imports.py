"""The house: who may import whom, and which files do without MindSpore."""
import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG

ROOT = Path(__file__).resolve().parent.parent
LEAVES = {"errors", "files", "console", "fields", "foreign", "places", "results", "signals", "texts", "threads"}       # the ground floor
ALLOWED = {
    "errors": LEAVES, "files": LEAVES, "places": {"errors"}, "results": LEAVES, "console": LEAVES, "foreign": set(), "fields": {"errors"}, "texts": {"errors", "foreign"}, "signals": set(),
    "threads": set(), "arguments": {"console", "errors"}, "values": {"arguments", "errors"},
    "config": {"arguments", "values", "errors", "texts"}, "jobs": {"config", "cloud"},
    "cloud": {"config", "launcher", "cloud", *LEAVES}, "parallel": set(),
    "ranktable": LEAVES, "launcher": {"ranktable", *LEAVES},
    "runtime": {"config", "launcher", "ranktable", *LEAVES}, "data": {"config", "data", *LEAVES}, "models": {"config", "data", "models", *LEAVES},
    "training": {"config", "values", "runtime", "data", "models", "parallel", "training", *LEAVES},
    "evaluation": {"config", "runtime", "data", "models", "parallel", "evaluation", *LEAVES},
    "deploy": {"config", "runtime", "data", "models", "evaluation", "deploy", *LEAVES},
}
FILES = sorted((ROOT / "dlinknet").rglob("*.py"))
PURE = ["signals", "errors", "threads", "files", "places", "results", "console", "foreign", "texts", "fields", "arguments", "values", "config", "jobs", "cloud.job", "launcher",
        "ranktable", "runtime", "parallel",
        "data.classes", "data.frequencies", "data.images", "data.layouts", "data.pairs", "data.preprocess", "data.augment",
        "data.synthetic", "evaluation.binaries", "evaluation.engine", "evaluation.metrics", "evaluation.pictures",
        "evaluation.pipeline", "evaluation.prediction", "evaluation.predictor",
        "evaluation.report", "evaluation.scoring", "evaluation.summary", "models.model_card", "training.run", "training.schedules",
        "deploy.engines", "deploy.parity", "deploy.sidecar"]
COMMANDS = sorted(p for p in ROOT.glob("*.py"))


def test_the_test_files_that_run_first_are_there():
    assert all((ROOT / "tests" / name).is_file() for name in LONG)


def room(file: Path) -> str:
    return file.relative_to(ROOT / "dlinknet").with_suffix("").parts[0]


def imports(file: Path):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import hides whose room it is"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_rooms_import_only_what_they_may(file):
    if file == ROOT / "dlinknet" / "__init__.py":
        assert not list(imports(file))
        return
    used = {name.split(".")[1] for name in imports(file) if name.startswith("dlinknet.")}
    assert used <= ALLOWED[room(file)]
    assert "torch" not in {name.split(".")[0] for name in imports(file)}


def test_only_the_commands_and_their_two_helpers_know_of_a_command_line():
    for file in FILES:
        words = {"signals.py": {"sys.argv"}, "errors.py": {"sys.argv"}, "arguments.py": {"argparse"}, "runtime.py": {"sys.argv"}}.get(file.name, set())
        found = {word for word in ("sys.argv", "argparse") if word in file.read_text()}
        assert found <= words, file


def test_pure_files_do_without_mindspore():
    code = "import sys\n" + "\n".join(f"import dlinknet.{name}" for name in PURE) + "\nassert 'mindspore' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_only_runtime_knows_devices_and_versions():
    for file in FILES:
        text = file.read_text()
        if file.name != "runtime.py":
            assert "set_context" not in text and "set_device" not in text, file
            assert "ms.__version__" not in text and "mindspore.__version__" not in text, file


@pytest.mark.parametrize("file", COMMANDS, ids=lambda f: f.name)
def test_commands_are_short_and_hide_no_standard_module(file):
    assert len(file.read_text().splitlines()) < 60
    if hasattr(sys, "stdlib_module_names"):         # from Python 3.10 on
        assert file.stem not in sys.stdlib_module_names
