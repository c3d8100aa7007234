"""Kinds of bad input: settings, class tables, rank tables, command lines, and JSON.

The JSON is that of exports, runs, manifests and records.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any, Callable

import cv2
import numpy as np
import yaml

from tests.campaigns.damage import damaged
from tests.campaigns.forks import Case, Disagrees, Kind
from tests.campaigns.labels import TABLE, class_table
from tests.campaigns.text_damage import json_text, short, yaml_text


def make_settings(rng: Random) -> Case:
    """Make a settings file, for config.load()."""
    values = {
        "batch_size": 2,
        "learning_rate": 0.01,
        "model_name": "linknet18",
        "tta": False,
        "file_format": ["MINDIR", "ONNX"],
        "data_path": "data",
        "resume": "",
        "val_split": 0.1,
        "epoch_num": 3,
        "augment": "full",
    }
    data, said = yaml_text(rng, values)
    Path("settings.yaml").write_bytes(data)

    def run() -> None:
        from dlinknet import config

        loaded = config.load(["--config_path=settings.yaml"], "")
        again = yaml.safe_load(loaded.as_yaml())
        Path("again.yaml").write_text(loaded.as_yaml(), encoding="utf-8")
        if config.load(["--config_path=again.yaml"], "") != loaded:
            raise Disagrees(f"settings that were written read back otherwise: {again}")

    return Case(said, run)


def make_class_table(rng: Random) -> Case:
    """Make a class table, for read_table() and a training's use of the classes."""
    data, said = yaml_text(rng, yaml.safe_load(TABLE))
    Path("table.yaml").write_bytes(data)

    def run() -> None:
        from dlinknet.data.read_table import parse_classes, read_table

        classes = read_table(Path("table.yaml"), rng.random() < 0.5)
        json.dumps(classes.to_dict()).encode()  # a checkpoint holds it
        if parse_classes(json.loads(json.dumps(classes.to_dict()))) != classes:
            raise Disagrees("a table that was written is read back with other values")
        if classes.palette().shape != (256, 3) or not all(
            name.isprintable() for name in classes.names
        ):
            raise Disagrees(f"the classes are called {short(classes.names)}")

    return Case(said, run)


def make_sidecar(rng: Random) -> Case:
    """Make the JSON beside an export, for description.read()."""
    from dlinknet.data.preprocess import DLINKNET
    from dlinknet.inference import description

    Path("m.onnx").write_bytes(b"a model")
    shape = description.Shape(1, (64, 64), dynamic=rng.random() < 0.3, pixels=rng.random() < 0.3)
    classes = rng.choice((1, 3))
    values = {
        "format": 1,
        "file": "m.onnx",
        "file_format": "ONNX",
        "sha256": description.sha256(Path("m.onnx")),
        "model": "linknet18",
        "classes": classes,
        "padding": "explicit",
        "decoder": "full",
        **shape.to_dict(classes, DLINKNET),
        "threshold": 0.5,
    }
    if classes > 1:
        values["class_table"] = yaml.safe_load(TABLE)
    data, said = json_text(rng, values)
    Path("m.onnx.json").write_bytes(data)

    def run() -> str:
        found = description.read("m.onnx")
        found.card.known_classes("m.onnx")  # the next step of a command
        return str(found.shape)

    return Case(said, run)


def make_rank_table(rng: Random) -> Case:
    """Make a rank table of either form, for read_rank_table() and for_hccl()."""
    devices = [
        {"device_id": str(n), "device_ip": f"192.168.1.{n}", "rank_id": str(n)} for n in range(3)
    ]
    listed = {
        "version": "1.0",
        "server_count": "1",
        "status": "completed",
        "server_list": [{"server_id": "10.0.0.1", "device": devices}],
    }
    grouped = {
        "version": "0.1",
        "status": "completed",
        "group_list": [
            {
                "group_name": "g",
                "instance_list": [
                    {"pod_name": f"job-roads-{n}", "server_id": f"10.0.0.{n}", "devices": devices}
                    for n in range(2)
                ],
            }
        ],
    }
    data, said = json_text(rng, rng.choice((listed, grouped)))
    Path("table.json").write_bytes(data)

    def run() -> str:
        from dlinknet.devices import rank_table

        os.environ["TMPDIR"] = os.getcwd()
        places = rank_table.read_rank_table("table.json")
        rank_table.places_here(places[:1], "table.json")
        if rank_table.read_rank_table(rank_table.for_hccl("table.json")) != places:
            raise Disagrees("the translation for HCCL has other places")
        return f"{len(places)} ranks"

    return Case(said, run)


