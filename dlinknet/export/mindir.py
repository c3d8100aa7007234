"""MINDIR, the format of MindSpore, and AIR, that of Ascend's tools: written, and read back."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from dlinknet.console import quiet
from dlinknet.devices import runtime
from dlinknet.export.subprocesses import call_fresh
from dlinknet.inference.description import Shape
from dlinknet.inference.engines import read_mindir


def write_mindir(graph: Any, shape: Shape, file: Path) -> dict[str, int]:
    """Writes a graph (nn.Cell) of graph.exported_graph as MINDIR; returns {'mindir': the version of the format}."""
    write_graph(graph, shape, file, "MINDIR")
    from mindspore.train.mind_ir_pb2 import ModelProto

    model = ModelProto()
    model.ParseFromString(file.read_bytes())
    return {"mindir": model.mind_ir_version}


def write_graph(graph: Any, shape: Shape, file: Path, file_format: str) -> None:
    """Writes a graph as MindSpore does it."""
    import mindspore as ms
    from mindspore import Tensor

    sides, kind = shape.of_input(), ms.uint8 if shape.pixels else ms.float32
    example = (
        Tensor(shape=sides, dtype=kind)
        if shape.dynamic
        else Tensor(np.zeros([side or 1 for side in sides], np.float32), kind)
    )
    # MindSpore refuses paths with spaces or Chinese in them: it writes through a link.
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
    file.chmod(0o644)  # MindSpore writes read-only files, which users then cannot replace


def compute_fresh(
    file: Path, inputs: list[np.ndarray], folder: Path, target: str = "CPU", **where: str
) -> list[np.ndarray]:
    """What a MINDIR file makes of each input, N x C x H x W, in a MindSpore process of its own.

    Args:
        folder: for the arrays on their way; it is there.
        where: python, another interpreter.

    Raises:
        RunFailed: MindSpore could not load or run it there.
    """
    given, found = folder / "given.npz", folder / "found.npz"
    np.savez(given, *inputs)
    call_fresh(
        "mindir",
        "_compute",
        str(file.absolute()),
        str(given.absolute()),
        str(found.absolute()),
        target,
        cwd=folder,
        **where,
    )
    with np.load(found) as arrays:
        return [arrays[f"arr_{number}"] for number in range(len(inputs))]


def _compute(file: str, given: str, found: str, target: str) -> None:
    runtime.start(target, 0, 1)
    compute = read_mindir(Path(file))
    with np.load(given) as arrays:
        np.savez(found, *map(compute, arrays.values()))


def write_air(
    checkpoint: str, model: str, shape: Shape, folded: bool, device_id: int, file: Path
) -> None:
    """Writes a checkpoint's network as AIR, in a process of its own on an Ascend.

    Args:
        folded: with BatchNorm in the convolutions.

    Raises:
        RunFailed: it could not be written there.
    """
    numbers = json.dumps([device_id, shape.batch, *shape.size, shape.pixels, folded])
    call_fresh(
        "mindir", "_write_air", checkpoint, model, numbers, str(file.absolute()), cwd=file.parent
    )


def _write_air(checkpoint: str, model: str, numbers: str, file: str) -> None:
    device_id, batch, height, width, pixels, folded = json.loads(numbers)
    runtime.start("Ascend", device_id, 1)
    from dlinknet.checkpoints.load import load_trained
    from dlinknet.export.graph import exported_graph, fold_batch_norm

    network, card = load_trained(checkpoint, model)
    graph = exported_graph(
        fold_batch_norm(network) if folded else network, pixels, card.preprocessing
    )
    write_graph(graph, Shape(batch, (height, width), pixels=pixels), Path(file), "AIR")
