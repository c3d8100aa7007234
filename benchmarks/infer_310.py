"""Compare the pipeline of the C++ program with the same engine in a plain loop.

Run: python benchmarks/infer_310.py

It measures two networks. D-LinkNet34 for --size needs nearly all of the time on a CPU. A network
with one convolution needs about as much time as the decoding of the images, as D-LinkNet34 does on
an Ascend. This requires the packages of requirements-onnx.txt and those that
ascend310_infer/build.sh names.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import numpy as np


def write_light_model(file: Path, size: int) -> None:
    """Write an export of a 3x3 convolution to 4 maps, a 1x1 convolution and a sigmoid."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from dlinknet.inference import description

    rng = np.random.default_rng(1)
    tensors = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in (("w", (4, 3, 3, 3)), ("v", (1, 4, 1, 1)))
    ]
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], pads=[1] * 4, kernel_shape=[3, 3]),
        helper.make_node("Conv", ["a", "v"], ["b"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["b"], ["probability"]),
    ]
    graph = helper.make_graph(
        nodes,
        "light",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 1, size, size])],
        tensors,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=4),
        str(file),
    )
    description.write(
        file,
        {
            "model": "light",
            "classes": 1,
            "threshold": 0.5,
            **description.Shape(1, (size, size)).to_dict(1),
        },
    )


def write_model(file: Path, size: int) -> None:
    """Write D-LinkNet34 with random weights as an ONNX file."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    from dlinknet.checkpoints.save import save
    from dlinknet.models import build

    save(
        file.with_suffix(".ckpt"),
        build("dlinknet34", 1).get_parameters(),
        {"model": "dlinknet34", "classes": 1},
    )
    subprocess.run(
        [
            sys.executable,
            str(measure.ROOT / "export.py"),
            f"--trained_ckpt={file.with_suffix('.ckpt')}",
            f"--file_name={file}",
            "--file_format=ONNX",
            "--batch_size=1",
            f"--width={size}",
            f"--height={size}",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def images_per_second(program: str, model: Path, images: Path, folder: Path, *words: str) -> float:
    """Run the C++ program on a folder of images, and return the images per second.

    Args:
        folder: receives the results and times.
        words: more arguments of the program.
    """
    subprocess.run(
        [
            program,
            f"--model={model}",
            f"--images={images}",
            f"--results={folder / 'r'}",
            f"--times={folder / 't'}",
            "--output=both",
            *words,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    lines = dict(line.split(": ") for line in (folder / "t" / "times.txt").read_text().splitlines())
    return float(lines["images_per_second"])


def main() -> None:
    """Build the program, measure it with both networks and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", type=int, default=1024, help="side in pixels of images and models"
    )
    parser.add_argument(
        "--images",
        type=int,
        default=40,
        help="for the light network; a tenth of them for D-LinkNet34",
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    results: dict = {"size": options.size}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = subprocess.run(
            ["bash", str(measure.ROOT / "ascend310_infer" / "build.sh"), "opencv"],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "BUILD_DIR": str(folder / "build")},
        )
        program = built.stdout.strip()
        write_light_model(folder / "light.onnx", options.size)
        write_model(folder / "dlinknet34.onnx", options.size)
        for model, count in (
            ("light", options.images),
            ("dlinknet34", max(2, options.images // 10)),
        ):
            images = measure.draw_scenes(folder / model, count, options.size)
            found: dict[str, list[float]] = {"pipeline": [], "plain loop": []}
            rounds = options.rounds if model == "light" else 2
            for _ in range(rounds):
                found["pipeline"].append(
                    images_per_second(program, folder / f"{model}.onnx", images, folder)
                )
                found["plain loop"].append(
                    images_per_second(
                        program, folder / f"{model}.onnx", images, folder, "--plain_loop"
                    )
                )
            medians = {way: statistics.median(values) for way, values in found.items()}
            results[model] = {
                "rounds": rounds,
                "images": count,
                **medians,
                "ratio": medians["pipeline"] / medians["plain loop"],
            }
            print(f"{model}: {json.dumps(results[model])}", flush=True)
    measure.keep("infer_310", results)


if __name__ == "__main__":
    main()
