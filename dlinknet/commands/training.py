"""The parts of a training that the settings ask for: recipe, loader, network, validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dlinknet.commands.data_sets import preprocessing_of
from dlinknet.commands.resuming import fixed_settings
from dlinknet.config import Config
from dlinknet.data.class_weights import frequencies
from dlinknet.data.classes import Classes
from dlinknet.data.pairs import Pair
from dlinknet.devices import runtime
from dlinknet.devices.ranks import Ranks
from dlinknet.errors import naming
from dlinknet.threads import usable_cores
from dlinknet.training.recipe import Recipe

if TYPE_CHECKING:
    from dlinknet.checkpoints.model_card import ModelCard
    from dlinknet.data.loader import TrainingLoader
    from dlinknet.models.linknet import LinkNet
    from dlinknet.training.loop import Trainer

MOST_WORKERS = 8  # each thread holds a batch
DEVICES = 8  # of a server


def recipe_of(
    settings: Config, training: list[Pair], classes: Classes, folder: Path | None
) -> Recipe:
    """Return the recipe of the training.

    Args:
        folder: receives the counts of the classes, if class_weights requires them; None in a
            process that writes no files.
    """
    weights = None
    if settings.class_weights == "log":
        with naming("class_weights"):
            weights = tuple(frequencies(training, classes, folder).weights.tolist())
    return Recipe(
        settings.model_name,
        settings.epochs,
        settings.learning_rate,
        optimizer=settings.optimizer,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        schedule=settings.schedule,
        schedule_epochs=settings.schedule_epochs,
        schedule_factor=settings.schedule_factor,
        amp_level=settings.amp_level,
        init_loss_scale=settings.init_loss_scale,
        scale_factor=settings.scale_factor,
        scale_window=settings.scale_window,
        save_steps=settings.save_steps,
        class_weights=weights,
        seed=settings.seed,
        fixed=fixed_settings(settings),
    )


def loader_of(
    settings: Config, training: list[Pair], classes: Classes, ranks: Ranks
) -> TrainingLoader:
    """Return the loader of this process's part of each step.

    Raises:
        UserError: a step is too small for BatchNorm.
    """
    from dlinknet.data.loader import Batching, TrainingLoader, refuse_tiny_step

    height, width = settings.train_height or settings.train_size, settings.train_size
    batching = Batching(
        settings.batch_size,
        (height, width) if width else None,
        settings.augment,
        settings.seed,
        settings.num_workers or default_workers(ranks.size),
        # A CPU has nothing to copy to, and turns pixels into numbers faster before the graph.
        pixels=not runtime.computes_on("CPU"),
    )
    preprocessing = preprocessing_of(settings)
    loader = TrainingLoader(
        training, batching, classes, preprocessing, rank=ranks.rank, size=ranks.size
    )
    with naming("batch_size and train_size"):
        refuse_tiny_step(loader)
    return loader


def default_workers(ranks: int) -> int:
    """Return how many threads prepare the batches of one of several ranks.

    Args:
        ranks: the ranks of the training. A machine usually has at most DEVICES of them.
    """
    return max(1, min(MOST_WORKERS, usable_cores() // min(ranks, DEVICES)))


def starting_network(
    settings: Config, classes: Classes, resumed: ModelCard | None
) -> tuple[LinkNet, str]:
    """Return the network to train, and a line about the origin of its weights.

    Args:
        resumed: the card of the run to resume. The caller loads its weights later.

    Raises:
        UserError: a file of start weights cannot be used.
    """
    from dlinknet.checkpoints.load import start_network
    from dlinknet.checkpoints.model_card import ModelCard
    from dlinknet.training.start import load_for_fine_tuning

    model, outputs, decoder = settings.model_name, classes.outputs, settings.decoder
    if resumed is not None:
        return start_network(model, "", resumed.padding, outputs, decoder)
    if "trained_ckpt" not in settings.given:
        with naming("pretrained_ckpt"):
            return start_network(
                model, settings.pretrained_ckpt, settings.encoder_padding, outputs, decoder
            )
    wanted = ModelCard.for_classes(
        model,
        classes,
        padding=settings.encoder_padding,
        decoder=decoder,
        preprocessing=preprocessing_of(settings),
    )
    with naming("trained_ckpt"):
        return load_for_fine_tuning(settings.trained_ckpt, wanted, classes)


def validate(trainer: Trainer, settings: Config, pairs: list[Pair]) -> None:
    """Make a trainer score its network on a validation set after each epoch."""
    from dlinknet.evaluation.judging import judge_of
    from dlinknet.evaluation.scoring import score_all
    from dlinknet.inference.engines import NetworkEngine
    from dlinknet.inference.predictor import Predictor
    from dlinknet.inference.tiles import Tiling

    classes, preprocessing = trainer.loader.classes, trainer.loader.preprocessing
    engine = NetworkEngine(trainer.network, classes.outputs, preprocessing)
    tiling = Tiling(settings.tile_size, settings.tile_overlap, resize=preprocessing.resize)
    predictor = Predictor(engine, tiling)
    trainer.validate_with(
        lambda: score_all(
            pairs,
            predictor,
            settings.threshold,
            "validation",
            ranks=trainer.ranks,
            classes=classes,
        ),
        judge_of(classes).main_figures,
    )
