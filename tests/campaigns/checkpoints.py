"""Kinds of bad input: checkpoints and safetensors files. These trials require MindSpore."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from pathlib import Path
from random import Random
from typing import Any, Callable

import numpy as np

from dlinknet.errors import UserError
from tests.campaigns import torch_files
from tests.campaigns.checkpoint_damage import operated
from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind, fault_of_line, must_pass
from tests.campaigns.text_damage import json_text

SETTINGS = [
    "--device_target=CPU",
    "--model_name=linknet18",
    "--batch_size=2",
    "--epoch_num=3",
    "--output_path=out",
    "--log_name=roads",
    "--num_workers=1",
]


def in_child(make: Callable[[Path], None]) -> dict[str, bytes]:
    """Return the files that `make` writes to a folder.

    `make` runs in a forked process, because MindSpore's threads must not remain in this one.
    """
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
            raise RuntimeError("the files that the trials require cannot be made")
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def start() -> Any:
    """Start MindSpore; return the settings."""
    from dlinknet import config
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    return config.load(SETTINGS, "")


@functools.lru_cache(maxsize=1)
def _training() -> tuple[Any, Any, dict[str, bytes]]:
    """Return (settings, a trainer of a one-layer network, the files of its run after an epoch)."""
    settings = start()  # before MindSpore is imported
    from mindspore import nn

    from dlinknet.commands.training import loader_of, recipe_of
    from dlinknet.data.pairs import Pair
    from dlinknet.data.roads import ROADS
    from dlinknet.devices.ranks import Ranks
    from dlinknet.evaluation.metrics import ROAD_FIGURES
    from dlinknet.training.loop import Trainer
    from dlinknet.training.progress import Best
    from dlinknet.training.run import RunFiles

    class Layer(nn.Cell):
        padding, decoder = "explicit", "full"

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 1, 1, has_bias=True)

        def construct(self, x: Any) -> Any:
            return self.layer(x)

    pairs = [
        Pair(f"r{number}", Path(f"r{number}_sat.jpg"), Path(f"r{number}_mask.png"), 32, 32)
        for number in range(3)
    ]
    loader = loader_of(settings, pairs, ROADS, Ranks())
    recipe = recipe_of(settings, pairs, ROADS, None)
    trainer = Trainer(recipe, Layer(), loader, RunFiles(Path("out"), "roads"), _identity())
    trainer.validate_with(lambda: {}, ROAD_FIGURES)

    def write(folder: Path) -> None:
        trainer.files = trainer.records.files = RunFiles(folder, "roads")
        state = trainer.state
        state.rows = [
            {
                "epoch": 1,
                "train_loss": 0.5,
                "road_iou": 0.25,
                "precision": 0.5,
                "recall": 0.5,
                "f1": float("nan"),
                "learning_rate": 2e-4,
                "loss_scale": 1.0,
                "skipped_steps": 0,
                "seconds": 1.0,
                "images_per_second": 3.0,
            }
        ]
        state.best, state.step, state.position.epoch, state.position.images = (
            Best("road_iou", 0.25, 1),
            4,
            2,
            1,
        )
        trainer.schedule.lowest_loss = 0.5
        trainer.records.save_weights(trainer.files.best, state, trainer.schedule)
        trainer.records.save_weights(trainer.files.plateau, state, trainer.schedule)
        trainer.records.save_last(state, trainer.schedule)

    return settings, trainer, in_child(write)


def _identity() -> Any:
    from dlinknet.training.identity import DataIdentity

    return DataIdentity(("r0", "r1", "r2"), ("v0",), "0" * 64, None)


@functools.lru_cache(maxsize=1)
def _whole_network() -> bytes:
    """Return a checkpoint of linknet18 as train.py writes it."""
    start()

    def write(folder: Path) -> None:
        from dlinknet.checkpoints.save import save
        from dlinknet.models import build

        save(
            folder / "net.ckpt",
            build("linknet18").get_parameters(),
            {"model": "linknet18", "classes": 1, "padding": "explicit", "decoder": "full"},
        )

    return in_child(write)["net.ckpt"]


def make_resumed(rng: Random) -> Case:
    """Make a run's checkpoints, for read_newest() and the other steps of a resumed training."""
    settings, trainer, files = _training()
    Path("out").mkdir()
    name = rng.choice(("roads_last.ckpt",) * 8 + ("roads_plateau.ckpt", "roads_best.ckpt"))
    draw = rng.random()
    data, said = (
        (files[name], "whole")
        if draw < 0.03
        else operated(rng, files[name], ("meta", "meta", "tensors"))
        if draw < 0.8
        else damaged(rng, files[name])
    )
    for each, content in files.items():
        (Path("out") / each).write_bytes(data if each == name else content)
    if rng.random() < 0.2:
        (Path("out") / "roads_previous.ckpt").write_bytes(data)

    def run() -> str:
        import dataclasses

        from dlinknet.commands.resuming import find_run, refuse_changes
        from dlinknet.config.values import NEWEST
        from dlinknet.training.resume import resume
        from dlinknet.training.stopped import read_newest

        found = find_run(dataclasses.replace(settings, resume=NEWEST), "*")
        start = read_newest(found.checkpoints)
        refuse_changes(start.saved, settings, _identity(), start.file)
        if start.card.padding not in ("explicit", "same", "same_pool"):
            from dlinknet.checkpoints.load import start_network

            start_network(settings.model_name, "", start.card.padding, 1, settings.decoder)
        resume(trainer, start, found.files)
        trainer.check_ranks_agree()
        position = trainer.state.position
        trainer.loader.order(position.epoch, position.images)
        trainer.schedule.advance(
            (position.epoch - 1) * len(trainer.loader)
            + position.images // trainer.loader.step_images
        )
        trainer.records.write_table(trainer.state.rows)
        if not all(np.isfinite(p.asnumpy()).all() for p in trainer.network.get_parameters()):
            raise Disagrees("weights that are not finite were accepted")
        return f"epoch {position.epoch}"

    return Case(f"{name}: {said}", must_pass(run) if draw < 0.03 else run)