def make_manifest(rng: Random) -> Case:
    """Make the list of an earlier run's results, for replacing_results().

    Files that are not in the list must survive.
    """
    names = ["a_mask.png", "overlays/a_overlay.jpg", "figures.json"]
    Path("out/overlays").mkdir(parents=True)
    Path("victim.txt").write_text("mine", encoding="utf-8")
    for name in names:
        (Path("out") / name).write_text("old", encoding="utf-8")
    data, said = json_text(rng, names + ["../victim.txt"] * (rng.random() < 0.3))
    (Path("out") / ".dlinknet_output.json").write_bytes(data)

    def run() -> None:
        from dlinknet.files.results import replacing_results

        try:
            with replacing_results(Path("out")) as stage:
                (stage / "b_mask.png").write_text("new", encoding="utf-8")
        finally:
            if Path("victim.txt").read_text(encoding="utf-8") != "mine":
                raise Disagrees("a file outside of the folder was lost")
        if not Path("out/b_mask.png").exists():
            raise Disagrees("the results are not there")

    return Case(said, run)


def _class_pair() -> Any:
    """Write one image with a mask of TABLE's values; return its Pair."""
    from dlinknet.data.pairs import Pair

    cv2.imwrite("a.png", np.repeat(np.array([[0, 1, 2, 11]], np.uint8), 4, 0))
    return Pair("a", Path("a.png"), Path("a.png"), 4, 4)


def make_class_weights(rng: Random) -> Case:
    """Make a run's class_weights.json, for frequencies(). Counts that do not fit are recomputed."""
    from dlinknet.data import class_weights as room

    pair, out = _class_pair(), Path("out")
    whole = room.frequencies([pair], class_table(), out)
    data, said = json_text(rng, json.loads((out / room.FILE).read_text(encoding="utf-8")))
    (out / room.FILE).write_bytes(data)

    def run() -> str:
        found = room.frequencies([pair], class_table(), out)
        if (
            not (found.weights > 0).all()
            or not np.isfinite(found.weights).all()
            or (found.pixels < 0).any()
        ):
            raise Disagrees(f"weights {found.weights.tolist()[:5]}")
        return "counted" if np.array_equal(found.pixels, whole.pixels) else "other pixels"

    return Case(said, run)


def make_node_record(rng: Random) -> Case:
    """Make the record of a job's processes, for Node.once()."""
    value = {"state": {"a.png": [1, 2]}, "source": "obs://b/k", "sizes": {"a.png": 1}, "file": ""}
    text = {
        "data": {"source": "obs://b/k", "time": 4e9, "value": value},
        "train": {"source": "obs://b/t", "time": 1.0, "error": "UserError", "text": "none"},
    }
    data, said = json_text(rng, text)
    Path("cache").mkdir()
    Path("cache/.dlinknet_job.json").write_bytes(data)

    def run() -> None:
        from dlinknet.cloud.node import Node

        node = Node(Path("cache"))
        for place in ("data", "train"):
            node.once(place, "obs://b/k", lambda last: value)
            node.last(place)

    return Case(said, run)


def make_run_settings(rng: Random) -> Case:
    """Make the settings of a run that is resumed, for resume_settings()."""
    from dlinknet import config

    Path("out").mkdir()
    Path("out/roads_last.ckpt").write_bytes(b"stands for a checkpoint")
    data, said = yaml_text(
        rng, yaml.safe_load(config.load(["--output_path=out", "--log_name=roads"], "").as_yaml())
    )
    Path("out/roads_config.yaml").write_bytes(data)

    def run() -> str:
        from dlinknet.commands.resuming import find_run, resume_settings

        arguments = ["--output_path=out", "--resume"]
        settings = config.load(arguments, "")
        find_run(settings, "*")
        found, resolved = resume_settings(settings, arguments, "")
        if found.files.log_name != "roads" or resolved.log_name != "roads":
            raise Disagrees(f"the run is called {short(resolved.log_name)}")
        return ""

    return Case(said, run)


