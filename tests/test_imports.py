"""The imports: which room may import which, and which files do not import MindSpore."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dlinknet.commands import command
from tests.conftest import LONG

ROOT = Path(__file__).resolve().parent.parent
GROUND = {"console", "errors", "files", "leftovers", "signals", "streams", "threads"}
# Room -> the rooms that it may import. A room may also import itself.
ALLOWED = {
    "leftovers": set(),
    "streams": set(),
    "signals": {"leftovers", "streams"},
    "threads": set(),
    "errors": {"signals"},
    "console": {"errors"},
    "files": {"errors", "signals"},
    "config": GROUND,
    "devices": GROUND,
    "launching": {"devices", *GROUND},
    "images": GROUND,
    "data": {"images", *GROUND},
    "models": {"devices", *GROUND},
    "checkpoints": {"data", "models", *GROUND},
    "training": {"devices", "data", "models", "checkpoints", *GROUND},
    "inference": {"devices", "images", "data", "models", "checkpoints", *GROUND},
    "evaluation": {"devices", "images", "data", "inference", *GROUND},
    "export": {"devices", "images", "data", "models", "checkpoints", "inference", *GROUND},
    "cloud": {"config", "devices", *GROUND},
}
ALLOWED["commands"] = set(ALLOWED)
ALLOWED["api"] = set(ALLOWED) - {"commands", "config", "cloud"}
ALLOWED["__main__"] = {"commands", "config", "cloud", *GROUND}
FILES = sorted((ROOT / "dlinknet").rglob("*.py"))
PURE = [
    "leftovers",
    "streams",
    "signals",
    "errors",
    "threads",
    "console",
    "cloud.gate",
    "cloud.job",
    "checkpoints.model_card",
    "checkpoints.origins",
    "checkpoints.read",
    "config",
    "data.augment",
    "data.class_table",
    "data.class_weights",
    "data.classes",
    "data.layouts",
    "data.masks",
    "data.painting",
    "data.painting_roads",
    "data.pairs",
    "data.preprocess",
    "data.read_table",
    "data.roads",
    "data.synthetic",
    "devices.available",
    "devices.context",
    "launching.launch_scripts",
    "devices.launcher",
    "launching.msrun_process",
    "devices.rank_table",
    "devices.ranks",
    "devices.runtime",
    "devices.server_rank_table",
    "evaluation.judging",
    "evaluation.metrics",
    "evaluation.overlays",
    "evaluation.parity",
    "evaluation.reported",
    "evaluation.results_310",
    "evaluation.run_report",
    "evaluation.run_tables",
    "evaluation.scored",
    "evaluation.scoring",
    "evaluation.tables",
    "files.atomic",
    "files.fields",
    "files.foreign",
    "files.locks",
    "files.places",
    "files.results",
    "files.texts",
    "images.decode",
    "images.files",
    "images.formats",
    "images.read",
    "images.tiff",
    "images.write",
    "inference.description",
    "inference.engines",
    "inference.open_model",
    "inference.pictures",
    "inference.predict_images",
    "inference.predictor",
    "inference.tiles",
    "inference.write_predictions",
    "training.identity",
    "training.progress",
    "training.recipe",
    "training.stopped",
    "training.run",
    "training.schedules",
]
# Files that commands share.
HELPERS = {"__init__", "command", "data_sets", "prediction", "resuming", "training"}
DOORS = sorted(ROOT.glob("*.py"))


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
        return  # it imports the public names at their first use
    used = {
        name.split(".")[1]
        for name in imports(file)
        if name.startswith("dlinknet.") and name != "dlinknet.__version__"
    }
    assert used <= ALLOWED[room(file)] | {room(file)}
    assert "torch" not in {name.split(".")[0] for name in imports(file)}


def test_only_the_program_and_its_helpers_know_of_a_command_line():
    for file in FILES:
        words = {
            "__main__.py": {"sys.argv"},
            "signals.py": {"sys.argv"},
            "errors.py": {"sys.argv"},
            "command_line.py": {"argparse"},
            "launch_scripts.py": {"sys.argv"},
            "msrun_process.py": {"sys.argv"},
        }.get(file.name, set())
        found = {word for word in ("sys.argv", "argparse") if word in file.read_text()}
        assert found <= words, file


def test_pure_files_do_without_mindspore():
    code = (
        "import sys\n"
        + "\n".join(f"import dlinknet.{name}" for name in PURE)
        + "\nassert 'mindspore' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_only_two_files_set_devices_and_they_and_available_know_versions():
    devices = ROOT / "dlinknet" / "devices"
    for file in FILES:
        text = file.read_text()
        if file not in (devices / "runtime.py", devices / "context.py"):
            assert "set_context" not in text and "set_device" not in text, file
        if file not in [devices / f"{name}.py" for name in ("runtime", "context", "available")]:
            assert "ms.__version__" not in text and "mindspore.__version__" not in text, file


def test_image_files_have_one_door():
    """Only images/ decodes and encodes them: what is checked is what is read."""
    words = ("cv2.imread", "cv2.imdecode", "cv2.imwrite", "cv2.imencode", "Image.open")
    for file in FILES:
        if room(file) != "images":
            assert not [word for word in words if word in file.read_text()], file
            named = {name for name in imports(file) if name.split(".")[0] == "PIL"}
            assert not named or file.name == "api.py" and named == {"PIL.Image.Image"}, file


def test_roads_and_classes_are_told_apart_in_two_places():
    """Who imports the type chooses by it; all others ask a Classes, or a Judge, what to do."""
    told = {file.name for file in FILES if "dlinknet.data.roads.Roads" in imports(file)}
    assert told == {"judging.py", "pictures.py"}


@pytest.mark.parametrize("file", DOORS, ids=lambda f: f.name)
def test_the_commands_at_the_top_are_doors(file):
    name = file.stem
    assert file.read_text().partition("\n\n")[2] == (
        'from dlinknet.__main__ import run\n\nif __name__ == "__main__":\n    run("' + name + '")\n'
    )
    assert name in command.FILES


def test_every_command_is_listed_and_says_in_one_line_what_it_does():
    files = {file.stem for file in (ROOT / "dlinknet" / "commands").glob("*.py")} - HELPERS
    assert sorted(command.FILES.values()) == sorted(files)
    for name in command.FILES:
        line = command.summary(name)
        assert 20 < len(line) < 95 and line.endswith("."), line
        assert callable(command.find(name).main)
