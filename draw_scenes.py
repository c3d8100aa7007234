"""Draws aerial scenes with road masks, for a try without data: --output_path=FOLDER receives train, valid, valid_mask."""
from pathlib import Path

from dlinknet import config, console
from dlinknet.data.pairs import refuse_filled
from dlinknet.data.synthetic import draw_pairs
from dlinknet.errors import run_command
from dlinknet.files import make_folder


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    folder = Path(settings.output_path)
    make_folder(folder, "output_path")
    refuse_filled(folder, ["train", "valid", "valid_mask"])
    held_out = round(settings.val_split * settings.scene_num)
    training = range(settings.scene_num - held_out)
    draw_pairs(training, folder / "train", folder / "train", settings.scene_size, settings.seed)
    draw_pairs(range(len(training), settings.scene_num), folder / "valid", folder / "valid_mask", settings.scene_size,
               settings.seed)
    console.LOG.info("drew %d scenes for training and %d for validation into %s", len(training), held_out, folder)


if __name__ == "__main__":
    run_command(main)
