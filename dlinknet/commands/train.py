"""Train D-LinkNet or LinkNet on images and their masks.

Roads: a folder of ID_sat.jpg and ID_mask.png. Several classes: --data_layout and --class_table.
"""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.data.class_weights import frequencies
from dlinknet.data.layouts import training_sets
from dlinknet.data.pairs import mask_lines
from dlinknet.devices import runtime
from dlinknet.files.places import need_file, need_place
from dlinknet.training.resume import (
    data_identity,
    refuse_changes,
    resume_settings,
    starts_from,
)
from dlinknet.training.run import RunFiles


def main(arguments: list[str]) -> None:
    console.start_log()
    settings, resumed, start = config.load(arguments, __doc__, command="train"), None, None
    if settings.resume:
        resumed, settings = resume_settings(settings, arguments, __doc__)
    runtime.refuse_lonely(settings.run_distribute)
    need_place(settings.output_path, "output_path")
    for key in starts_from(settings, bool(resumed)):
        need_file(getattr(settings, key), key)
    classes, training, validation = training_sets(settings)
    identity = data_identity(training, validation, classes)
    # MindSpore takes seconds to import and reads its environment then: after the checks, and after runtime has set it.
    device = runtime.start(
        settings.device_target,
        settings.device_id,
        settings.seed,
        settings.tf32,
        settings.run_distribute,
    )
    from dlinknet.data.loader import make_loader
    from dlinknet.devices.ranks import Ranks
    from dlinknet.evaluation.scoring import validation_of
    from dlinknet.training.loop import Trainer
    from dlinknet.training.start import starting_network
    from dlinknet.training.stopped import read_newest

    if resumed:
        start = read_newest(resumed.checkpoints, "resume")
        refuse_changes(start.saved, settings, identity, start.file)
    network, weights_line = starting_network(settings, classes, start.card if resumed else None)
    ranks = Ranks(device.rank, device.size)
    loader = make_loader(settings, training, classes, ranks.rank, ranks.size)
    files = RunFiles(Path(settings.output_path), settings.log_name)
    weights = (
        frequencies(training, classes, files.folder, ranks.first).weights
        if settings.class_weights == "log"
        else None
    )
    trainer = Trainer(
        settings,
        network,
        loader,
        files,
        validation_of(settings, network, validation, classes, loader.preprocessing, ranks),
        identity,
        ranks,
        weights,
    )
    if resumed:
        trainer.resume(start, resumed.files)
    trainer.agree()
    with files.held(settings, training, validation, resumed, start and start.file, ranks.first):
        for line in (
            "python train.py " + console.command_line(arguments),
            device,
            *([] if resumed else [weights_line]),
            *mask_lines(training, classes, "training masks"),
            *mask_lines(validation, classes, "validation masks"),
        ):
            console.LOG.info("%s", line)
        console.LOG.info(
            "%s: %d images to train on, %d to validate on, batches of %d x %d x %d",
            settings.model_name,
            len(training),
            len(validation),
            loader.step_images,
            loader.height,
            loader.width,
        )
        trainer.run()


COMMAND = Command(
    main,
    inputs=(
        "data_path",
        "label_path",
        "val_path",
        "val_label_path",
        "class_table",
        "pretrained_ckpt",
        "trained_ckpt",
    ),
    output="output_path",
)