def make_report(rng: Random) -> Case:
    """Make the tables of a run and of its evaluation, for read_run() and write_report()."""
    Path("out/overlays").mkdir(parents=True)
    epochs = (
        "epoch,train_loss,road_iou,precision,recall,f1,learning_rate,loss_scale,skipped_steps,"
        "seconds,images_per_second\n1,0.5,0.25,0.5,0.5,,0.0002,1,0,1,3\n"
    )
    images = (
        "id,road_iou,precision,recall,f1,true_road,missed_road,false_road\n"
        "r1,0.25,0.5,0.5,0.5,10,5,3\nr2,,,,,0,0,4\n"
    )
    texts = {
        "roads_epochs.csv": epochs.encode(),
        "images.csv": images.encode(),
        "roads_split.json": json.dumps({"train": ["r0"], "valid": ["r1", "r2"]}).encode(),
        "figures.json": json.dumps(
            {"images": 2, "road_iou": 0.25, "precision": 0.5, "recall": 0.5, "f1": None}
        ).encode(),
    }
    name = rng.choice(list(texts))
    texts[name], said = (
        json_text(rng, json.loads(texts[name]))
        if name.endswith("json") and rng.random() < 0.7
        else damaged(rng, texts[name])
    )
    for each, data in texts.items():
        (Path("out") / each).write_bytes(data)

    def run() -> None:
        from dlinknet import config
        from dlinknet.commands.report import course_of
        from dlinknet.evaluation.run_report import write_report
        from dlinknet.evaluation.run_tables import read_run

        Path("report").mkdir()
        run = read_run(
            Path("out"), "roads", Path("out"), "linknet18 on data", course_of(config.load([], ""))
        )
        write_report(run, Path("report"))

    return Case(f"{name}: {said}", run)


ENDS = (
    "",
    " ",
    "0",
    "-1",
    "1",
    "2",
    "31",
    "32",
    "33",
    "64",
    "1e3",
    "1e12",
    "1e18",
    "1e308",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1_000",
    "0x10",
    "010",
    "1000000000",
    "99999999999999999999",
    "9" * 5000,
    "0.5",
    "-0",
    "+1",
    "1.0",
    "true",
    "False",
    "yes",
    "None",
    "null",
    "[]",
    "{}",
    "a",
    "a" * 300,
    "a" * 5000,
    "/",
    "//",
    ".",
    "..",
    "~",
    "~nobody",
    "/proc",
    "/proc/self/mem",
    "/dev/zero",
    "/dev/null",
    "\ud800",
    "\x1b[31m",
    "a\nb",
    "obs://b/k",
    "obs://",
    "s3://",
    "file:///x",
    "*",
    "é" * 100,
    "0-99999999999",
    "0,0,0",
    "7-0",
    "0-",
    "-0-",
    "all",
    ",",
    ",,",
    "MINDIR,",
    "MINDIR,X",
    "x" * 200 + ",",
    "١٢",
    "½",
    "1,5",
    "1 000",
    "12e",
    "--x",
    "-",
)


def make_command_line(rng: Random) -> Case:
    """Make a command line with settings at their limits, for config.load() or a rank table."""
    from dlinknet import config

    keys = rng.sample([*config.TYPES, "config_path"], rng.choice((1, 1, 2, 3)))
    arguments = []
    for key in keys:
        value = rng.choice(ENDS)
        form = rng.randrange(12)
        arguments += (
            [f"--{key}"]
            if form == 0
            else [f"--{key}", value]
            if form == 1
            else [f"-{key}={value}"]
            if form == 2
            else [f"--{key[:4]}={value}"]
            if form == 3
            else [f"--{key}={value}"] * 2
            if form == 4
            else [f"--{key}={value}"]
        )
    if rng.random() < 0.05:
        arguments.append(
            rng.choice(("--", "-", "x", "--=", "--x=", "--\ud800=1", "---a=1", "-h=1"))
        )

    def run() -> str:
        loaded = config.load(arguments, "")
        Path("again.yaml").write_text(loaded.as_yaml(), encoding="utf-8")
        if config.load(["--config_path=again.yaml"], "") != loaded:
            raise Disagrees("settings that were written are read back with other values")
        if "devices" in keys and loaded.devices:
            from dlinknet.devices.server_rank_table import find_devices, make_rank_table

            make_rank_table("table.json", find_devices(loaded.devices), loaded.server_ip)
        return ""

    return Case(short(arguments) if len(str(arguments)) > 200 else ascii(arguments), run)


def _warm() -> None:
    import dlinknet.cloud.node
    import dlinknet.config
    import dlinknet.data.class_weights
    import dlinknet.devices.rank_table
    import dlinknet.devices.server_rank_table  # noqa: F401
    import dlinknet.evaluation.run_report  # noqa: E401, F401
    import dlinknet.inference.description
    import dlinknet.training.run

    class_table()
    dlinknet.config.load([], "")


def _kind(name: str, share: int, make: Callable[[Random], Case]) -> Kind:
    return Kind(name, share, make, _warm)


KINDS = (
    _kind("settings", 70, make_settings),
    _kind("class table", 60, make_class_table),
    _kind("sidecar", 45, make_sidecar),
    _kind("rank table", 45, make_rank_table),
    _kind("manifest", 25, make_manifest),
    _kind("class weights", 25, make_class_weights),
    _kind("node record", 20, make_node_record),
    _kind("run settings", 25, make_run_settings),
    _kind("report", 15, make_report),
    _kind("command line", 60, make_command_line),
)
