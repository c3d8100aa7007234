"""Bad checkpoints: bytes, what they say of themselves, tensors; safetensors; exported models. They need MindSpore."""
from __future__ import annotations

import functools
import json
import os
import tempfile
import zlib
from pathlib import Path
from random import Random
from typing import Any, Callable

import numpy as np

from dlinknet.errors import UserError
from tests.campaigns import messages, torch_files
from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind, fault_of_line, must_pass
from tests.campaigns.texts import changed, json_text

SETTINGS = ["--device_target=CPU", "--model_name=linknet18", "--batch_size=1", "--epoch_num=3", "--output_path=out", "--log_name=roads",
            "--num_workers=1"]
META = "dlinknet_meta"
CARELESS = ("Float16", "Float64", "Int32", "UInt8", "Bool", "Int64", "BFloat16", "String", "Float33", "")


def _in_child(make: Callable[[Path], None]) -> dict[str, bytes]:
    """Return the files that `make` writes to a folder, in a forked process: MindSpore's threads end with it."""
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                make(Path(folder))
                status = 0
            finally:
                os._exit(status)
        if os.waitpid(child, 0)[1]:
            raise RuntimeError("what the trials need cannot be made")
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def _start() -> Any:
    """Start MindSpore; return the settings."""
    from dlinknet import config, runtime
    runtime.start("CPU", 0, 1)
    return config.load(SETTINGS, "")


@functools.lru_cache(maxsize=1)
def _training() -> tuple[Any, Any, dict[str, bytes]]:
    """Return (settings, a trainer of a network of one layer, the files of its run after an epoch)."""
    from mindspore import nn
    from dlinknet.data.loader import make_loader
    from dlinknet.data.classes import ROADS
    from dlinknet.data.pairs import Pair
    from dlinknet.training.loop import Trainer
    from dlinknet.training.run import RunFiles

    class Layer(nn.Cell):
        padding, decoder = "explicit", "full"

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 1, 1, has_bias=True)

        def construct(self, x):
            return self.layer(x)

    settings = _start()
    pairs = [Pair(f"r{number}", Path(f"r{number}_sat.jpg"), Path(f"r{number}_mask.png"), 32, 32) for number in range(3)]
    loader = make_loader(settings, pairs, ROADS)
    trainer = Trainer(settings, Layer(), loader, RunFiles(Path("out"), "roads"), lambda: {}, _identity())

    def write(folder: Path) -> None:
        trainer.files = trainer.records.files = RunFiles(folder, "roads")
        state = trainer.state
        state.rows = [{"epoch": 1, "train_loss": 0.5, "road_iou": 0.25, "precision": 0.5, "recall": 0.5, "f1": float("nan"), "learning_rate": 2e-4,
                       "loss_scale": 1.0, "skipped_steps": 0, "seconds": 1.0, "images_per_second": 3.0}]
        state.best, state.step, state.position.epoch, state.position.images = {"figure": "road_iou", "value": 0.25, "epoch": 1}, 4, 2, 1
        trainer.schedule.lowest_loss = 0.5
        trainer.records.keep_weights(trainer.files.best, state, trainer.schedule)
        trainer.records.keep_weights(trainer.files.plateau, state, trainer.schedule)
        trainer.records.keep_last(state, trainer.schedule)

    return settings, trainer, _in_child(write)


def _identity() -> dict[str, Any]:
    return {"train": ["r0", "r1", "r2"], "valid": ["v0"], "files": "0" * 64, "classes": None}


@functools.lru_cache(maxsize=1)
def _whole_network() -> bytes:
    """Return a checkpoint of linknet18 as train.py writes it."""
    _start()

    def write(folder: Path) -> None:
        from dlinknet.models.linknet import BUILDERS
        from dlinknet.training.checkpoint import save
        save(folder / "net.ckpt", BUILDERS["linknet18"]().get_parameters(), {"model": "linknet18", "classes": 1, "padding": "explicit", "decoder": "full"})

    return _in_child(write)["net.ckpt"]


def _operated(rng: Random, data: bytes, kinds: tuple[str, ...]) -> tuple[bytes, str]:
    """Return (the checkpoint with its text or its tensors changed, how); the checksum within fits what is there then.

    Args:
        kinds: of 'meta' and 'tensors', which.
    """
    from mindspore.train.checkpoint_pb2 import Checkpoint
    message = Checkpoint()
    message.ParseFromString(data)
    values = {value.tag: value for value in message.value}
    text = before = bytes(values[META].tensor.tensor_content)
    if rng.choice(kinds) == "meta":
        repaired, meta = rng.random() < 0.8, json.loads(text)
        if rng.random() < 0.75:
            meta, said = changed(rng, {key: value for key, value in meta.items() if key != "crc32"})
            text = json.dumps(meta).encode("utf-8", "surrogatepass")
        else:
            text, said = json_text(rng, meta)
    else:
        change = _tensors_changed if rng.random() < 0.8 else messages.operated
        repaired, said = rng.random() < 0.8, change(rng, message)
    if repaired:
        text = _with_checksum(message, text)
    for value in message.value:
        if value.tag == META and text != before:
            value.tensor.tensor_content, value.tensor.dims[:] = text, [len(text)]
    return message.SerializePartialToString(), said + ("" if repaired else ", checksum as it was")


