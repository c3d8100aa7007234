"""How signals end a command: the status, one line, nothing half written, in every state.

Also: standard streams that do not exist.
"""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from dlinknet import signals
from tests.conftest import ROOT, stripes, wait_for, write_pair

BEGIN = (
    "from dlinknet import signals\nsignals.PATIENCE = 4\nsignals.prepare('a is whole')\n"
    "import ctypes, os, signal, sys, time\n"
)
WORDS = {
    signal.SIGTERM: "ended by SIGTERM",
    signal.SIGINT: "interrupted (SIGINT)",
    signal.SIGHUP: "ended by SIGHUP",
}
STATES = {
    "in Python": "print('ready', flush=True)\nwhile True: pass",
    "in C": "import hashlib\nprint('ready', flush=True)\n"
    "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 10 ** 9)",
}


def plain():
    """In a child: a shell's background job ignores SIGINT, and its children inherit that."""
    for number in WORDS:
        signal.signal(number, signal.SIG_DFL)


def start(*command, environment=None, **kwargs):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **(environment or {}),
    }
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
        **{"preexec_fn": plain, **kwargs},
    )


@pytest.fixture
def run(tmp_path):
    """Return run(code): the process of a command c.py, after prepare() and its line "ready"."""
    started = []

    def run(code, patience=4, **kwargs):
        (tmp_path / "c.py").write_text(
            BEGIN.replace("= 4", f"= {patience}") + textwrap.dedent(code)
        )
        started.append(start(str(tmp_path / "c.py"), **kwargs))
        assert started[-1].stdout.readline() == "ready\n", started[-1].stderr.read()
        return started[-1]

    yield run
    for process in started:
        process.kill()


def ended(process, number):
    """Return what the process printed after a signal.

    Assert that it ended in time, with the signal's status and one line on stderr.
    """
    begin = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - begin < 5
    assert process.returncode == 128 + number, err
    assert len(err.splitlines()) == 1 and f": error: {WORDS[number]}" in err, err
    return out, err


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("number", WORDS)
def test_a_signal_ends_a_command_with_its_status_and_one_line(run, state, number):
    process = run(STATES[state])
    process.send_signal(number)
    assert ended(process, number)[1] == f"c.py: error: {WORDS[number]}; a is whole\n"


@pytest.mark.parametrize("pause", [0, 0.001, 0.02])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_two_in_a_row_are_as_one(run, number, pause):
    process = run(STATES["in C"])
    process.send_signal(number)
    time.sleep(pause)
    process.send_signal(number)
    ended(process, number)


def test_what_holds_the_interpreter_is_killed_with_one_line(run):
    """sum() keeps the interpreter's lock to its end, as MindSpore does.

    A terminal sends SIGINT to the whole group, kill -INT to the process alone.
    """
    code = "print('ready', flush=True)\nsum(range(10 ** 11))"
    asked, told, typed = run(code, 1), run(code, 1), run(code, 1, start_new_session=True)
    time.sleep(0.2)
    asked.send_signal(signal.SIGTERM)
    told.send_signal(signal.SIGINT)
    os.killpg(typed.pid, signal.SIGINT)
    for process, number in (
        (asked, signal.SIGTERM),
        (told, signal.SIGINT),
        (typed, signal.SIGINT),
    ):
        err = process.communicate(timeout=20)[1]
        assert process.returncode == -signal.SIGKILL
        assert (
            err == f"c.py: error: {WORDS[number]}; killed, "
            "because MindSpore did not come back in time; a is whole\n"
        )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_without_a_word_is_said(run, number):
    process = run(STATES["in Python"])
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == -number
    assert (
        err
        == "c.py: error: killed, or crashed as MindSpore does where memory is short; a is whole\n"
    )


def test_a_lock_that_comes_free_in_time_is_no_reason_to_kill(run):
    process = run("print('ready', flush=True)\nsum(range(2 * 10 ** 7))\ntime.sleep(60)")
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    ended(process, signal.SIGTERM)


