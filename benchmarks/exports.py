"""Compare the inference of D-LinkNet34's exports, its checkpoint and PyTorch eager on the CPU.

Run: python benchmarks/exports.py

It measures time and memory. --size is the side of the image in pixels. Each round measures --calls
calls, after one call that does not count. It also measures the time of as many multiply-adds as the
network has, at the speed of this machine's matrix product. That is a lower bound of the time in
float32.

With --trained_ckpt, --calibration_path, --data_path and --label_path it then scores a trained
network on images with masks: its checkpoint, and its ONNX file in float32, bfloat16 and int8.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import numpy as np
import sides

NAMES = {
    "pytorch": "PyTorch eager",
    "mindspore": "checkpoint",
    "mindir": "MINDIR, BatchNorm folded",
    "onnx": "ONNX Runtime",
    "float32": "OpenVINO, float32",
    "bfloat16": "OpenVINO, bfloat16",
    "int8": "OpenVINO, int8",
}
# Side -> (the file's name, the engine, its precision).
ONNX = {
    "onnx": ("model", "onnxruntime", "float32"),
    "float32": ("model", "openvino", "float32"),
    "bfloat16": ("model", "openvino", "bfloat16"),
    "int8": ("int8", "openvino", "auto"),
}
SCENES = 8  # drawn for the calibration of the random weights
SIDE = 2048  # side of the matrices, which fit the cache well


def write_models(folder: Path, size: int) -> None:
    """Write random weights as arrays for PyTorch, and as checkpoint, MINDIR and ONNX."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, sides.SEED)
    from dlinknet.checkpoints.save import save
    from dlinknet.models import build

    network = build("dlinknet34", 1)
    np.savez(folder / "weights.npz", **{p.name: p.asnumpy() for p in network.get_parameters()})
    save(folder / "model.ckpt", network.get_parameters(), {"model": "dlinknet34", "classes": 1})
    scenes = folder / "scenes"
    dlinknet(
        "draw-scenes",
        f"--output_path={scenes}",
        f"--scene_num={SCENES + 1}",
        f"--val_split={1 / (SCENES + 1)}",
        f"--scene_size={min(size, 512)}",
    )
    words = [f"--width={size}", f"--height={size}"]
    checkpoint = folder / "model.ckpt"
    export(checkpoint, folder / "model", "--file_format=MINDIR,ONNX", *words)
    # Random weights draw no roads, so that the loss says nothing.
    words += [f"--calibration_path={scenes / 'train'}", "--quantize_tolerance=1"]
    export(checkpoint, folder / "int8", "--file_format=ONNX", "--quantize=int8", *words)


def export(checkpoint: Path, file: Path, *words: str) -> None:
    """Export a checkpoint for batches of one image."""
    dlinknet(
        "export", f"--trained_ckpt={checkpoint}", f"--file_name={file}", "--batch_size=1", *words
    )


