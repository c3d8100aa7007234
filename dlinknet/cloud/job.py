"""A command as a ModelArts job: its inputs are brought here, it runs on local files as it always does, its outputs are taken away.

Values come from the arguments, else from environment variables of the same name, else from the YAML file. Where a thing lies
on this machine, cache_path is its parent and these folders stand for it, whether it was brought there or lies elsewhere:

    data                data_url
    checkpoint_path     checkpoint_url
    train               train_url
"""
from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

from dlinknet import config, console
from dlinknet.cloud import transfer
from dlinknet.cloud.inputs import WEIGHTS, YAMLS, Inputs, data_root, only
from dlinknet.cloud.node import Node
from dlinknet.cloud.outputs import LEFT, NEWEST, Ended, Outputs
from dlinknet.cloud.store import Store, is_remote, join, open_store, split
from dlinknet.console import LOG
from dlinknet.errors import RunFailed, UserError
from dlinknet.launcher import writes

DATA, CHECKPOINT, TRAIN = "data", "checkpoint_path", "train"
DATA_SETS = ("data_path", "label_path", "val_path", "val_label_path")


@dataclass(frozen=True)
class Command:
    """What a job has to know of a command.

    Args:
        main: runs it on a command line.
        inputs: the settings that name what it reads.
        output: the setting that names what it writes: a folder, or (file_name) a file.
        trains: whether it goes on with what it finds at train_url, and may be one of many processes.
    """

    main: Callable[[list[str]], None]
    inputs: tuple[str, ...]
    output: str
    trains: bool


def run(command: Command, arguments: list[str], environment: Mapping[str, str] = os.environ) -> None:
    """Runs a command as a job.

    Raises:
        UserError, RunFailed: what the command raises, or a transfer that cannot be made.
    """
    console.start_log()
    values, unknown = _given(arguments, environment)
    first = writes(environment)
    if first and unknown:
        LOG.info("arguments that are not settings of ours, which nothing was done with: %s", " ".join(unknown))
    if not first and not command.trains:
        LOG.info("this is not the first of the job's processes, and one is enough")
        return
    Job(command, values, environment, first).run()