def test_handlers_of_other_libraries_do_not_matter(run):
    """MindSpore's for SIGINT stays; one for SIGTERM is replaced again by take_back()."""
    code = (
        "libc = ctypes.CDLL(None)\nfor n in (2, 15): libc.signal(n, libc.abort)\n"
        "signals.take_back()\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        process = run(code)
        process.send_signal(number)
        ended(process, number)


def test_signals_that_were_ignored_at_the_start_stay_so(run):
    def background():
        plain()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = run(
        "libc = ctypes.CDLL(None)\nlibc.signal(2, libc.abort)  # as MindSpore does\n"
        "print('ready', flush=True)\ntime.sleep(1)\nprint('done')\nsignals.be_over()",
        preexec_fn=background,
    )
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    assert (
        process.stdout.read() == "done\n" and process.stderr.read() == "" and process.wait(20) == 0
    )


def test_what_is_half_written_goes_and_children_end_too(run, tmp_path):
    (tmp_path / "stage" / "deep").mkdir(parents=True)
    for name in (".net.123.ckpt", ".net.123.tmp", "net.ckpt", "done.txt"):
        (tmp_path / name).write_text("x")
    process = run("""
        import subprocess
        from pathlib import Path
        for name in (".net.123.ckpt", "stage", "done.txt"):
            signals.add_unfinished(Path(__file__).with_name(name))
        signals.remove_unfinished(Path(__file__).with_name("done.txt"))
        child = subprocess.Popen(["sleep", "60"])
        print("ready", flush=True)
        print(child.pid, flush=True)
        time.sleep(60)
        """)
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    ended(process, signal.SIGINT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.py", "done.txt", "net.ckpt"]
    wait_for(
        lambda: (
            not Path(f"/proc/{child}").exists()
            or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]
        )
    )


def test_the_rescue_comes_first_and_may_take_its_time(run):
    process = run(
        """
        def rescue():
            signals.say("b is whole")
            time.sleep(2)       # longer than the patience with a process that does not answer
            return "all is in the store"
        with signals.rescuing(rescue):
            print("ready", flush=True)
            time.sleep(60)
        """,
        1,
    )
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert (
        ended(process, signal.SIGTERM)[1]
        == "c.py: error: ended by SIGTERM; b is whole; all is in the store\n"
    )


def test_a_forked_child_has_signals_of_its_own(run):
    """A pool ends its workers by SIGTERM; the command goes on."""
    process = run("""
        import multiprocessing
        fork = multiprocessing.get_context("fork")
        for number in (signal.SIGTERM, signal.SIGINT):
            sys.stderr.close()
            child = fork.Process(target=time.sleep, args=(60,))
            child.start(); time.sleep(0.2); os.kill(child.pid, number); child.join(10)
            assert child.exitcode is not None
        print("ready", flush=True)
        time.sleep(60)
        """)
    process.send_signal(signal.SIGTERM)
    ended(process, signal.SIGTERM)


def test_a_failure_that_the_end_itself_causes_is_not_told(run):
    """What is removed under its writer makes that fail; the signal's line is the only one."""
    process = run("""
        from dlinknet.errors import UserError, run_command
        def main(arguments):
            def rescue():
                time.sleep(1)
                return ""
            with signals.rescuing(rescue):
                print("ready", flush=True)
                time.sleep(0.5)
                raise UserError("it has gone")
        run_command(main)
        """)
    process.send_signal(signal.SIGTERM)
    ended(process, signal.SIGTERM)


def test_a_full_pipe_does_not_keep_the_process(run):
    process = run(
        "print('ready', flush=True)\nos.set_blocking(2, False)\n"
        "try:\n    while True: os.write(2, bytes(4096))\n"
        "except BlockingIOError: os.set_blocking(2, True)\nos.write(2, b'x')"
    )
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 143


def test_a_library_that_is_imported_prepares_nothing():
    before = (
        [signal.getsignal(number) for number in WORDS],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    )
    import dlinknet.commands.train  # noqa: F401

    signals.say("without effect")
    assert before == (
        [signal.getsignal(number) for number in WORDS],
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    )


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_files_do_not_get_the_numbers_of_closed_streams(tmp_path, closed):
    (tmp_path / "c.py").write_text(
        BEGIN
        + textwrap.dedent("""
        from dlinknet.errors import run_command
        def main(arguments):
            with open(arguments[0], "w") as file:
                assert file.fileno() > 2
                try:
                    print("to stdout", flush=True)
                    file.write("printed")
                except OSError as error:
                    file.write(error.strerror)
                print("to stderr", file=sys.stderr)
                os.write(2, b"from C")
        run_command(main)
        """)
    )
    command = f'"{sys.executable}" "{tmp_path}/c.py" "{tmp_path}/f" {closed}'
    result = subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert result.returncode == 0
    assert (tmp_path / "f").read_text() == ("Bad file descriptor" if "1>" in closed else "printed")


def test_a_name_that_the_encoding_of_stdout_lacks_is_escaped(run, tmp_path):
    process = run(
        "print('ready', flush=True)\nprint('道路', 'b\\udcff')\nsignals.be_over()",
        environment={"PYTHONIOENCODING": "ascii"},
    )
    assert process.stdout.read() == "\\u9053\\u8def b\\udcff\n" and process.stderr.read() == ""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    for number in range(4):
        write_pair(folder / "data", f"r{number}", *stripes(number, 32, 32))
    return folder


def has_children(process):
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() != ""


@pytest.mark.parametrize(
    "moment, number, times",
    [
        ("import", signal.SIGTERM, 1),
        ("compile", signal.SIGINT, 2),
        ("epoch", signal.SIGTERM, 2),
        *(
            pytest.param(*each, marks=pytest.mark.long)
            for each in (
                ("import", signal.SIGINT, 2),
                ("compile", signal.SIGTERM, 1),
                ("epoch", signal.SIGINT, 1),
                ("epoch", signal.SIGHUP, 1),
            )
        ),
    ],
)
def test_a_training_says_what_resume_accepts(data, tmp_path, moment, number, times):
    process = start(
        "train.py",
        f"--data_path={data}/data",
        f"--output_path={tmp_path}/out",
        "--model_name=linknet18",
        "--device_target=CPU",
        "--batch_size=2",
        "--epoch_num=1000",
        "--num_workers=1",
    )
    try:
        if moment == "import":
            wait_for(lambda: has_children(process))  # prepare() has started its watcher
        else:
            said = {"compile": "the first step compiles", "epoch": "epoch 1/1000: loss"}[moment]
            assert any(said in line for line in process.stdout)
            time.sleep(0.5)
        for _ in range(times):
            process.send_signal(number)
        _, err = ended(process, number)
    finally:
        process.kill()
    last = tmp_path / "out" / "weight01_dink34_last.ckpt"
    if moment == "import":
        assert "; nothing was written yet\n" in err and not last.exists()
        return
    assert f"; {last} is whole (epoch " in err and "); --resume goes on from it\n" in err, err
    assert not list(last.parent.glob(".weight01*.ckpt"))
    if moment == "compile":
        assert "(epoch 0, step 0)" in err
