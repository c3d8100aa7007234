"""Draw aerial scenes with road masks, for a first training without data.

--output_path receives the folders train, valid and valid_mask.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.data.pairs import LAYOUT
from dlinknet.data.synthetic import draw_pairs
from dlinknet.errors import UserError, naming
from dlinknet.files.places import need_writable_folder
from dlinknet.files.results import new_folders


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="draw-scenes")
    console.start_log()
    with naming("output_path"):
        need_writable_folder(settings.output_path)
    training = settings.scene_num - round(settings.val_split * settings.scene_num)
    if training == 0:
        raise UserError(
            f"val_split: {settings.val_split} of {settings.scene_num} scenes "
            "leaves none to train on"
        )
    with naming("output_path"), new_folders(Path(settings.output_path), LAYOUT) as folder:
        draw_pairs(
            range(training), folder / "train", folder / "train", settings.scene_size, settings.seed
        )
        draw_pairs(
            range(training, settings.scene_num),
            folder / "valid",
            folder / "valid_mask",
            settings.scene_size,
            settings.seed,
        )
    console.LOG.info(
        "drew %d scenes to train on and %d to validate on into %s",
        training,
        settings.scene_num - training,
        settings.output_path,
    )


COMMAND = Command(main)