def _given(arguments: list[str], environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """(the keys that arguments and environment give, as text; arguments that are no keys)."""
    given, unknown = config.split(arguments, "")
    said = {key: environment[key] for key in (*config.TYPES, "config_path") if environment.get(key)}
    for key, value in said.items():
        if key != "config_path":
            config.check(key, value, "environment variable")
    return {**said, **given}, unknown


class Job:
    """One process of a job.

    Args:
        values: settings as text, by their keys.
        first: whether it is the process that takes the outputs away.
    """

    def __init__(self, command: Command, values: dict[str, str], environment: Mapping[str, str], first: bool):
        self.command, self.environment, self.first = command, environment, first
        self._store: Store | None = None
        self.default_cache = Path(config.load([], "").cache_path)
        self.values = {**values, config.JOB: "False"}           # the command itself runs as it always does
        if values.get("config_path"):
            inputs = self._inputs(values.get("cache_path") or self.default_cache)
            found = inputs.path("config_path", values["config_path"], "config_path")
            self.values["config_path"] = str(only(found, "config_path", YAMLS))
        self.settings = config.load(self._arguments(), "")
        self.cache = Path(self.settings.cache_path)
        self.inputs = self._inputs(self.cache)
        url = self.settings.train_url
        self.out = Path(url).expanduser() if url and not is_remote(url) else self.cache / TRAIN

    def run(self) -> None:
        """Brings, runs, takes away."""
        url, known = self.settings.train_url, []
        if url:
            known = self._prepare_output()
        else:
            LOG.info("train_url is empty: the outputs stay on this machine")
        for key in self.command.inputs:
            if not (key == "pretrained_ckpt" and self.values.get("resume")):        # a run that goes on has it already
                self._bring(key)
        if not (is_remote(url) and self.first):
            self.command.main(self._arguments())
            return
        outputs = Outputs(self._open(), self.out, url, self.cache / ".upload", self.command.trains, known)
        with Ended(outputs.rescue):
            outputs.start()
            try:
                self.command.main(self._arguments())
            except BaseException:
                with _reported():
                    outputs.finish()
                raise
            outputs.finish()

    def _prepare_output(self) -> list[str]:
        """Has the command write where the outputs are taken from; returns the files that came from there."""
        url, key = self.settings.train_url, self.command.output
        if not is_remote(url):
            self.out.mkdir(parents=True, exist_ok=True)
            known = []
        else:
            split(url)          # or it names no bucket
            last = self.inputs.node.last(TRAIN)
            if self.out.exists() and any(self.out.iterdir()) and last.get("source") != url:
                raise UserError(f"cache_path: {self.out} holds the outputs of {last.get('source', 'something else')}; name another "
                                "folder with --cache_path=FOLDER")
            self.out.mkdir(parents=True, exist_ok=True)
            known = self.inputs.node.once(TRAIN, url, lambda _: self._fetch_run(url) if self.command.trains else [])
        self.values[key] = str(self._place_of_output(getattr(self.settings, key)))
        newest = self.out / f"{self.settings.log_name}{NEWEST}"
        if self.command.trains and not self.settings.resume and newest.exists():
            LOG.info("going on with the training that is at %s; another train_url or log_name starts a new one", url)
            self.values["resume"] = str(newest)
            own = newest.with_name(f"{self.settings.log_name}_config.yaml")
            self.values["pretrained_ckpt"] = config.read_values(own).get("pretrained_ckpt", "") if own.exists() else ""
        return known

    def _fetch_run(self, url: str) -> list[str]:
        """Brings the files of a run that can go on, but those that are here: a job that was started again in its place."""
        name, store = self.settings.log_name, self._open()
        found = {path: what for path, what in transfer.contents(store, "train_url", url).items()
                 if path.startswith(f"{name}_") and "/" not in path and not path.endswith(LEFT)}
        if f"{name}{NEWEST}" not in found:
            return []
        missing = [path for path in found if not (self.out / path).exists()]
        for path in missing:
            transfer.get_file(store, "train_url", join(url, path), found[path], self.out / path)
        return missing

    def _place_of_output(self, value: str) -> Path:
        """Where an output goes: a relative path, or one below 'train', stands for a place at train_url, any other for train_url."""
        if is_remote(value):
            raise UserError(f"{self.command.output}: outputs go to OBS with --train_url={value}")
        path, below = Path(value), self._below(value, TRAIN)
        if below is None and not path.is_absolute():
            below = path
        if below is None or ".." in below.parts:
            below = Path(path.name) if self.command.output == "file_name" else Path()
        return self.out / below

    def _bring(self, key: str) -> None:
        """Has a setting name a path on this machine."""
        value, is_data = getattr(self.settings, key), key in DATA_SETS
        source_key, place = ("data_url", DATA) if is_data else ("checkpoint_url", CHECKPOINT)
        source, below = getattr(self.settings, source_key), self._below(value, place)
        if is_remote(value):
            path = self.inputs.path(key, value, key, is_data)
        elif key == "label_path" and Path(value) == Path("."):
            path = Path(self.values["data_path"])
        elif source and key != "sample_image" and (below is not None or self._is_asked(key, value)):
            path = self.inputs.path(source_key, source, place, is_data)
            if path.is_dir() and below:
                path = path / below if (path / below).exists() or not is_data else data_root(path) / below
        elif value:
            path = self.inputs.path(key, value, key, is_data)
        else:
            return
        if key in ("trained_ckpt", "pretrained_ckpt"):
            path = only(path, key, WEIGHTS, best=True)
        self.values[key] = str(data_root(path) if is_data else path)

    @staticmethod
    def _is_asked(key: str, value: str) -> bool:
        """Whether data_url or checkpoint_url means this setting, which names nothing that is here."""
        return key in ("data_path", "trained_ckpt", "pretrained_ckpt") and not (value and Path(value).exists())

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


@contextmanager
def _reported() -> Iterator[None]:
    """Has what fails beside an error be a line of the log: the error itself ends the command."""
    try:
        yield
    except (UserError, RunFailed, OSError) as error:
        LOG.info("%s", error)
