"""Scores a trained network on images with masks: figures, masks and overlays. python eval.py --help lists every setting."""
from pathlib import Path

import cv2

from dlinknet import config, console
from dlinknet.data.pairs import read_pairs
from dlinknet.errors import UserError, run_command
from dlinknet.files import make_folder, refuse_foreign, replacing_results


def main(arguments: list) -> None:
    settings = config.load(arguments, __doc__)
    console.start_log()
    folder = Path(settings.predict_path)
    if folder == Path("."):
        raise UserError("predict_path is required: name a folder for masks and figures with --predict_path=FOLDER")
    refuse_foreign(folder, "predict_path")
    pairs = read_pairs(settings.data_path, settings.label_path, "data_path", "label_path")

    # MindSpore takes seconds to import and reads its environment then: after the checks, and after runtime has set it.
    from dlinknet import runtime
    device = runtime.start(settings.device_target, settings.device_id, settings.seed)
    from dlinknet.evaluation import report
    from dlinknet.evaluation.predictor import Predictor
    from dlinknet.evaluation.scoring import score
    from dlinknet.models.linknet import BUILDERS
    from dlinknet.models.weights import load_network, read_checkpoint

    checkpoint = read_checkpoint(settings.trained_ckpt, "trained_ckpt")
    model = checkpoint.meta.get("model", settings.model_name)
    network = BUILDERS[model](1)
    load_network(checkpoint, network, "trained_ckpt")
    make_folder(folder, "predict_path")
    console.LOG.info("%s", device)
    console.LOG.info("%s from %s, %d images", model, checkpoint.file, len(pairs))

    rows = []
    with replacing_results(folder) as results:
        (results / "overlays").mkdir()
        for scored in score(pairs, Predictor(network, settings.tta), settings.threshold, "evaluation"):
            cv2.imwrite(str(results / f"{scored.pair.id}_mask.png"), scored.prediction * 255)
            cv2.imwrite(str(results / "overlays" / f"{scored.pair.id}_overlay.jpg"), report.overlay(scored))
            rows.append((scored.pair.id, scored.counts))
        total = sum(counts for _, counts in rows)
        report.write_image_csv(rows, results / "images.csv")
        report.write_figures(total, len(rows), results / "figures.json")
    print("\n".join(report.figure_lines(total)))
    console.LOG.info("masks, overlays, images.csv and figures.json are in %s", folder)


if __name__ == "__main__":
    run_command(main)
