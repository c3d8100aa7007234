"""Trains D-LinkNet or LinkNet on a folder of ID_sat.jpg and ID_mask.png."""
import shlex
import sys
from pathlib import Path

from dlinknet import config, console
from dlinknet.data.pairs import training_sets
from dlinknet.errors import run_command
from dlinknet.files import need_file, need_place


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    need_place(settings.output_path, "output_path")
    if settings.pretrained_ckpt:
        need_file(settings.pretrained_ckpt, "pretrained_ckpt")
    training, validation = training_sets(settings)

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
    encoder = "encoder: random weights; --pretrained_ckpt=FILE starts from trained ones"
    if settings.pretrained_ckpt:
        encoder = load_encoder(read_checkpoint(settings.pretrained_ckpt, "pretrained_ckpt"), network.encoder, "pretrained_ckpt")
    loader = TrainingLoader(training, settings.batch_size, settings.train_size, settings.augment, settings.seed,
                            settings.num_workers)
    predictor = Predictor(network)

    def validate() -> dict:
        return score_all(validation, predictor, settings.threshold, "validation")

    files = RunFiles(Path(settings.output_path), settings.log_name)
    with files.held(settings, training, validation):
        console.LOG.info("python %s", shlex.join(sys.argv))
        console.LOG.info("%s", device)
        console.LOG.info("%s", encoder)
        console.LOG.info("%s: %d images to train on, %d to validate on, batches of %d x %d x %d", settings.model_name,
                         len(training), len(validation), settings.batch_size, loader.height, loader.width)
        Trainer(settings, network, loader, files, validate if validation else None).run()


if __name__ == "__main__":
    run_command(main)