def make_trained(rng: Random) -> Case:
    """Make a checkpoint of a whole network, for load_trained() or as the start of a training."""
    whole = _whole_network()
    draw = rng.random()
    data, said = (
        (whole, "whole")
        if draw < 0.05
        else operated(rng, whole, ("meta", "tensors"))
        if draw < 0.8
        else damaged(rng, whole)
    )
    Path("net.ckpt").write_bytes(data)
    starts = rng.random() < 0.3

    def run() -> str:
        from dlinknet.checkpoints.load import load_trained, start_network

        if starts:
            network, line = start_network("linknet18", "net.ckpt", "auto", 1, "full")
        else:
            trained = load_trained("net.ckpt", "linknet18")
            trained.card.known_classes("net.ckpt")
            network, line = trained.network, trained.card.model
        if not all(np.isfinite(p.asnumpy()).all() for p in network.get_parameters()):
            raise Disagrees("weights that are not finite were accepted")
        return line

    return Case(said, must_pass(run) if draw < 0.05 else run)


def make_read(rng: Random) -> Case:
    """Make a small checkpoint of any format, for read_checkpoint() and its recognition."""
    form = rng.choice(("ckpt", "ckpt", "safetensors", "safetensors", "torch", "nothing"))
    if form == "ckpt":
        base = _training()[2]["roads_best.ckpt"]
        data, said = (
            operated(rng, base, ("meta", "tensors", "tensors"))
            if rng.random() < 0.5
            else damaged(rng, base)
        )
    elif form == "safetensors":
        data, said = _safetensors(rng)
    elif form == "torch":
        data, said = torch_files.drawn(rng)
    else:
        data = rng.choice(
            (
                b"",
                b"\0",
                b"<html><body>404</body></html>",
                b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                b"{}",
                rng.randbytes(500),
                b"PK\3\4",
                b"\x80\x02",
                b"\x93NUMPY\x01\0",
                b"\x89HDF\r\n\x1a\n",
                b"\x1f\x8b\x08",
            )
        )
        said = repr(data[:20])
    Path("net.ckpt").write_bytes(data)

    def run() -> str:
        from dlinknet.checkpoints.load import load_trained
        from dlinknet.checkpoints.read import read_checkpoint

        found = read_checkpoint("net.ckpt")
        if sum(value.nbytes for value in found.tensors.values()) > 8 * len(data):
            raise Disagrees(
                f"{len(data)} bytes became {sum(value.nbytes for value in found.tensors.values())}"
            )
        try:
            load_trained("net.ckpt", "linknet18")
        except UserError as error:  # too few tensors for a network
            if fault_of_line(str(error)):
                raise
        return f"{len(found.tensors)} tensors"

    return Case(f"{form}: {said}", run)


def _safetensors(rng: Random) -> tuple[bytes, str]:
    """Return (a safetensors file with its header or its bytes changed, the change in words)."""
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
        header[name]["dtype"] = rng.choice(
            (
                "F16",
                "BF16",
                "F64",
                "I8",
                "U8",
                "BOOL",
                "F8_E4M3",
                "F8_E5M2",
                "X",
                "I64",
                "C64",
                "F4",
            )
        )
        text, said = json.dumps(header).encode(), f"{name} of type {header[name]['dtype']}"
    elif draw < 0.7:
        text, said = json_text(rng, header)
    length = len(text)
    if rng.random() < 0.15:
        length = rng.choice((0, 1, length - 1, length + 1, 10**8, 2**63 - 1, 2**64 - 1))
        said += f", its length said to be {length}"
    data = length.to_bytes(8, "little") + text + np.arange(at // 4, dtype="<f4").tobytes()
    if draw > 0.75:
        data, how = damaged(rng, data)
        said += f"; {how}"
    return data, said


def _warm() -> None:
    _training()
    import matplotlib.figure  # noqa: F401


KINDS = (
    Kind("resumed run", 60, make_resumed, _warm, mindspore=True),
    Kind("checkpoint", 60, make_read, _warm, mindspore=True),
    Kind("trained network", 12, make_trained, _whole_network, mindspore=True),
)
