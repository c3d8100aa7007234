"""Write MINDIR (the format of MindSpore) and AIR (of Ascend's tools), and run MINDIR files."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.console import quiet
from dlinknet.devices import runtime
from dlinknet.export.subprocesses import call_in_new_process
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import read_mindir


def write_mindir(graph: Any, shape: Shape, file: Path) -> dict[str, int]:
    """Write a graph as MINDIR.

    Args:
        graph: a cell of graph.exported_graph.
        shape: the shape of its input.

    Returns:
        {'mindir': the version of the format}, for the JSON beside the file.
    """
    write_graph(graph, shape, file, "MINDIR")
    from mindspore.train.mind_ir_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString(file.read_bytes())
    return {"mindir": model.mind_ir_version}


def write_graph(graph: Any, shape: Shape, file: Path, file_format: str) -> None:
    """Write a graph with MindSpore's own writer.

    Args:
        graph: a cell of graph.exported_graph.
        shape: the shape of its input.
        file_format: 'MINDIR', 'AIR' or 'ONNX'.
    """
    import mindspore as ms
    from mindspore import Tensor

    sides, kind = shape.of_input(), ms.uint8 if shape.pixels else ms.float32
    example = (
        Tensor(shape=sides, dtype=kind)
        if shape.dynamic
        else Tensor(np.zeros([side or 1 for side in sides], np.float32), kind)
    )
    # MindSpore rejects paths with spaces or Chinese characters, so it writes through a link.
    with tempfile.TemporaryDirectory() as plain, quiet(native=True):
        link = Path(plain) / "folder"
        link.symlink_to(file.parent.absolute())
        ms.export(
            graph,
            example,
            file_name=str(link / f"model.{file_format.lower()}"),
            file_format=file_format,
        )
    (file.parent / f"model.{file_format.lower()}").rename(file)
    file.chmod(0o644)  # MindSpore writes read-only files, which users could not replace


def compute_in_new_process(
    file: Path,
    inputs: list[np.ndarray],
    folder: Path,
    target: str = "CPU",
    python: str = sys.executable,
) -> list[np.ndarray]:
    """Return the outputs of a MINDIR file, N x C x H x W, that a new MindSpore process computes.

    Args:
        inputs: one array per call.
        folder: an existing folder for the arrays that the processes exchange.
        target: the device, as runtime.start accepts it.
        python: the interpreter of the process.

    Raises:
        RunFailed: the process cannot load or run the file.
    """
    given, found = folder / "given.npz", folder / "found.npz"
    np.savez(given, *inputs)
    call_in_new_process(
        "mindir",
        "_compute",
        str(file.absolute()),
        str(given.absolute()),
        str(found.absolute()),
        target,
        cwd=folder,
        python=python,
    )
    with np.load(found) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(inputs))]


def _compute(file: str, given: str, found: str, target: str) -> None:
    """Run in the new process: read inputs from the file `given`, write outputs to `found`."""
    runtime.start(target, 0, 1)
    compute = read_mindir(Path(file))
    with np.load(given) as arrays:
        np.savez(found, *map(compute, arrays.values()))


def write_air(
    checkpoint: str, model: str, shape: Shape, file: Path, *, folded: bool, device_id: int
) -> None:
    """Write a checkpoint's network as AIR, in a new process on an Ascend.

    Args:
        checkpoint: its absolute path.
        model: the network's name.
        shape: the shape of its input.
        folded: True to fold BatchNorm into the convolutions.
        device_id: the Ascend that writes.

    Raises:
        RunFailed: the process cannot write the file.
    """
    numbers = json.dumps([device_id, shape.batch, *shape.size, shape.pixels, folded])
    call_in_new_process(
        "mindir", "_write_air", checkpoint, model, numbers, str(file.absolute()), cwd=file.parent
    )


def _write_air(checkpoint: str, model: str, numbers: str, file: str) -> None:
    """Run in the new process: write the file. `numbers` is the JSON list that write_air makes."""
    device_id, batch, height, width, pixels, folded = json.loads(numbers)
    runtime.start("Ascend", device_id, 1)
    from dlinknet.checkpoints.load import load_trained
    from dlinknet.export.graph import exported_graph, fold_batch_norm

    network, card = load_trained(checkpoint, model)
    graph = exported_graph(
        fold_batch_norm(network) if folded else network, pixels, card.preprocessing
    )
    write_graph(graph, Shape(batch, (height, width), pixels=pixels), Path(file), "AIR")
