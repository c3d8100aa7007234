"""Kinds of bad input: exported models (MINDIR, ONNX) with the JSON beside them."""

from __future__ import annotations

import functools
import json
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.campaigns import messages
from tests.campaigns.checkpoints import SETTINGS, in_child, start
from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind, must_pass


@functools.lru_cache(maxsize=1)
def _mindir() -> dict[str, bytes]:
    """Return model.mindir and its JSON, for a network of one layer."""
    start()

    def write(folder: Path) -> None:
        from mindspore import nn

        from dlinknet.export.mindir import write_mindir
        from dlinknet.inference import description

        shape = description.Shape(1, (32, 32))
        made = write_mindir(
            nn.SequentialCell([nn.Conv2d(3, 1, 1), nn.Sigmoid()]), shape, folder / "model.mindir"
        )
        _write_sidecar(folder / "model.mindir", "MINDIR", shape, made)

    return in_child(write)


@functools.lru_cache(maxsize=1)
def _onnx() -> dict[str, bytes]:
    """Return model.onnx and its JSON, for a network of one layer."""

    def write(folder: Path) -> None:
        from onnx import TensorProto, helper, save_model

        from dlinknet.inference import description

        weight = helper.make_tensor("weight", TensorProto.FLOAT, [1, 3, 1, 1], [0.1, 0.2, 0.3])
        nodes = [
            helper.make_node("Conv", ["image", "weight"], ["logits"], kernel_shape=[1, 1]),
            helper.make_node("Sigmoid", ["logits"], ["probability"]),
        ]
        graph = helper.make_graph(
            nodes,
            "layer",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, 32, 32])],
            [weight],
        )
        save_model(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
            str(folder / "model.onnx"),
        )
        _write_sidecar(folder / "model.onnx", "ONNX", description.Shape(1, (32, 32)), {"opset": 13})

    return in_child(write)


def _write_sidecar(model: Path, form: str, shape: Any, made: dict[str, Any]) -> None:
    from dlinknet.data.preprocess import DLINKNET
    from dlinknet.inference import description

    description.write(
        model,
        {
            "file": model.name,
            "file_format": form,
            "sha256": description.sha256(model),
            "model": "linknet18",
            "classes": 1,
            "padding": "explicit",
            "decoder": "full",
            **shape.to_dict(1, DLINKNET),
            "threshold": 0.5,
            **made,
        },
    )


def _make_export(rng: Random, files: dict[str, bytes]) -> Case:
    model = next(name for name in files if not name.endswith(".json"))
    draw = rng.random()
    data, said = (
        (files[model], "whole")
        if draw < 0.05
        else damaged(rng, files[model])
        if draw < 0.4
        else _rebuilt(rng, files[model], model)
    )
    Path(model).write_bytes(data)
    Path(f"{model}.json").write_bytes(files[f"{model}.json"])
    if draw >= 0.05 and rng.random() < 0.9:
        from dlinknet.inference import description

        values = json.loads(files[f"{model}.json"])
        description.write(Path(model), {**values, "sha256": description.sha256(Path(model))})
        said += ", its sha256 repaired"

    def run() -> str:
        from dlinknet import config
        from dlinknet.commands.prediction import open_trained

        opened = open_trained(config.load(SETTINGS, ""), model)
        found = opened.engine(opened.engine.prepare(np.full((32, 32, 3), 90, np.uint8))[None])
        if found.shape != (1, 32, 32):
            raise Disagrees(f"probabilities of shape {found.shape} for one image of 32 x 32")
        return f"{float(np.nan_to_num(found).mean()):.3f}"

    return Case(said, must_pass(run) if draw < 0.05 else run)


def _rebuilt(rng: Random, data: bytes, model: str) -> tuple[bytes, str]:
    """Return (an exported model with some fields of its graph changed, the change in words)."""
    if model.endswith(".onnx"):
        from onnx import ModelProto
    else:
        from mindspore.train.mind_ir_pb2 import ModelProto
    message = ModelProto()
    message.ParseFromString(data)
    said = [messages.operated(rng, message) for _ in range(rng.choice((1, 1, 2, 4)))]
    if model.endswith(".onnx") and rng.random() < 0.1 and message.graph.initializer:
        tensor = message.graph.initializer[0]
        tensor.ClearField("float_data")
        tensor.data_location = 1
        tensor.external_data.add(
            key="location", value=rng.choice(("/etc/passwd", "../said", "said", "/dev/zero", ""))
        )
        said.append("numbers in another file")
    return message.SerializePartialToString(), "; ".join(said)


def make_mindir(rng: Random) -> Case:
    """Make a MINDIR file, for open_trained() and one call."""
    return _make_export(rng, _mindir())


def make_onnx(rng: Random) -> Case:
    """Make an ONNX file, for open_trained() and one call."""
    return _make_export(rng, _onnx())


KINDS: tuple[Kind, ...] = (Kind("mindir", 12, make_mindir, _mindir, mindspore=True),)
if find_spec("onnx") and find_spec("onnxruntime"):  # requirements-onnx.txt
    KINDS += (Kind("onnx", 25, make_onnx, _onnx),)
