"""Scores a trained network on images with masks: figures, masks and overlays."""
from pathlib import Path

from dlinknet import config, console
from dlinknet.data.pairs import read_pairs
from dlinknet.errors import run_command
from dlinknet.files import need_file, need_results_place, replacing_results, write_image
from dlinknet.jobs import as_job


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    folder = Path(settings.predict_path)
    need_results_place(settings.predict_path, "predict_path")
    need_file(settings.trained_ckpt, "trained_ckpt")
    pairs = read_pairs(settings.data_path, settings.label_path, "data_path", "label_path")

    # What computes takes seconds to import: after the checks.
    from dlinknet.deploy.engines import open_model
    from dlinknet.evaluation import report
    from dlinknet.evaluation.predictor import Predictor
    from dlinknet.evaluation.scoring import score

    opened = open_model(settings.trained_ckpt, "trained_ckpt", settings)
    console.LOG.info("%s", opened.device)
    console.LOG.info("%s from %s, %d images", opened.model, settings.trained_ckpt, len(pairs))
    predictor = Predictor(opened.engine, settings.tile_size, settings.tile_overlap, settings.tta)
    rows = []
    with replacing_results(folder, "predict_path") as results:
        (results / "overlays").mkdir()
        for scored in score(pairs, predictor, settings.threshold, "evaluation"):
            write_image(results / f"{scored.pair.id}_mask.png", scored.prediction * 255)
            write_image(results / "overlays" / f"{scored.pair.id}_overlay.jpg", report.overlay(scored))
            rows.append((scored.pair.id, scored.counts))
        total = sum(counts for _, counts in rows)
        report.write_image_csv(rows, results / "images.csv")
        report.write_figures(total, len(rows), results / "figures.json")
    print("\n".join(report.figure_lines(total)))
    console.LOG.info("masks, overlays, images.csv and figures.json are in %s", folder)


if __name__ == "__main__":
    run_command(as_job(main, ("data_path", "label_path", "trained_ckpt"), "predict_path"))
