"""Compare optimizers as the LinkNet blog does, and draw the training losses.

Run: python benchmarks/optimizers.py --data_path=camvid

RMSprop and Adam have a learning rate of 5e-4, SGD of 1e-3. Batches have 16 images and crops 480x320
pixels, as in the blog. Each optimizer trains for 10 epochs of CamVid. --output_path receives the
runs. The same command continues a comparison that was stopped. It needs hours on a CPU: --epochs,
--batch, --width and --height make it shorter.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import measure

RATES = {"rmsprop": 5e-4, "adam": 5e-4, "sgd": 1e-3}


def train(name: str, options: argparse.Namespace) -> list[dict[str, str]]:
    """Train with one optimizer, unless its run is complete, and return its table of epochs."""
    table = Path(options.output_path) / f"{name}_epochs.csv"
    # After a kill only the checkpoint before the last may exist.
    left = [
        file
        for file in (table.with_name(f"{name}_{ending}.ckpt") for ending in ("last", "previous"))
        if file.exists()
    ]
    if not table.exists() or len(table.read_text(encoding="utf-8").splitlines()) <= options.epochs:
        subprocess.run(
            [
                sys.executable,
                str(measure.ROOT / "train.py"),
                f"--config_path={measure.ROOT / 'configs' / 'camvid_blog_480x320.yaml'}",
                f"--data_path={options.data_path}",
                f"--output_path={options.output_path}",
                f"--log_name={name}",
                f"--optimizer={name}",
                f"--learning_rate={RATES[name]}",
                f"--epoch_num={options.epochs}",
                f"--batch_size={options.batch}",
                f"--train_size={options.width}",
                f"--train_height={options.height}",
                "--save_steps=5",
                *([f"--resume={left[0]}"] if left else []),
            ],
            check=True,
        )
    with open(table, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw(tables: dict[str, list[dict[str, str]]], path: Path) -> None:
    """Write a picture of the training loss and the mean IoU of all optimizers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (column, title) in zip(
        figure.subplots(1, 2),
        (("train_loss", "training loss"), ("mean_iou", "mean IoU in validation")),
    ):
        for name, rows in tables.items():
            axes.plot(
                [int(row["epoch"]) for row in rows],
                [float(row[column]) for row in rows],
                marker=".",
                label=f"{name} {RATES[name]:g}",
            )
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train with all optimizers, draw their curves and keep the figures of the last epoch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--output_path", default="optimizers")
    for name, value in (("epochs", 10), ("batch", 16), ("width", 480), ("height", 320)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    tables = {name: train(name, options) for name in RATES}
    picture = Path(options.output_path) / "optimizers.png"
    draw(tables, picture)
    last = {
        name: {"train_loss": float(rows[-1]["train_loss"]), "mean_iou": float(rows[-1]["mean_iou"])}
        for name, rows in tables.items()
    }
    measure.keep(
        "optimizers",
        {
            "epochs": options.epochs,
            "batch": options.batch,
            "crop": [options.width, options.height],
            "last_epoch": last,
        },
    )
    print(f"the curves are in {picture}")


if __name__ == "__main__":
    main()
