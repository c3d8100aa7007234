"""Trains D-LinkNet or LinkNet on a folder of ID_sat.jpg and ID_mask.png. python train.py --help lists every setting."""
import json
import shlex
import sys
from pathlib import Path

from dlinknet import config, console
from dlinknet.data.pairs import read_pairs, split_pairs
from dlinknet.errors import UserError, run_command
from dlinknet.files import make_folder, write_text


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    training, validation = find_pairs(settings)
    make_folder(Path(settings.output_path), "output_path")

    # MindSpore takes seconds to import and reads its environment then: after the checks, and after runtime has set it.
    from dlinknet import runtime
    device = runtime.start(settings.device_target, settings.device_id, settings.seed)
    from dlinknet.data.loader import TrainingLoader
    from dlinknet.evaluation.predictor import Predictor
    from dlinknet.evaluation.scoring import score_all
    from dlinknet.models.linknet import BUILDERS
    from dlinknet.models.weights import load_encoder, read_checkpoint
    from dlinknet.training.checkpoint import RunFiles
    from dlinknet.training.loop import Trainer

    network = BUILDERS[settings.model_name](1)
    started_from = "encoder: random weights; pretrained_ckpt names a checkpoint to start from"
    if settings.pretrained_ckpt:
        checkpoint = read_checkpoint(settings.pretrained_ckpt, "pretrained_ckpt")
        started_from = load_encoder(checkpoint, network.encoder, "pretrained_ckpt")
    loader = TrainingLoader(training, settings.batch_size, settings.train_size, settings.augment, settings.seed,
                            settings.num_workers)
    predictor = Predictor(network)
    validate = (lambda: score_all(validation, predictor, settings.threshold, "validation")) if validation else None

    files = RunFiles(Path(settings.output_path), settings.log_name)
    aside = files.move_earlier_aside()
    console.log_to_file(files.path("train.log"))
    for line in (f"python {shlex.join(sys.argv)}", device, started_from,
                 f"{settings.model_name}: {len(training)} images to train on, {len(validation)} to validate on, "
                 f"batches of {settings.batch_size} x {loader.height} x {loader.width}",
                 *([f"an earlier run of this name was moved to {aside}"] if aside else [])):
        console.LOG.info("%s", line)
    write_text(files.path("config.yaml"), settings.as_yaml())
    split = {"train": [pair.id for pair in training], "valid": [pair.id for pair in validation]}
    write_text(files.path("split.json"), json.dumps(split, indent=1))
    Trainer(settings, network, loader, files, validate).run()


def find_pairs(settings: config.Config) -> tuple:
    """(training, validation) pairs as val_split or val_path says."""
    if settings.val_path and settings.val_split:
        raise UserError("val_split and val_path both name a validation set: give one of them")
    pairs = read_pairs(settings.data_path, settings.data_path, "data_path", "data_path")
    if not settings.val_path:
        return split_pairs(pairs, settings.val_split, settings.seed)
    return pairs, read_pairs(settings.val_path, settings.val_label_path or settings.val_path, "val_path", "val_label_path")


if __name__ == "__main__":
    run_command(main)
