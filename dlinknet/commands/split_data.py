"""Split --data_path into the folders train, valid and valid_mask below --output_path.

The split depends only on --seed and on the IDs. The folders are those of the model zoo's D-LinkNet.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.data.pairs import read_pairs, split_pairs, write_split
from dlinknet.errors import UserError, naming
from dlinknet.files.places import need_writable_folder


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="split-data")
    console.start_log()
    if settings.val_split == 0:
        raise UserError(
            "val_split is 0, which holds nothing out: the model zoo's D-LinkNet uses "
            "--val_split=0.1"
        )
    with naming("output_path"):
        need_writable_folder(settings.output_path)
    with naming("data_path"):
        pairs = read_pairs(settings.data_path, settings.data_path)
    with naming("val_split"):
        training, validation = split_pairs(pairs, settings.val_split, settings.seed)
    folder = Path(settings.output_path)
    with naming("output_path"):
        write_split(training, validation, folder, link=settings.split_files == "link")
    console.LOG.info(
        "%d pairs in %s/train, %d in valid and valid_mask", len(training), folder, len(validation)
    )


COMMAND = Command(main)
