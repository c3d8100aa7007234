"""Compare the training of D-LinkNet34 in MindSpore and in PyTorch on one GPU.

Run: python benchmarks/gpu.py

Each side trains --steps steps of --batch images of --size x --size pixels, after two steps that do
not count: in float32, with TF32 convolutions, and in mixed precision (MindSpore: amp_level O1, O2
and O3; PyTorch: autocast to float16). Then the probabilities of one image on the GPU are compared
with those on the CPU. This requires MindSpore on a GPU (scripts/gpu_environment.sh), and a PyTorch
with CUDA in the environment of --torch_python. --device_target=CPU tries all steps on a CPU.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import numpy as np
import sides

MINDSPORE = ("float32", "tf32", "O1", "O2", "O3")
PYTORCH = ("float32", "tf32", "mixed")


def ask_card(query: str) -> str:
    """Return the answer of nvidia-smi about the first card; '' if there is none."""
    try:
        said = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits", "--id=0"],
            capture_output=True,
            text=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""


def used_gb() -> float:
    """Return the used memory of the first card in GB; 0 if there is no card.

    No other program may run on the card.
    """
    said = ask_card("memory.used")
    return float(said) * 2**20 / 1e9 if said else 0.0


def main() -> None:
    """Measure all sides, compare the devices, print the ratios and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--device_target", default="GPU", choices=["GPU", "CPU"])
    parser.add_argument(
        "--torch_python", default=sys.executable, help="the Python that has PyTorch"
    )
    for hidden in ("--side", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return one_side(options)
    need = (
        "import torch"
        if options.device_target == "CPU"
        else "import torch; assert torch.cuda.is_available()"
    )
    if subprocess.run([options.torch_python, "-c", need], capture_output=True).returncode:
        sys.exit(
            f"{options.torch_python} has no PyTorch that works on this {options.device_target}: "
            "name a Python that has one with --torch_python"
        )
    asked = [f"--size={options.size}", f"--batch={options.batch}", f"--steps={options.steps}"]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        asked += [f"--folder={folder}"]
        for maker, precision in [
            *(("mindspore", name) for name in MINDSPORE),
            *(("pytorch", name) for name in PYTORCH),
        ]:
            python = sys.executable if maker == "mindspore" else options.torch_python
            answer = measure.side(
                __file__,
                f"{maker} {precision}",
                f"--device_target={options.device_target}",
                *asked,
                python=python,
            )
            answer["seconds"] = float(np.median(answer["seconds"]))
            found[f"{maker} {precision}"] = answer
            print(
                f"{maker}, {precision}: {1000 * answer['seconds']:.1f} ms a step, "
                f"{answer['device_gb']:.2f} GB on the card, "
                f"loss {answer['losses'][0]:.4f} -> {answer['losses'][1]:.4f}",
                flush=True,
            )
        for target in (options.device_target, "CPU"):
            measure.side(__file__, "inference", f"--device_target={target}", *asked)
        differ = float(
            np.abs(
                np.load(f"{folder}/{options.device_target}.npy") - np.load(f"{folder}/CPU.npy")
            ).max()
        )
    best = min(("O1", "O2", "O3"), key=lambda level: found[f"mindspore {level}"]["seconds"])
    for mindspore, pytorch in (("float32", "float32"), ("tf32", "tf32"), (best, "mixed")):
        share = found[f"mindspore {mindspore}"]["seconds"] / found[f"pytorch {pytorch}"]["seconds"]
        print(f"{mindspore}: {share:.2f} of the time of PyTorch's {pytorch}")
    print(
        f"probabilities on {options.device_target} and CPU differ by at most {differ:.1e}"
        + ("" if differ < 1e-3 else ": TOO MUCH")
    )
    measure.keep(
        f"training_on_{options.device_target.lower()}",
        {
            "card": ask_card("name,driver_version,memory.total"),
            "size": options.size,
            "batch": options.batch,
            "steps": options.steps,
            **found,
            "probabilities_differ": differ,
        },
    )
    sys.exit(differ >= 1e-3)


def one_side(options: argparse.Namespace) -> None:
    """Measure one side in this process."""
    folder = Path(options.folder)
    if options.side == "inference":
        infer = sides.mindspore_inference(
            options.size, options.size, folder / "start.npz", options.device_target, tf32=False
        )
        np.save(folder / options.device_target, infer())
        return measure.answer(seconds=[])
    maker, precision = options.side.split()
    build = {"mindspore": sides.mindspore_training, "pytorch": sides.pytorch_training}[maker]
    step = build(
        options.batch, options.size, folder / "weights.npz", options.device_target, precision
    )
    first = step()
    step()
    seconds = measure.repeated(step, options.steps, warm_up=0)
    measure.answer(seconds=seconds, losses=[first, step()], device_gb=used_gb())


if __name__ == "__main__":
    main()
