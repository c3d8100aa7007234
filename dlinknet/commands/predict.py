"""Predict images without masks: a folder, or one image of any size."""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.config import Config
from dlinknet.errors import RunFailed, name_some, naming
from dlinknet.files.places import need_file
from dlinknet.files.results import adding_results, need_results_folder
from dlinknet.images.files import ImageFile, find_images, turned_line
from dlinknet.threads import BackgroundWriter


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="predict")
    console.start_log()
    images = _find_images(settings)

    # The import of MindSpore needs seconds, and so the checks come first.
    from dlinknet.commands.prediction import open_trained, predictor_of
    from dlinknet.inference.predict_images import predict
    from dlinknet.inference.write_predictions import PredictionFiles

    opened = open_trained(settings, settings.trained_ckpt)
    predictor = predictor_of(settings, opened)
    console.LOG.info("%s", opened.device)
    console.LOG.info("%s from %s, %d images", opened.card.model, settings.trained_ckpt, len(images))
    if line := turned_line(images):
        console.LOG.info("%s", line)
    folder = Path(settings.predict_path)
    with naming("probabilities"):
        files = PredictionFiles(folder, settings.probabilities, settings.overlays, opened.classes)
    images, faults = files.checked(images), []
    sound = [image for image in images if not image.fault]
    names = [files.TABLE, *(name for image in sound for name in files.names(image))]
    with naming("predict_path"), adding_results(folder, names, files.written):
        with BackgroundWriter() as writer:
            for predicted in predict(images, predictor, settings.threshold, settings.probabilities):
                if predicted.fault:
                    faults.append(predicted.fault)
                    console.LOG.info("left out %s", predicted.fault)
                writer.do(files.write, predicted)
        files.write_table()
    console.LOG.info("%d masks and %s are in %s", len(images) - len(faults), files.TABLE, folder)
    if faults:
        raise RunFailed(
            f"{len(faults)} of {len(images)} images could not be predicted ({name_some(faults)})"
        )


def _find_images(settings: Config) -> list[ImageFile]:
    """Return the images to predict.

    Raises:
        UserError: there is no image or no model, or the results cannot be written.
    """
    with naming("predict_path"):
        need_results_folder(settings.predict_path)
    with naming("trained_ckpt"):
        need_file(settings.trained_ckpt)
    with naming("data_path"):
        return find_images(settings.data_path)


COMMAND = Command(
    main, memory="--tile_size", inputs=("data_path", "trained_ckpt"), output="predict_path"
)
