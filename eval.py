"""Scores a trained network on images with masks: figures, masks and overlays."""
from dlinknet import signals
signals.prepare(__name__)       # before all that takes long to import
from pathlib import Path

from dlinknet import config, console
from dlinknet.data.layouts import evaluation_set
from dlinknet.errors import run_command
from dlinknet.files import need_file, need_results_place, replacing_results, write_image
from dlinknet.jobs import as_job


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    folder = Path(settings.predict_path)
    need_results_place(settings.predict_path, "predict_path")
    need_file(settings.trained_ckpt, "trained_ckpt")
    classes, pairs = evaluation_set(settings)

    # What computes takes seconds to import: after the checks.
    from dlinknet.deploy.engines import open_model
    from dlinknet.evaluation import report
    from dlinknet.evaluation.predictor import Predictor, views_of
    from dlinknet.evaluation.scoring import score

    opened = open_model(settings.trained_ckpt, "trained_ckpt", settings)
    opened.need_classes(classes, settings.trained_ckpt, "trained_ckpt")
    console.LOG.info("%s", opened.device)
    console.LOG.info("%s from %s, %d images", opened.model, settings.trained_ckpt, len(pairs))
    predictor = Predictor(opened.engine, settings.tile_size, settings.tile_overlap, views_of(settings.tta, settings.augment),
                          resize=opened.preprocessing.resize)
    rows = []
    with replacing_results(folder, "predict_path") as results:
        (results / "overlays").mkdir()
        for scored in score(pairs, predictor, settings.threshold, "evaluation", classes=classes):
            write_image(results / f"{scored.pair.id}_mask.png", report.written_mask(scored.prediction, classes))
            write_image(results / "overlays" / f"{scored.pair.id}_overlay.jpg", report.picture(scored, classes))
            rows.append((scored.pair.id, scored.counts))
        lines = report.write_evaluation(rows, classes, results)
    console.LOG.info("masks, overlays, images.csv and figures.json are in %s", folder)
    console.show("\n".join(lines))


if __name__ == "__main__":
    run_command(as_job(main, ("data_path", "label_path", "class_table", "trained_ckpt"), "predict_path"), memory="--tile_size")
