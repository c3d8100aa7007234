"""Write a report on a training and its evaluation: figures, curves, best and worst images."""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.config import Config
from dlinknet.errors import naming
from dlinknet.evaluation.run_report import write_report
from dlinknet.evaluation.run_tables import read_run
from dlinknet.files.places import need_file
from dlinknet.files.results import replacing_results
from dlinknet.training.run import RunFiles


def main(arguments: list[str]) -> None:
    """Run the command on its arguments."""
    settings = config.load(arguments, __doc__, command="report")
    console.start_log()
    files = RunFiles(Path(settings.output_path), settings.log_name)
    with naming("output_path"):
        need_file(str(files.path("config.yaml")))
    asked = config.load([f"--config_path={files.path('config.yaml')}"], __doc__)
    with naming("output_path or predict_path"):
        run = read_run(
            files.folder,
            files.log_name,
            Path(settings.predict_path),
            f"{asked.model_name} on {asked.data_path}",
            course_of(asked),
        )
    folder = files.path("report")
    with naming("output_path"), replacing_results(folder) as results:
        write_report(run, results)
    console.LOG.info("the report is %s", folder / "report.md")


def course_of(asked: Config) -> str:
    """Return the kind of training in words that follow "N epochs of"."""
    height, width = asked.train_height or asked.train_size, asked.train_size
    size = f"{width}x{height} crops" if width else "whole images"
    start = (
        f"encoder from {asked.pretrained_ckpt}" if asked.pretrained_ckpt else "random start weights"
    )
    return (
        f"{size}, batches of {asked.batch_size}, {asked.optimizer} from {asked.learning_rate:g}, "
        f"schedule '{asked.schedule}', augmentation '{asked.augment}', {start}, seed {asked.seed}"
    )


COMMAND = Command(main)
