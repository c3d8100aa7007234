"""Run a command as a ModelArts job: download its inputs, run it, upload its outputs.

The command itself runs on local files, as outside of a job. The value of a setting comes from the
arguments, else from an environment variable of the same name, else from the YAML file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from dlinknet import config, console, signals
from dlinknet.cloud import transfer
from dlinknet.cloud.earlier_run import FETCHED, bring_run, find_run
from dlinknet.cloud.given import given_settings
from dlinknet.cloud.inputs import Choice, Inputs, choose_checkpoint, choose_yaml, data_root
from dlinknet.cloud.job_places import CHECKPOINT, DATA, TRAIN, JobPlaces
from dlinknet.cloud.node import CacheError, Node
from dlinknet.cloud.open_store import open_store
from dlinknet.cloud.outputs import NEWEST, Outputs
from dlinknet.cloud.store import Store, canonical, is_remote, join
from dlinknet.console import LOG
from dlinknet.devices.launcher import writes
from dlinknet.errors import RunFailed, UserError, naming

DATA_SETS = ("data_path", "label_path", "val_path", "val_label_path")
CHECKPOINTS = ("trained_ckpt", "pretrained_ckpt")


@dataclass(frozen=True)
class Command:
    """A command that can run as a job.

    main: runs it on a command line. inputs: the settings that name its inputs. output: the setting
    that names its output: a folder, or (file_name) a file. name: the command's name, such as
    'train'.
    """

    main: Callable[[list[str]], None]
    inputs: tuple[str, ...]
    output: str
    name: str

    @property
    def trains(self) -> bool:
        """True for the command that resumes the run at train_url and may have many processes."""
        return self.name == "train"


def run(
    command: Command, arguments: list[str], environment: Mapping[str, str] = os.environ
) -> None:
    """Run a command as a job.

    Raises:
        UserError, RunFailed: the command raised it, or a transfer failed.
    """
    console.start_log()
    values, unknown = given_settings(command.name, arguments, environment)
    first = writes(environment)
    if first:
        # The command's own log shows the settings that the job gives it.
        LOG.info("job: %s %s", command.name, console.command_line(arguments))
    if first and unknown:
        LOG.info(
            "these arguments are no settings of this command and are ignored: %s",
            console.command_line(unknown),
        )
    if not first and not command.trains:
        LOG.info("this process has nothing to do: the job's first process does all the work")
        return
    Job(command, values, environment, first).run()


class Job:
    """One process of a job.

    Args:
        values: settings as text.
        first: True for the process that uploads the outputs.
    """

    def __init__(
        self, command: Command, values: dict[str, str], environment: Mapping[str, str], first: bool
    ):
        self.command, self.environment, self.first = command, environment, first
        self._store: Store | None = None
        default_cache = Path(config.load([], "").cache_path)
        self.values = {**values, config.JOB: "False"}  # the command itself runs as it always does
        if values.get("config_path"):
            inputs = self._inputs(values.get("cache_path") or default_cache)
            with _naming("config_path"):
                file = inputs.path(values["config_path"], "config_path", choose=choose_yaml)
            self.values["config_path"] = str(file)
        self.settings = config.load(self._arguments(), "")
        cache, url = Path(self.settings.cache_path), self.settings.train_url
        self.inputs = self._inputs(cache)
        out = Path(url).expanduser() if url and not is_remote(url) else cache / TRAIN
        self.places = JobPlaces(cache, default_cache, out)
        self.resumes = bool(self.settings.resume)
        if is_remote(self.settings.resume):
            raise UserError(
                "resume: a job goes on with the training at train_url by itself; leave it out"
            )

    def run(self) -> None:
        """Download the inputs, run the command, upload the outputs.

        Raises:
            UserError, RunFailed: the command raised it, or a transfer failed.
        """
        url, known = self.settings.train_url, []
        if url:
            with _naming("train_url"):
                known = self._prepare_output()
            self._use_output()
        else:
            LOG.info("train_url is empty: the outputs stay on this machine")
        for setting in self.command.inputs:
            if self._needs(setting):
                self._bring(setting)
        if is_remote(url) and self.first:
            self._run_and_upload(known)
        else:
            self.command.main(self._arguments())

    def _run_and_upload(self, known: list[str]) -> None:
        """Run the command, and upload its outputs meanwhile and at its end.

        Args:
            known: the files that came from train_url.
        """
        url, whole = self.settings.train_url, self.command.trains
        outputs = Outputs(self._open(), self.places.out, url, whole, known)
        with signals.rescuing(outputs.rescue):
            outputs.start()
            try:
                self.command.main(self._arguments())
            except BaseException:
                with _reported(), naming("train_url"):
                    outputs.finish()
                raise
            with naming("train_url"):
                outputs.finish()

    def _needs(self, setting: str) -> bool:
        """Return whether the command will read the files that a setting names."""
        if not self.command.trains:
            return True
        if setting == "trained_ckpt":
            # Only the job's own value counts: one YAML file may serve several jobs.
            return setting in self.values
        if setting == "pretrained_ckpt":  # a resumed run contains it already
            return not self.resumes and "trained_ckpt" not in self.values
        if setting == "label_path":
            # DeepGlobe's masks are usually beside the images. A local path in a YAML file may be
            # meant for evaluation.
            return (
                setting in self.values
                or self.settings.data_layout != "deepglobe"
                or is_remote(self.settings.label_path)
            )
        return True

    def _prepare_output(self) -> list[str]:
        """Make the folder of the outputs. Return the files in it that came from train_url."""
        url = self.settings.train_url
        if not is_remote(url):
            self.places.out.mkdir(parents=True, exist_ok=True)
            return []

        def bring(last: Any) -> dict[str, Any]:
            log_name, trains = self.settings.log_name, self.command.trains
            run = find_run(self._open(), url, log_name) if trains else {}
            return bring_run(self._open(), url, run, self.places.out, last)

        made = self.inputs.node.once(TRAIN, canonical(url), bring, FETCHED)
        if self.first:
            transfer.probe(self._open(), url, self.places.cache)
        return list(made["state"])

    def _use_output(self) -> None:
        """Let the command write to the folder of the outputs, and resume a run in this folder."""
        setting, log_name = self.command.output, self.settings.log_name
        self.values[setting] = str(self._place_of_output(getattr(self.settings, setting)))
        newest = self.places.out / f"{log_name}{NEWEST}"
        if not self.command.trains or self.resumes or not newest.exists():
            return
        LOG.info(
            "going on with the training that is at %s; another train_url or log_name starts a new "
            "one",
            self.settings.train_url,
        )
        self.resumes, self.values["resume"] = True, str(newest)
        self.values.pop("trained_ckpt", None)  # only a new run starts from it
        own = newest.with_name(f"{log_name}_config.yaml")
        values = config.read_values(own) if own.exists() else {}
        self.values["pretrained_ckpt"] = values.get("pretrained_ckpt", "")

    def _place_of_output(self, value: str) -> Path:
        """Return the path on this machine for the output that a setting names.

        Raises:
            UserError: the value is a URL, or names no file although the command writes a file.
        """
        setting = self.command.output
        is_file = setting == "file_name"
        if is_remote(value):
            raise UserError(f"{setting}: outputs go to OBS with --train_url={value}")
        below = self.places.below(value, TRAIN)
        if is_file and (os.path.basename(value) in ("", ".", "..") or below == Path()):
            raise UserError(f"file_name must name a file, not '{value}'")
        return self.places.of_output(value, is_file)

    def _bring(self, setting: str) -> None:
        """Download or unpack the input that a setting names, and set the setting to its path."""
        value, is_data = getattr(self.settings, setting), setting in DATA_SETS
        choose = choose_checkpoint if setting in CHECKPOINTS else None
        if is_remote(value):
            path = self._fetch(setting, value, setting, choose)
        elif setting == "label_path" and Path(value) == Path("."):
            path = Path(self.values.get("data_path", self.settings.data_path))
        elif is_data and self.settings.data_url and self._means(setting, value, DATA):
            path = self._fetch("data_url", self.settings.data_url, DATA)
            below = self.places.below(value, DATA)
            if path.is_dir() and below:
                path = path / below if (path / below).exists() else data_root(path) / below
        elif choose and self.settings.checkpoint_url and self._means(setting, value, CHECKPOINT):
            source, below = self.settings.checkpoint_url, self.places.below(value, CHECKPOINT)
            if below and below != Path() and not source.rstrip("/").endswith(f"/{below}"):
                source = join(source, str(below))
            path = self._fetch("checkpoint_url", source, CHECKPOINT, choose)
        elif value and (is_data or choose):
            path = self._fetch(setting, value, setting, choose)
        else:
            return  # empty, or a name that the command itself resolves
        self.values[setting] = str(data_root(path) if is_data else path)

    def _fetch(self, setting: str, source: str, place: str, choose: Choice | None = None) -> Path:
        """Return the path on this machine of a source. Errors name the setting."""
        unpacks = setting == "data_url" or setting in DATA_SETS
        with _naming(setting):
            return self.inputs.path(source, place, unpacks, choose)

    def _means(self, setting: str, value: str, place: str) -> bool:
        """Return whether a setting means the source that data_url or checkpoint_url names.

        That is so if its path is in that source's folder, or if nothing is at its path.
        """
        nothing = setting in ("data_path", *CHECKPOINTS) and not (value and Path(value).exists())
        return nothing or self.places.below(value, place) is not None

    def _inputs(self, cache: Any) -> Inputs:
        return Inputs(Node(Path(cache).expanduser()), self._open)

    def _open(self) -> Store:
        """Return the store. The first call opens it."""
        if self._store is None:
            with naming("enable_modelarts"):
                self._store = open_store(self.environment)
        return self._store

    def _arguments(self) -> list[str]:
        return [f"--{setting}={value}" for setting, value in self.values.items()]


@contextmanager
def _naming(setting: str) -> Iterator[None]:
    """Add the name of `setting` to the errors of the block, or cache_path if it is the cause."""
    with naming(setting):
        try:
            yield
        except CacheError as error:
            with naming("cache_path"):
                raise error


@contextmanager
def _reported() -> Iterator[None]:
    """Log an error of the block in one line, because another error ends the command."""
    try:
        yield
    except (UserError, RunFailed, OSError) as error:
        LOG.info("%s", error)