def _with_checksum(message: Any, text: bytes) -> bytes:
    """Return a checkpoint's text with the CRC-32 of it and of the tensors, as a writer of it would say it."""
    try:
        meta = json.loads(text)
        if not isinstance(meta, dict):
            return text
        meta.pop("crc32", None)
        crc = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
        for value in sorted((value for value in message.value if value.tag != META), key=lambda value: value.tag):
            crc = zlib.crc32(value.tensor.tensor_content, zlib.crc32(value.tag.encode(), crc))
        return json.dumps({**meta, "crc32": crc}).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError, TypeError):
        return text


def _tensors_changed(rng: Random, message: Any) -> str:
    """Change one tensor of a checkpoint; return how."""
    places = [place for place, value in enumerate(message.value) if value.tag != META]
    place, how = rng.choice(places), rng.randrange(10)
    value = message.value[place]
    tensor, tag = value.tensor, value.tag
    if how == 0:
        del message.value[place]
        return f"{tag} missing"
    if how == 1:
        extra = message.value.add()
        extra.CopyFrom(value)
        extra.tag = rng.choice((tag, tag + "x", "", "layer5.weight", "x" * 3000, "é", "head.conv2.weight", META))
        return f"{extra.tag[:30]} is there too"
    if how == 2:
        sides = list(tensor.dims)
        tensor.dims[:] = rng.choice((sides[::-1], sides[:-1], [*sides, 1], [*sides, 2], [], [0], [-1], [2 ** 40], [2 ** 62, 4], [1] * 40, [2, *sides]))
        return f"{tag} of shape {list(tensor.dims)[:6]}"
    if how == 3:
        tensor.tensor_type = rng.choice(CARELESS)
        return f"{tag} of type {tensor.tensor_type}"
    if how == 4:
        content = np.frombuffer(tensor.tensor_content, np.float32).astype(rng.choice((np.float16, np.float64, np.int32)))
        tensor.tensor_content, tensor.tensor_type = content.tobytes(), content.dtype.name.capitalize()
        return f"{tag} retyped as {content.dtype}"
    if how == 5:
        content = np.frombuffer(tensor.tensor_content, np.float32).copy()
        if content.size:
            content[rng.randrange(content.size)] = rng.choice((np.nan, np.inf, -np.inf))
        tensor.tensor_content = content.tobytes()
        return f"{tag} holds what is not finite"
    if how == 6:
        tensor.tensor_content = rng.choice((b"", tensor.tensor_content[:-1], tensor.tensor_content * 2, tensor.tensor_content + b"\0"))
        return f"{tag} of {len(tensor.tensor_content)} bytes"
    if how == 7:
        sides = list(tensor.dims)
        tensor.dims[:] = [side + 1 if number == 0 else side for number, side in enumerate(sides)]
        tensor.tensor_content = bytes(4 * int(np.prod(tensor.dims)))
        return f"{tag} resized to {list(tensor.dims)}"
    if how == 8:
        value.tag = rng.choice(("", "x", "module." + tag, tag.upper(), tag + "\n", "\x1b[31m"))
        return f"{tag} renamed to {ascii(value.tag)[:30]}"
    other = message.value[rng.choice(places)]
    other.tag, value.tag = value.tag, other.tag
    return f"{tag} and {value.tag} exchanged"


