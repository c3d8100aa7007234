"""Convert an ONNX file to an OM file for an Ascend, with CANN's atc.

--trained_ckpt names an ONNX file that export.py wrote.
"""

import re
from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.errors import UserError, naming
from dlinknet.export.om import convert, find_atc
from dlinknet.files.places import need_file, need_writable_folder

CHIP = re.compile(r"Ascend[0-9]\w*")


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="convert-om")
    console.start_log()
    model = Path(settings.trained_ckpt)
    with naming("trained_ckpt"):
        need_file(settings.trained_ckpt)
    if model.suffix.lower() != ".onnx":
        raise UserError(f"trained_ckpt must name an .onnx file, not {model}")
    if not CHIP.fullmatch(settings.soc_version):
        raise UserError(
            "soc_version must name the chip, as in Ascend310P3 or Ascend910B3 (npu-smi info shows "
            f"it), not '{settings.soc_version[:60]}'"
        )
    target = model.with_suffix(".om")
    with naming("trained_ckpt"):
        need_writable_folder(str(target.parent))
    if target.is_dir():
        raise UserError(f"trained_ckpt: {target} is a folder")
    atc = find_atc()
    console.LOG.info("%s converts %s; this may take minutes", atc, model)
    with naming("trained_ckpt"):
        convert(atc, model, target, settings.soc_version, settings.om_precision)
    console.LOG.info(
        "%s and %s.json are written, for %s; compare its probabilities with those of the "
        "checkpoint on your card before you use it",
        target,
        target.name,
        settings.soc_version,
    )


COMMAND = Command(main)
