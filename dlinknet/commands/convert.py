"""Convert weights of any known kind to a checkpoint of dlinknet, --file_name.

--trained_ckpt names a trained network. --pretrained_ckpt names an encoder for a training of
--model_name.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.data.preprocess import DLINKNET, INPUT
from dlinknet.devices import runtime
from dlinknet.errors import UserError, naming
from dlinknet.files.places import need_file, need_writable_folder


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="convert")
    console.start_log()
    key = "pretrained_ckpt" if settings.pretrained_ckpt else "trained_ckpt"
    source, target = getattr(settings, key), Path(settings.file_name)
    target = target if target.suffix == ".ckpt" else target.with_name(target.name + ".ckpt")
    with naming(key):
        need_file(source)
    with naming("file_name"):
        need_writable_folder(str(target.parent))
    if target.exists():
        raise UserError(f"file_name: {target} exists; name another file")

    runtime.start("CPU", 0, settings.seed)
    from dlinknet.checkpoints.load import load_trained, start_network
    from dlinknet.checkpoints.save import save

    if key == "trained_ckpt":
        with naming(key):
            network, card = load_trained(source, settings.model_name)
        what, parameters, about = (
            f"{card.model} from {source}",
            network.get_parameters(),
            card.to_dict(),
        )
    else:
        with naming(key):
            network, what = start_network(settings.model_name, source, settings.encoder_padding)
        parameters = network.encoder.get_parameters()
        about = {"padding": network.padding, "preprocessing": {**INPUT, **DLINKNET.to_dict()}}
    target.parent.mkdir(parents=True, exist_ok=True)
    save(target, parameters, about)
    console.LOG.info("%s; written to %s", what, target)


COMMAND = Command(main)
