"""Score a trained network on images with masks, and write figures, masks and overlays."""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.commands.data_sets import evaluation_set
from dlinknet.config import Config
from dlinknet.data.pairs import mask_lines
from dlinknet.errors import naming
from dlinknet.files.places import need_file, refuse_misnamed
from dlinknet.files.results import need_results_folder, replacing_results
from dlinknet.images.write import write_image


def pictures_of(id: str) -> tuple[str, str]:
    """Return the names of an image's mask and overlay, relative to the folder of results."""
    return f"{id}_mask.png", f"overlays/{id}_overlay.jpg"


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="eval")
    console.start_log()
    folder = Path(settings.predict_path)
    _refuse_early(settings)
    classes, pairs = evaluation_set(settings)
    names = [name for pair in pairs for name in pictures_of(pair.id)]
    with naming("predict_path"):
        refuse_misnamed(folder, names, "a result would be", "rename the image and its mask")

    # The import of MindSpore needs seconds, and so the checks come first.
    from dlinknet.commands.prediction import open_trained, predictor_of
    from dlinknet.evaluation.judging import judge_of
    from dlinknet.evaluation.scoring import score
    from dlinknet.evaluation.tables import write_evaluation

    opened = open_trained(settings, settings.trained_ckpt)
    with naming("trained_ckpt"):
        opened.need_classes(classes, settings.trained_ckpt)
    console.LOG.info("%s", opened.device)
    console.LOG.info("%s from %s, %d images", opened.card.model, settings.trained_ckpt, len(pairs))
    predictor = predictor_of(settings, opened)
    for line in mask_lines(pairs, classes, "masks"):
        console.LOG.info("%s", line)
    judge, rows = judge_of(classes), []
    with naming("predict_path"), replacing_results(folder) as results:
        (results / "overlays").mkdir()
        with naming("data_path"):
            for scored in score(
                pairs, predictor, settings.threshold, "evaluation", classes=classes
            ):
                mask, overlay = pictures_of(scored.pair.id)
                write_image(results / mask, classes.written_mask(scored.prediction))
                write_image(results / overlay, judge.picture(scored))
                rows.append((scored.pair.id, scored.counts))
        lines = write_evaluation(rows, judge, results)
    console.LOG.info("masks, overlays, images.csv and figures.json are in %s", folder)
    console.show("\n".join(lines))


def _refuse_early(settings: Config) -> None:
    """Raise UserError for mistakes that are visible before any data is read."""
    with naming("predict_path"):
        need_results_folder(settings.predict_path)
    with naming("trained_ckpt"):
        need_file(settings.trained_ckpt)


COMMAND = Command(
    main,
    memory="--tile_size",
    inputs=("data_path", "label_path", "class_table", "trained_ckpt"),
    output="predict_path",
)
