"""A command as a ModelArts job: its inputs are brought here, it runs on local files as it always does, its outputs are taken away.

Values come from the arguments, else from environment variables of the same name, else from the YAML file. Where a thing lies
on this machine, cache_path is its parent and these folders stand for it, whether it was brought there or lies elsewhere:

    data                data_url
    checkpoint_path     checkpoint_url
    train               train_url
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from dlinknet import config, console, signals
from dlinknet.cloud import transfer
from dlinknet.cloud.inputs import Inputs, data_root, the_weights, the_yaml
from dlinknet.cloud.node import Node
from dlinknet.cloud.outputs import LEFT, NEWEST, Outputs
from dlinknet.cloud.store import Store, is_remote, join, open_store, same
from dlinknet.console import LOG
from dlinknet.devices.launcher import writes
from dlinknet.errors import RunFailed, UserError

DATA, CHECKPOINT, TRAIN = "data", "checkpoint_path", "train"
FETCHED = {"state": dict, "made": dict}  # what is recorded of a run that was brought
DATA_SETS = ("data_path", "label_path", "val_path", "val_label_path")


@dataclass(frozen=True)
class Command:
    """What a job has to know of a command.

    Args:
        main: runs it on a command line.
        inputs: the settings that name what it reads.
        output: the setting that names what it writes: a folder, or (file_name) a file.
        name: the command's, as in 'train'.
    """

    main: Callable[[list[str]], None]
    inputs: tuple[str, ...]
    output: str
    name: str

    @property
    def trains(self) -> bool:
        """Whether it goes on with what it finds at train_url, and may be one of many processes."""
        return self.name == "train"


def run(
    command: Command, arguments: list[str], environment: Mapping[str, str] = os.environ
) -> None:
    """Runs a command as a job.

    Raises:
        UserError, RunFailed: what the command raises, or a transfer that cannot be made.
    """
    console.start_log()
    values, unknown = _given(command, arguments, environment)
    first = writes(environment)
    if first and unknown:
        LOG.info(
            "arguments that are no settings of this command, which nothing was done with: %s",
            console.command_line(unknown),
        )
    if not first and not command.trains:
        LOG.info("this is not the first of the job's processes, and one is enough")
        return
    Job(command, values, environment, first).run()


def _given(
    command: Command, arguments: list[str], environment: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """(the keys of the command that arguments and environment give, as text; arguments that are none).

    A console's parameters are often shared by jobs, so that one of another command is no mistake here.
    """
    given, unknown = config.split(arguments, "")
    said = {key: environment[key] for key in (*config.TYPES, "config_path") if environment.get(key)}
    for key, value in said.items():
        if key != "config_path":
            config.check(key, value, "environment variable")
    values = {**said, **given}
    others = [key for key in values if key != "config_path" and not config.uses(command.name, key)]
    return {key: value for key, value in values.items() if key not in others}, [
        *unknown,
        *(f"--{key}={values[key]}" for key in others),
    ]


class Job:
    """One process of a job.

    Args:
        values: settings as text, by their keys.
        first: whether it is the process that takes the outputs away.
    """

    def __init__(
        self, command: Command, values: dict[str, str], environment: Mapping[str, str], first: bool
    ):
        self.command, self.environment, self.first = command, environment, first
        self._store: Store | None = None
        self.default_cache = Path(config.load([], "").cache_path)
        self.values = {**values, config.JOB: "False"}  # the command itself runs as it always does
        if values.get("config_path"):
            inputs = self._inputs(values.get("cache_path") or self.default_cache)
            self.values["config_path"] = str(
                inputs.path("config_path", values["config_path"], "config_path", choose=the_yaml)
            )
        self.settings = config.load(self._arguments(), "")
        self.cache = Path(self.settings.cache_path)
        self.inputs = self._inputs(self.cache)
        url = self.settings.train_url
        self.out = Path(url).expanduser() if url and not is_remote(url) else self.cache / TRAIN
        self.resumes = bool(self.settings.resume)
        if is_remote(self.settings.resume):
            raise UserError(
                "resume: a job goes on with the training at train_url by itself; leave it out"
            )

    def run(self) -> None:
        """Brings, runs, takes away."""
        url, known = self.settings.train_url, []
        if url:
            known = self._prepare_output()
        else:
            LOG.info("train_url is empty: the outputs stay on this machine")
        for key in self.command.inputs:
            if self._needs(key):
                self._bring(key)
        if not (is_remote(url) and self.first):
            self.command.main(self._arguments())
            return
        outputs = Outputs(
            self._open(), self.out, url, self.cache / ".upload", self.command.trains, known
        )
        with signals.rescuing(outputs.rescue):
            outputs.start()
            try:
                self.command.main(self._arguments())
            except BaseException:
                with _reported():
                    outputs.finish()
                raise
            outputs.finish()

    def _needs(self, key: str) -> bool:
        """Whether the command will read what a setting names."""
        if not self.command.trains:
            return True
        if (
            key == "trained_ckpt"
        ):  # it is fine-tuned if the job names it, not if a YAML file that serves all jobs does
            return key in self.values
        if key == "pretrained_ckpt":  # a run that goes on has it already
            return not self.resumes and "trained_ckpt" not in self.values
        if key == "label_path":  # likewise: DeepGlobe's masks usually lie beside the images
            return (
                key in self.values
                or self.settings.data_layout != "deepglobe"
                or is_remote(self.settings.label_path)
            )
        return True

    def _prepare_output(self) -> list[str]:
        """Has the command write where the outputs are taken from; returns the files that came from there."""
        url, key, known = self.settings.train_url, self.command.output, []
        if is_remote(url):
            known = list(self.inputs.node.once(TRAIN, same(url), self._fetch_run, FETCHED)["state"])
            if self.first:
                transfer.probe(self._open(), "train_url", url, self.cache)
        else:
            self.out.mkdir(parents=True, exist_ok=True)
        self.values[key] = str(self._place_of_output(getattr(self.settings, key)))
        newest = self.out / f"{self.settings.log_name}{NEWEST}"
        if self.command.trains and not self.resumes and newest.exists():
            LOG.info(
                "going on with the training that is at %s; another train_url or log_name starts a new one",
                url,
            )
            self.resumes, self.values["resume"] = True, str(newest)
            self.values.pop(
                "trained_ckpt", None
            )  # what it was fine-tuned from is in its own weights
            own = newest.with_name(f"{self.settings.log_name}_config.yaml")
            self.values["pretrained_ckpt"] = (
                config.read_values(own).get("pretrained_ckpt", "") if own.exists() else ""
            )
        return known

    def _fetch_run(self, last: Any) -> dict[str, Any]:
        """Makes the folder of the outputs anew, with the files of a run that can go on, as they are in the store.

        A process of the same start that comes later finds it as it was made, and leaves it. What an earlier job wrote here is
        moved aside: the store decides, for it is what all nodes see.
        """
        name, url = self.settings.log_name, self.settings.train_url
        found = transfer.contents(self._open(), "train_url", url) if self.command.trains else {}
        if f"{name}{NEWEST}" not in found:
            found = {}
        found = {
            path: what
            for path, what in found.items()
            if path.startswith(f"{name}_") and "/" not in path and not path.endswith(LEFT)
        }
        state = {path: asdict(what) for path, what in found.items()}
        if (
            last
            and last["state"] == state
            and self.out.is_dir()
            and _states(self.out) == last["made"]
        ):
            return last
        if self.out.exists() and any(self.out.iterdir()):
            aside = self.out.with_name(f"{TRAIN}_before")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(self.out, aside)
            LOG.info("what an earlier job wrote to %s is now in %s", self.out, aside)
        self.out.mkdir(parents=True, exist_ok=True)
        for path, what in found.items():
            transfer.get_file(self._open(), "train_url", join(url, path), what, self.out / path)
        return {"state": state, "made": _states(self.out)}

    def _place_of_output(self, value: str) -> Path:
        """Where an output goes: a relative path, or one below 'train', stands for a place at train_url, any other for train_url.

        Raises:
            UserError: it is a URL, or names no file where one is asked for.
        """
        key = self.command.output
        if is_remote(value):
            raise UserError(f"{key}: outputs go to OBS with --train_url={value}")
        path, below = Path(value), self._below(value, TRAIN)
        if key == "file_name" and (os.path.basename(value) in ("", ".", "..") or below == Path()):
            raise UserError(f"file_name must name a file, not '{value}'")
        if below is None and not path.is_absolute():
            below = path
        if below is None or ".." in below.parts:
            below = Path(path.name) if key == "file_name" else Path()
        return self.out / below

    def _bring(self, key: str) -> None:
        """Has a setting name a path on this machine."""
        value, is_data = getattr(self.settings, key), key in DATA_SETS
        choose = the_weights if key in ("trained_ckpt", "pretrained_ckpt") else None
        if is_remote(value):
            path = self.inputs.path(key, value, key, is_data, choose)
        elif key == "label_path" and Path(value) == Path("."):
            path = Path(self.values["data_path"])
        elif is_data and self.settings.data_url and self._means(key, value, DATA):
            path = self.inputs.path("data_url", self.settings.data_url, DATA, True)
            below = self._below(value, DATA)
            if path.is_dir() and below:
                path = path / below if (path / below).exists() else data_root(path) / below
        elif choose and self.settings.checkpoint_url and self._means(key, value, CHECKPOINT):
            source, below = self.settings.checkpoint_url, self._below(value, CHECKPOINT)
            if below and below != Path() and not source.rstrip("/").endswith(f"/{below}"):
                source = join(source, str(below))
            path = self.inputs.path("checkpoint_url", source, CHECKPOINT, choose=choose)
        elif value and (is_data or choose):
            path = self.inputs.path(key, value, key, is_data, choose)
        else:
            return  # empty, or a name that the command itself looks up
        self.values[key] = str(data_root(path) if is_data else path)

    def _means(self, key: str, value: str, place: str) -> bool:
        """Whether a setting means what data_url or checkpoint_url names: it lies there, or names nothing that is here."""
        nothing = key in ("data_path", "trained_ckpt", "pretrained_ckpt") and not (
            value and Path(value).exists()
        )
        return nothing or self._below(value, place) is not None

    def _below(self, value: str, place: str) -> Path | None:
        """A path relative to one of the job's folders, by its own or by its usual name; None where it is not in it."""
        for cache in (self.cache, self.default_cache):
            try:
                return Path(value).relative_to(cache / place)
            except ValueError:
                continue
        return None

    def _inputs(self, cache: Any) -> Inputs:
        return Inputs(Node(Path(cache).expanduser()), self._open)

    def _open(self) -> Store:
        """The store, opened when something remote is named first."""
        if self._store is None:
            self._store = open_store(self.environment)
        return self._store

    def _arguments(self) -> list[str]:
        return [f"--{key}={value}" for key, value in self.values.items()]


def _states(folder: Path) -> dict[str, list[int]]:
    """Every file of a folder with its size and time, so that any change shows."""
    return {
        file.name: [file.stat().st_size, file.stat().st_mtime_ns]
        for file in sorted(folder.iterdir())
        if file.is_file()
    }


@contextmanager
def _reported() -> Iterator[None]:
    """Has what fails beside an error be a line of the log: the error itself ends the command."""
    try:
        yield
    except (UserError, RunFailed, OSError) as error:
        LOG.info("%s", error)
