"""Find out which MindSpore versions read the MINDIR files of which others.

Run: python benchmarks/mindir_versions.py .venv/bin/python .venv-2.0/bin/python

The arguments are any number of Pythons with different MindSpore versions. Each version writes the
files, and each version loads them. The results are compared with those of the checkpoint. The
network is LinkNet34 with random weights for 64 x 96 pixels. Its inputs are planes, pixels
(--pixel_input), and planes of any size (--dynamic).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import measure
import numpy as np

KINDS = {"planes": [], "pixels": ["--pixel_input"], "any size": ["--dynamic"]}
LIMIT = 1e-4  # largest difference, relative to the range of the probabilities (at least 0.01)


def write_checkpoint(file: Path) -> None:
    """Write random weights in a format that every version reads."""
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    from dlinknet.checkpoints.save import save
    from dlinknet.models import build

    save(file, build("linknet34", 1).get_parameters(), {"model": "linknet34", "classes": 1})


def version(python: str) -> str:
    """Return the version of a Python's MindSpore. Exit if it has none."""
    found = subprocess.run(
        [python, "-c", "import mindspore; print(mindspore.__version__)"],
        capture_output=True,
        text=True,
    )
    return (
        found.stdout.split()[-1]
        if found.returncode == 0
        else sys.exit(f"{python} has no MindSpore: {found.stderr.strip()[-200:]}")
    )


def expected_of(checkpoint: Path, planes: list) -> list:
    """Return the probabilities of the checkpoint's network, by the MindSpore of this process."""
    from mindspore import Tensor

    from dlinknet.checkpoints.load import load_trained
    from dlinknet.export.graph import exported_graph

    graph = exported_graph(load_trained(str(checkpoint), "linknet34").network, False)
    return [graph(Tensor(array)).asnumpy() for array in planes]


def tried(file: Path, python: str, inputs: list, expected: list, folder: Path) -> str:
    """Return 'yes' and the largest difference, or 'no' and the reason."""
    from dlinknet.errors import RunFailed
    from dlinknet.export.mindir import compute_in_new_process

    try:
        found = compute_in_new_process(file, inputs, folder, python=python)
    except RunFailed as error:
        return f"no: {str(error)[:110]}"
    off = max(float(np.abs(a - b).max()) for a, b in zip(found, expected))
    return (
        f"yes, {off:.1g}"
        if off <= LIMIT * max(float(np.ptp(expected[0])), 0.01)
        else f"no: differs by {off:.1g}"
    )


def main() -> None:
    """Try all pairs of versions, print a table and keep it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="+")
    pythons = {version(python): python for python in parser.parse_args().pythons}
    from dlinknet.data.preprocess import to_input
    from dlinknet.data.synthetic import draw_scene

    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_checkpoint(folder / "a.ckpt")
        scene = draw_scene(np.random.default_rng(2), 96)[0]
        cv2.imwrite(str(folder / "scene.png"), scene)
        scenes = {"planes": [scene[:64]], "pixels": [scene[:64]], "any size": [scene[:64], scene]}
        for writer, python in pythons.items():
            for kind, words in KINDS.items():
                file = folder / f"{writer}_{kind.replace(' ', '_')}.mindir"
                done = subprocess.run(
                    [
                        python,
                        str(measure.ROOT / "export.py"),
                        f"--trained_ckpt={folder / 'a.ckpt'}",
                        f"--file_name={file}",
                        "--batch_size=1",
                        "--width=96",
                        "--height=64",
                        *words,
                    ],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    rows.append([kind, writer, "", f"not written: {done.stderr.strip()[:110]}"])
                    continue
                pixels = [np.ascontiguousarray(one)[None] for one in scenes[kind]]
                planes = [to_input(one[0])[None] for one in pixels]
                expected = expected_of(folder / "a.ckpt", planes)
                for reader, other in pythons.items():
                    rows.append(
                        [
                            kind,
                            writer,
                            reader,
                            tried(
                                file,
                                other,
                                pixels if kind == "pixels" else planes,
                                expected,
                                folder,
                            ),
                        ]
                    )
    for row in [["input", "written by", "read by", "works"], *rows]:
        print("  ".join(word.ljust(width) for word, width in zip(row, (9, 11, 8, 0))).rstrip())
    measure.keep("mindir_versions", {"rows": rows})


if __name__ == "__main__":
    main()
