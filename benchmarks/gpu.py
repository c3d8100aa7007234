"""Training and inference of D-LinkNet34 on one GPU, ours beside PyTorch's on the same card. python benchmarks/gpu.py

Each side trains --steps steps of --batch images of --size x --size pixels, after two that are not counted: in float32, with
TF32 convolutions, and in mixed precision (ours: amp_level O2; PyTorch: autocast to float16). Then the probabilities of one image
on the GPU are compared with the CPU's. Needs MindSpore on a GPU (scripts/gpu_environment.sh) and a PyTorch with CUDA in the
environment that --torch_python names. --device_target=CPU tries the course of it on a CPU.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import measure
import sides

PRECISIONS = ("float32", "tf32", "mixed")


def used_gb() -> float:
    """GPU memory that this process holds, in GB; nan where nvidia-smi does not say."""
    try:
        said = subprocess.run(["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"],
                              capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return float("nan")
    used = [float(line.split(",")[1]) for line in said.splitlines() if line.split(",")[0].strip() == str(os.getpid())]
    return sum(used) * 2 ** 20 / 1e9 if used else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--device_target", default="GPU", choices=["GPU", "CPU"])
    parser.add_argument("--torch_python", default=sys.executable, help="the Python that has PyTorch")
    for hidden in ("--side", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return one_side(options)
    asked = [f"--size={options.size}", f"--batch={options.batch}", f"--steps={options.steps}"]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        asked += [f"--folder={folder}"]
        for precision in PRECISIONS:
            for maker, python in (("mindspore", sys.executable), ("pytorch", options.torch_python)):
                found[f"{maker} {precision}"] = answer = measure.side(
                    __file__, f"{maker} {precision}", f"--device_target={options.device_target}", *asked, python=python)
                answer["seconds"] = float(np.median(answer["seconds"]))
                print(f"{maker}, {precision}: {1000 * answer['seconds']:.1f} ms a step, {answer['device_gb']:.2f} GB on the device, "
                      f"loss {answer['losses'][0]:.4f} -> {answer['losses'][1]:.4f}", flush=True)
        for target in (options.device_target, "CPU"):
            measure.side(__file__, "inference", f"--device_target={target}", *asked)
        differ = float(np.abs(np.load(f"{folder}/{options.device_target}.npy") - np.load(f"{folder}/CPU.npy")).max())
    for precision in PRECISIONS:
        ours, theirs = found[f"mindspore {precision}"], found[f"pytorch {precision}"]
        print(f"{precision}: {ours['seconds'] / theirs['seconds']:.2f} of PyTorch's time, "
              f"{ours['device_gb'] / theirs['device_gb']:.2f} of its memory")
    print(f"probabilities on {options.device_target} and CPU differ by at most {differ:.1e}" + ("" if differ < 1e-3 else ": TOO MUCH"))
    measure.keep(f"training_on_{options.device_target.lower()}", {
        "size": options.size, "batch": options.batch, "steps": options.steps, **found, "probabilities_differ": differ})
    sys.exit(differ >= 1e-3)


def one_side(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    if options.side == "inference":
        infer = sides.mindspore_inference(options.size, options.size, folder / "start.npz", options.device_target, tf32=False)
        np.save(folder / options.device_target, infer())
        return measure.answer(seconds=[])
    maker, precision = options.side.split()
    build = {"mindspore": sides.mindspore_training, "pytorch": sides.pytorch_training}[maker]
    step = build(options.batch, options.size, folder / "weights.npz", options.device_target, precision)
    first = step()
    step()
    seconds = measure.repeated(step, options.steps, warm_up=0)
    measure.answer(seconds=seconds, losses=[first, step()], device_gb=used_gb())


if __name__ == "__main__":
    main()
