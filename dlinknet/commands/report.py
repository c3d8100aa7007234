"""Write a report on a training and its evaluation: figures, curves, best and worst images."""

from pathlib import Path

from dlinknet import config, console
from dlinknet.commands.command import Command
from dlinknet.evaluation.run_report import read_run, write_report
from dlinknet.files.places import need_file
from dlinknet.files.results import replacing_results
from dlinknet.training.run import RunFiles


def main(arguments: list[str]) -> None:
    settings = config.load(arguments, __doc__, command="report")
    console.start_log()
    files = RunFiles(Path(settings.output_path), settings.log_name)
    need_file(str(files.path("config.yaml")), "output_path")
    asked = config.load([f"--config_path={files.path('config.yaml')}"], __doc__)
    run = read_run(settings.output_path, settings.log_name, settings.predict_path, asked)
    folder = files.path("report")
    with replacing_results(folder, "output_path") as results:
        write_report(run, results)
    console.LOG.info("the report is %s", folder / "report.md")


COMMAND = Command(main)
