"""Convert an ONNX file to an OM file with CANN's program atc. Pure Python."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from dlinknet.errors import InputError, RunFailed
from dlinknet.export.publish import publish, work_folder
from dlinknet.files.texts import read_json
from dlinknet.inference import description
from dlinknet.inference.description import Exported

FRAMEWORK = "5"  # ONNX, among the frameworks that atc reads
# A line of atc about a failure begins with a code such as E10001, or has this word.
ERROR = re.compile(r"^E[A-Z0-9]\d{4}\b|\bERROR\b")


def find_atc() -> str:
    """Return the path of CANN's program atc.

    Raises:
        InputError: it is not on PATH.
    """
    found = shutil.which("atc")
    if found is None:
        raise InputError(
            "atc",
            "is not on PATH. It is part of CANN's toolkit, also for machines without an Ascend: "
            "source set_env.sh in CANN's folder",
        )
    return found


def convert(atc: str, model: Path, target: Path, chip: str, precision: str) -> None:
    """Convert an export to an OM file for one kind of chip, and write the JSON beside it.

    Args:
        atc: the path of CANN's program.
        model: an ONNX file with its JSON, for images of one size.
        target: the file to write, FILE.om.
        chip: CANN's name of the chip, as in 'Ascend310P3'.
        precision: how the chip computes float32 layers; a value of atc's --precision_mode_v2.

    Raises:
        InputError: the export cannot be read, or is for images of any size.
        RunFailed: atc failed.
    """
    exported = description.read(str(model))
    if exported.shape.dynamic:
        raise InputError(
            model, "is for images of any size, and an OM file has one size: export without dynamic"
        )
    values = read_json(description.path_of(model))
    if "quantized" in values:
        raise InputError(model, "is in int8, for CPUs: convert the float32 file")
    with work_folder(target) as work:  # atc leaves folders of its own in the current folder
        made = work.absolute() / target.name
        command = [atc, *arguments(model.absolute(), exported, made.with_suffix(""))]
        command += [f"--soc_version={chip}", f"--precision_mode_v2={precision}"]
        done = subprocess.run(
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if done.returncode or not made.is_file():
            raise RunFailed(f"atc cannot convert {model}: {_reason(done)}")
        about = {"file": target.name, "file_format": "OM", "sha256": description.sha256(made)}
        about |= {"soc_version": chip, "om_precision": precision}
        publish(made, target, {**values, **about, "compared": {}})


def arguments(model: Path, exported: Exported, output: Path) -> list[str]:
    """Return atc's arguments for an export. Source: CANN's guide to ATC."""
    shape = exported.shape
    sides = ",".join(map(str, shape.of_input()))
    return [
        f"--model={model}",
        f"--framework={FRAMEWORK}",
        f"--output={output}",  # atc appends .om
        # atc reads pixels, N x H x W x 3, as they are.
        f"--input_format={'ND' if shape.pixels else 'NCHW'}",
        f"--input_shape=image:{sides}",
    ]


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return why atc failed: its first line about an error, else its last line."""
    if done.returncode == 0:
        return "it wrote no OM file"
    lines = [line.strip() for line in (done.stdout or "").splitlines()]
    lines = [line for line in lines if line.strip("-=* ")]
    found = next((line for line in lines if ERROR.search(line)), lines[-1] if lines else "")
    return found[:200] or f"it ended with status {done.returncode}"