def dlinknet(*words: str) -> str:
    """Run a command of dlinknet, and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "dlinknet", *words],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=measure.ROOT,
    )
    return done.stdout


def exported_inference(name: str, folder: Path, size: int):
    """Return a call that computes the probabilities of the image of the other sides."""
    from dlinknet.devices import runtime
    from dlinknet.inference.onnx_engines import OnnxOptions
    from dlinknet.inference.open_model import open_model

    start = lambda: str(runtime.start("CPU", 0, sides.SEED))  # noqa: E731
    if name == "mindir":
        engine = open_model(str(folder / "model.mindir"), start).engine
    else:
        file, *options = ONNX[name]
        engine = open_model(str(folder / f"{file}.onnx"), start, onnx=OnnxOptions(*options)).engine
    images = sides.batch(1, size)[0]
    return lambda: engine(images)


def scores(options, folder: Path) -> dict[str, dict[str, float]]:
    """Score a trained network in every precision, print the road IoU, and return the figures."""
    sizes = [f"--width={options.tile}", f"--height={options.tile}"]
    export(options.trained_ckpt, folder / "trained", "--file_format=ONNX", *sizes)
    sizes += ["--quantize=int8", f"--calibration_path={options.calibration_path}"]
    export(options.trained_ckpt, folder / "trained8", "--file_format=ONNX", *sizes)
    found = {}
    for name, file, precision in [
        ("float32", "trained", "float32"),
        ("bfloat16", "trained", "bfloat16"),
        ("int8", "trained8", "auto"),
    ]:
        text = dlinknet(
            "parity",
            f"--trained_ckpt={options.trained_ckpt}",
            f"--exports={folder / file}.onnx",
            f"--data_path={options.data_path}",
            f"--label_path={options.label_path}",
            "--device_target=CPU",
            "--engine=openvino",
            f"--cpu_precision={precision}",
            "--as_json",
        )
        checkpoint, exported = json.loads(text)
        found["checkpoint"], found[name] = checkpoint, exported
    for name, row in found.items():
        print(
            f"{name}: road IoU {row['road_iou']:.4f}, largest difference "
            f"{row['largest_difference']:.1g}, {row['pixels_changed']} of {row['pixels']} pixels "
            "changed"
        )
    return found


def measure_product(options) -> None:
    """Measure the seconds of the network's number of multiply-adds in NumPy's matrix product."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, sides.SEED)
    runtime.run_eagerly()
    from dlinknet.models import build
    from dlinknet.models.profile import layers, totals

    work = totals(layers(build("dlinknet34", 1), options.size, options.size))["multiply_adds"]
    matrix = np.random.default_rng(sides.SEED).normal(size=(SIDE, SIDE)).astype(np.float32)
    share = work / SIDE**3
    measure.answer(
        seconds=[seconds * share for seconds in measure.repeated(lambda: matrix @ matrix, 10, 2)],
        check=float(work),
    )


def measure_side(options) -> None:
    """Measure one side in this process."""
    folder = Path(options.weights)
    if options.side == "write":
        write_models(folder, options.size)
        return measure.answer(seconds=[0.0])
    if options.side == "product":
        return measure_product(options)
    if options.side == "pytorch":
        infer = sides.pytorch_inference(options.size, options.size, folder / "weights.npz")
    elif options.side == "mindspore":
        infer = sides.mindspore_inference(options.size, options.size, folder / "same_weights.npz")
    else:
        infer = exported_inference(options.side, folder, options.size)
    measure.answer(seconds=measure.repeated(infer, options.calls), check=float(infer().mean()))


def main() -> None:
    """Measure all sides in turn, print the ratios and keep the figures."""
    parser = sides.parser(__doc__, size=1024, calls=8, tile=416)
    for name in ("trained_ckpt", "calibration_path", "data_path", "label_path"):
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    if options.side:
        return measure_side(options)
    sides.need_torch()
    with tempfile.TemporaryDirectory() as folder:
        sizes = [f"--weights={folder}", f"--size={options.size}", f"--calls={options.calls}"]
        measure.side(__file__, "write", *sizes)
        results = measure.in_turn(__file__, [*NAMES, "product"], options.rounds, *sizes)
        scored = scores(options, Path(folder)) if options.trained_ckpt else {}
    ratios = {}
    for name, text in NAMES.items():
        if name != "pytorch":
            ratios[name] = measure.compare(results, name, "pytorch")
            print(
                f"{text}, {options.size}x{options.size}: {ratios[name]['seconds_ratio']:.2f} of "
                f"PyTorch's time, {ratios[name]['peak_gb_ratio']:.2f} of its memory"
            )
    product = results["product"]["seconds"] / results["pytorch"]["seconds"]
    print(f"the same multiply-adds as a product of matrices: {product:.2f} of PyTorch's time")
    measure.keep(
        "exports",
        {
            "size": options.size,
            "calls": options.calls,
            **results,
            "ratios": ratios,
            "product_ratio": product,
            **({"scores": scored} if scored else {}),
        },
    )


if __name__ == "__main__":
    main()
