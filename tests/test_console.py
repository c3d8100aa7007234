"""Progress as a bar or as lines; the log on stdout and in a file; tables."""

import errno
import io
import subprocess
import sys

import pytest

from dlinknet import console
from dlinknet.errors import RunFailed
from tests.conftest import ROOT


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def log(capsys):
    console.start_log()
    yield capsys
    for handler in list(console.LOG.handlers):
        console.LOG.removeHandler(handler)
        handler.close()


def test_without_a_terminal_progress_is_plain_lines(log, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_LINE_SECONDS", 0)
    with console.Progress(10, "epoch 1/2") as progress:
        progress.update(4, "loss 0.5")
        progress.update(6, "loss 0.4")
    out, err = log.readouterr()
    assert len(out.splitlines()) == 1 and err == ""
    assert (
        "epoch 1/2: 4 of 10 images, loss 0.5, " in out
        and " images/s, 00:0" in out
        and out.endswith(" left\n")
    )


def test_lines_are_rare(log):
    with console.Progress(1000, "epoch 1/2") as progress:
        for _ in range(1000):
            progress.update(1)
    assert log.readouterr().out == ""


def test_on_a_terminal_progress_is_a_bar_with_loss_rate_and_time_left(log, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(console.sys, "stderr", terminal)
    monkeypatch.setattr(console.tqdm, "monitor_interval", 0)
    with console.Progress(10, "epoch 1/2") as progress:
        progress.bar.mininterval = 0
        progress.update(4, "loss 0.5000")
    shown = terminal.getvalue()
    assert (
        "epoch 1/2:  40%" in shown
        and "4/10" in shown
        and "images/s, loss 0.5000" in shown
        and "<00:0" in shown
    )


def test_the_log_goes_to_a_file_as_well(log, tmp_path):
    console.log_to_file(tmp_path / "run.log")
    console.LOG.info("道路 %d", 7)
    assert log.readouterr().out.endswith(" 道路 7\n")
    assert (tmp_path / "run.log").read_text(encoding="utf-8").endswith(" 道路 7\n")


def test_times_are_short():
    assert (console.clock(5), console.clock(95.4), console.clock(3725)) == (
        "00:05",
        "01:35",
        "1:02:05",
    )


def test_columns_are_as_wide_as_their_longest_word():
    lines = [["layer", "kind", "weights"], ["a", "", "1,024"], ["both", "two layers", ""]]
    assert console.columns(lines).splitlines() == [
        "layer  kind        weights",
        "a                  1,024",
        "both   two layers",
    ]
    assert console.columns(lines, right=1).splitlines() == [
        "layer  kind        weights",
        "a                    1,024",
        "both   two layers",
    ]


class Broken(io.StringIO):
    """A stream without a reader."""

    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("breaks", ["before the log has a file", "later"])
def test_a_log_continues_in_the_file_and_says_why_if_stdout_cannot_be_written(
    log, tmp_path, monkeypatch, breaks
):
    if breaks == "later":
        console.log_to_file(tmp_path / "run.log")
        console.LOG.info("one")
    monkeypatch.setattr(console.sys, "stdout", Broken())
    console.LOG.info("two")
    if breaks != "later":
        console.log_to_file(tmp_path / "run.log")
    console.LOG.info("three")
    lines = [line[20:] for line in (tmp_path / "run.log").read_text().splitlines()]
    fault = "standard output cannot be written any more: Broken pipe"
    assert lines == (["one", fault, "two", "three"] if breaks == "later" else [fault, "three"])


def test_a_result_that_cannot_be_printed_is_a_failure(monkeypatch):
    monkeypatch.setattr(console.sys, "stdout", Broken())
    with pytest.raises(
        RunFailed, match="^the result cannot be printed: standard output: Broken pipe$"
    ):
        console.show("1 image")


def test_a_name_that_is_not_utf8_does_not_end_the_log(tmp_path):
    """Run in a process of its own, because pytest-xdist cannot send such a text."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom dlinknet import console, signals\n"
        "signals.prepare()\nconsole.start_log()\nconsole.log_to_file(Path(sys.argv[1]))\n"
        "console.LOG.info('left out %s', 'b\\udcff.jpg')\nsignals.be_over()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run.log")],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
    )
    assert (
        result.returncode == 0
        and result.stderr == b""
        and b"left out b\\udcff.jpg" in result.stdout
    )
    assert "left out b\\udcff.jpg" in (tmp_path / "run.log").read_text()