def make_resumed(rng: Random) -> Case:
    """A run's checkpoints, through read_newest() and all that a resumed training makes of them."""
    settings, trainer, files = _training()
    Path("out").mkdir()
    name = rng.choice(("roads_last.ckpt",) * 8 + ("roads_plateau.ckpt", "roads_best.ckpt"))
    draw = rng.random()
    data, said = ((files[name], "whole") if draw < 0.03 else _operated(rng, files[name], ("meta", "meta", "tensors")) if draw < 0.8 else
                  damaged(rng, files[name]))
    for each, content in files.items():
        (Path("out") / each).write_bytes(data if each == name else content)
    if rng.random() < 0.2:
        (Path("out") / "roads_previous.ckpt").write_bytes(data)

    def run() -> str:
        from dlinknet.training.checkpoint import read_newest
        from dlinknet.training.run import NEWEST, find_run, refuse_changes
        import dataclasses
        found = find_run(dataclasses.replace(settings, resume=NEWEST), "*")
        start = read_newest(found.checkpoints, "resume")
        refuse_changes(start.meta, settings, _identity(), start.file)
        if start.meta["padding"] not in ("explicit", "same", "same_pool"):
            from dlinknet.models.weights import start_network
            start_network(settings.model_name, "", start.meta["padding"], 1, settings.decoder)
        trainer.resume(start, found.files)
        trainer.agree()
        position = trainer.state.position
        trainer.loader.order(position.epoch, position.images)
        trainer.schedule.advance((position.epoch - 1) * len(trainer.loader) + position.images // trainer.loader.step_images)
        trainer.records.keep_table(trainer.state.rows)
        if not all(np.isfinite(p.asnumpy()).all() for p in trainer.network.get_parameters()):
            raise Disagrees("weights that are not finite were taken")
        return f"epoch {position.epoch}"

    return Case(f"{name}: {said}", must_pass(run) if draw < 0.03 else run)


def make_trained(rng: Random) -> Case:
    """A checkpoint of a whole network, through load_trained(), or as the start of another training."""
    whole = _whole_network()
    draw = rng.random()
    data, said = (whole, "whole") if draw < 0.05 else _operated(rng, whole, ("meta", "tensors")) if draw < 0.8 else damaged(rng, whole)
    Path("net.ckpt").write_bytes(data)
    starts = rng.random() < 0.3

    def run() -> str:
        from dlinknet.deploy.engines import trained_for
        from dlinknet.models.weights import load_trained, start_network
        if starts:
            network, line = start_network("linknet18", "net.ckpt", "auto", 1, "full")
        else:
            trained = load_trained("net.ckpt", "trained_ckpt", "linknet18")
            trained_for(trained.meta, "net.ckpt", "trained_ckpt")
            network, line = trained.network, trained.model
        if not all(np.isfinite(p.asnumpy()).all() for p in network.get_parameters()):
            raise Disagrees("weights that are not finite were taken")
        return line

    return Case(said, must_pass(run) if draw < 0.05 else run)


def make_read(rng: Random) -> Case:
    """A small checkpoint of any format, through read_checkpoint() and what recognises it."""
    form = rng.choice(("ckpt", "ckpt", "safetensors", "safetensors", "torch", "nothing"))
    if form == "ckpt":
        base = _training()[2]["roads_best.ckpt"]
        data, said = _operated(rng, base, ("meta", "tensors", "tensors")) if rng.random() < 0.5 else damaged(rng, base)
    elif form == "safetensors":
        data, said = _safetensors(rng)
    elif form == "torch":
        data, said = torch_files.drawn(rng)
    else:
        data = rng.choice((b"", b"\0", b"<html><body>404</body></html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", b"{}",
                           rng.randbytes(500), b"PK\3\4", b"\x80\x02", b"\x93NUMPY\x01\0", b"\x89HDF\r\n\x1a\n", b"\x1f\x8b\x08"))
        said = repr(data[:20])
    Path("net.ckpt").write_bytes(data)

    def run() -> str:
        from dlinknet.models.weights import load_trained, read_checkpoint
        found = read_checkpoint("net.ckpt", "trained_ckpt")
        if sum(value.nbytes for value in found.tensors.values()) > 8 * len(data):
            raise Disagrees(f"{len(data)} bytes became {sum(value.nbytes for value in found.tensors.values())}")
        try:
            load_trained("net.ckpt", "trained_ckpt", "linknet18")
        except UserError as error:      # so few tensors are no network
            if fault_of_line(str(error)):
                raise
        return f"{len(found.tensors)} tensors"

    return Case(f"{form}: {said}", run)


def _safetensors(rng: Random) -> tuple[bytes, str]:
    """Return (a safetensors file with its header or its bytes changed, how)."""
    names = {"conv1.weight": [2, 2, 1, 1], "bn1.weight": [2], "fc.weight": [2, 2]}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in names.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text, said = json.dumps(header).encode(), "whole"
    draw = rng.random()
    if draw < 0.2:
        name = rng.choice(list(names))
        header[name]["dtype"] = rng.choice(("F16", "BF16", "F64", "I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "X", "I64", "C64", "F4"))
        text, said = json.dumps(header).encode(), f"{name} of type {header[name]['dtype']}"
    elif draw < 0.7:
        text, said = json_text(rng, header)
    length = len(text)
    if rng.random() < 0.15:
        length = rng.choice((0, 1, length - 1, length + 1, 10 ** 8, 2 ** 63 - 1, 2 ** 64 - 1))
        said += f", its length said to be {length}"
    data = length.to_bytes(8, "little") + text + np.arange(at // 4, dtype="<f4").tobytes()
    if draw > 0.75:
        data, how = damaged(rng, data)
        said += f"; {how}"
    return data, said


@functools.lru_cache(maxsize=1)
def _mindir() -> dict[str, bytes]:
    """Return model.mindir and its JSON, of a network of one layer."""
    _start()

    def write(folder: Path) -> None:
        from mindspore import nn
        from dlinknet.deploy import sidecar
        from dlinknet.deploy.mindir import write_mindir
        shape = sidecar.Shape(1, (32, 32))
        made = write_mindir(nn.SequentialCell([nn.Conv2d(3, 1, 1), nn.Sigmoid()]), shape, folder / "model.mindir")
        _write_sidecar(folder / "model.mindir", "MINDIR", shape, made)

    return _in_child(write)


@functools.lru_cache(maxsize=1)
def _onnx() -> dict[str, bytes]:
    """Return model.onnx and its JSON, of a network of one layer."""
    def write(folder: Path) -> None:
        from onnx import TensorProto, helper, save_model
        from dlinknet.deploy import sidecar
        weight = helper.make_tensor("weight", TensorProto.FLOAT, [1, 3, 1, 1], [0.1, 0.2, 0.3])
        nodes = [helper.make_node("Conv", ["image", "weight"], ["logits"], kernel_shape=[1, 1]), helper.make_node("Sigmoid", ["logits"], ["probability"])]
        graph = helper.make_graph(nodes, "layer", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
                                  [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, 32, 32])], [weight])
        save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(folder / "model.onnx"))
        _write_sidecar(folder / "model.onnx", "ONNX", sidecar.Shape(1, (32, 32)), {"opset": 13})

    return _in_child(write)


def _write_sidecar(model: Path, form: str, shape: Any, made: dict[str, Any]) -> None:
    from dlinknet.data.preprocess import DLINKNET
    from dlinknet.deploy import sidecar
    sidecar.write(model, {"file": model.name, "file_format": form, "sha256": sidecar.sha256(model), "model": "linknet18", "classes": 1,
                          "padding": "explicit", "decoder": "full", **shape.described(1, DLINKNET), "threshold": 0.5, **made})


def _make_export(rng: Random, files: dict[str, bytes]) -> Case:
    model = next(name for name in files if not name.endswith(".json"))
    draw = rng.random()
    data, said = (files[model], "whole") if draw < 0.05 else damaged(rng, files[model]) if draw < 0.4 else _rebuilt(rng, files[model], model)
    Path(model).write_bytes(data)
    Path(f"{model}.json").write_bytes(files[f"{model}.json"])
    if draw >= 0.05 and rng.random() < 0.9:
        from dlinknet.deploy import sidecar
        values = json.loads(files[f"{model}.json"])
        sidecar.write(Path(model), {**values, "sha256": sidecar.sha256(Path(model))})
        said += ", its sha256 repaired"

    def run() -> str:
        from dlinknet import config
        from dlinknet.deploy.engines import open_model
        opened = open_model(model, "trained_ckpt", config.load(SETTINGS, ""))
        found = opened.engine(opened.engine.prepare(np.full((32, 32, 3), 90, np.uint8))[None])
        if found.shape != (1, 32, 32):
            raise Disagrees(f"probabilities of shape {found.shape} for one image of 32 x 32")
        return f"{float(np.nan_to_num(found).mean()):.3f}"

    return Case(said, must_pass(run) if draw < 0.05 else run)


def _rebuilt(rng: Random, data: bytes, model: str) -> tuple[bytes, str]:
    """Return (an exported model with some fields of its graph changed, how)."""
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
        tensor.external_data.add(key="location", value=rng.choice(("/etc/passwd", "../said", "said", "/dev/zero", "")))
        said.append("numbers in another file")
    return message.SerializePartialToString(), "; ".join(said)


def make_mindir(rng: Random) -> Case:
    """A MINDIR file, through open_model() and one call."""
    return _make_export(rng, _mindir())


def make_onnx(rng: Random) -> Case:
    """An ONNX file, through open_model() and one call."""
    return _make_export(rng, _onnx())


def _warm() -> None:
    _training()
    import matplotlib.figure  # noqa: F401


KINDS = (Kind("onnx", 25, make_onnx, _onnx), Kind("resumed run", 60, make_resumed, _warm, mindspore=True), Kind("checkpoint", 60, make_read, _warm, mindspore=True),
         Kind("trained network", 12, make_trained, _whole_network, mindspore=True), Kind("mindir", 12, make_mindir, _mindir, mindspore=True))
