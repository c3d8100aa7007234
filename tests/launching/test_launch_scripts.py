"""The run_*.sh scripts: with stand-ins for train.py and eval.py, and for real on the CPU.

The stand-ins lie in a copy of the project. They record their arguments and their environment, and
end as the variable STAND_IN tells them.
"""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlinknet import config
from dlinknet.devices.launcher import Launch, launched
from dlinknet.launching.msrun import free_port
from tests.cluster import need_cluster
from tests.conftest import ROOT, stripes, wait_for, write_pair

EPFL = ROOT.parent / "shared" / "data" / "roads_epfl"
STAND_IN = """\
import json, os, sys, time
rank = os.environ.get("RANK_ID", "alone")
if os.environ.get("MS_ROLE") == "MS_SCHED":
    rank = "scheduler"
print("stand-in", rank, flush=True)
record = {"arguments": sys.argv, "folder": os.getcwd(), "environment": dict(os.environ)}
record["session"] = os.getsid(0)
file = os.path.join(os.environ["RECORDS"], rank)
open(file, "w").write(json.dumps(record))
os.rename(file, file + ".json")
for word in os.environ.get("STAND_IN", "").split():
    name, seconds, status = word.split(":")
    if name == rank:
        time.sleep(float(seconds))
        if status != "0":
            print("train.py: error: as it was told", file=sys.stderr)
        if int(status) < 0:
            if status == "-11":
                print("2026-11-21 08:09:29 training is done", flush=True)
            os.kill(os.getpid(), -int(status))
        sys.exit(int(status))
"""
# Like MindSpore's msrun, it starts scheduler and workers in their own sessions, and ends.
MSRUN = """\
#!PYTHON
import json, os, subprocess, sys
options = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
open(os.path.join(os.environ["RECORDS"], "..", "said"), "w").write("\\n".join(sys.argv[1:]))
if "FAIL" in os.environ:
    sys.exit("msrun: error: as it was told")
task = sys.argv[next(place for place, word in enumerate(sys.argv) if place and word[:2] != "--"):]
here, node = int(options["local_worker_num"]), int(options["node_rank"])
started = [] if node else [("scheduler", {"MS_ROLE": "MS_SCHED", "RANK_ID": "0"})]
for rank in range(node * here, (node + 1) * here):
    started.append((f"worker_{rank}", {"MS_ROLE": "MS_WORKER", "RANK_ID": str(rank)}))
for name, variables in started:
    with open(os.path.join(options["log_dir"], name + ".log"), "w") as log:
        streams = {"stdout": log, "stderr": log, "start_new_session": True}
        subprocess.Popen(["python", *task], env={**os.environ, **variables}, **streams)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the project's scripts and library, with stand-ins for the commands."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("scripts", "dlinknet"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "eval.py"):
        (folder / name).write_text(STAND_IN)
    return folder


@pytest.fixture
def work(tmp_path):
    """A folder with spaces in its name: images, masks, settings, a rank table, a checkpoint."""
    folder = tmp_path / "my work"
    for number in range(8):
        write_pair(folder / "the data", f"p{number}", *stripes(number))
    (folder / "my config.yaml").write_text(
        "batch_size: 2\nmodel_name: linknet18\nrun_distribute: False\nnum_workers: 1\n"
    )
    (folder / "net.ckpt").write_text("stands for a checkpoint")
    devices = [
        {"device_id": str(4 + rank), "device_ip": f"192.168.10{rank}.1", "rank_id": str(rank)}
        for rank in range(3)
    ]
    (folder / "table.json").write_text(
        json.dumps({"status": "completed", "server_list": [{"server_id": "s", "device": devices}]})
    )
    return folder


class Scripts:
    """Runs scripts of the copy, and returns the records of the stand-ins."""

    def __init__(self, clone, work, records):
        self.clone, self.work, self.records = clone, work, records
        self.bin = Path(sys.executable).parent

    def command(self, script, *arguments):
        return ["bash", str(self.clone / "scripts" / script), *arguments]

    def environment(self, plan="", **more):
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "STAND_IN": plan, "RECORDS": str(self.records), **more}

    def __call__(self, script, *arguments, plan="", **more):
        """Run a script to its end."""
        return subprocess.run(
            self.command(script, *arguments),
            capture_output=True,
            text=True,
            cwd=self.work,
            env=self.environment(plan, **more),
            timeout=60,
        )

    def recorded(self, count=1):
        """Return the records of the stand-ins by rank, as soon as there are `count` of them."""
        wait_for(lambda: len(list(self.records.glob("*.json"))) >= count)
        return {file.stem: json.loads(file.read_text()) for file in self.records.glob("*.json")}

    def living(self):
        """Return the processes that run a stand-in of this test."""
        mark, found = f"RECORDS={self.records}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if b"train.py" in (folder / "cmdline").read_bytes().split(b"\0", 2)[1]:
                    found += [int(folder.name)] * (mark in (folder / "environ").read_bytes())
            except (OSError, IndexError):
                continue
        return found


@pytest.fixture
def run(clone, work, tmp_path):
    """Yield run(script, *arguments), which runs a script to its end."""
    (tmp_path / "records").mkdir()
    scripts = Scripts(clone, work, tmp_path / "records")
    yield scripts
    for process in scripts.living():
        os.kill(process, signal.SIGKILL)


@pytest.fixture
def msrun(run, tmp_path):
    """Make a stand-in for msrun beside a Python like this one; return a function for its words."""
    home = Path(os.path.realpath(sys.executable)).parent
    run.bin = tmp_path / "environment" / "bin"
    run.bin.mkdir(parents=True)
    (run.bin / "python").symlink_to(os.path.realpath(sys.executable))
    (run.bin.parent / "lib").symlink_to(Path(sys.prefix) / "lib")
    (run.bin.parent / "pyvenv.cfg").write_text(f"home = {home}\n")
    (run.bin / "msrun").write_text(MSRUN.replace("PYTHON", str(run.bin / "python")))
    (run.bin / "msrun").chmod(0o755)
    return lambda: set((tmp_path / "said").read_text().splitlines())


def settings_of(record, command):
    """Return the settings that the command reads from its recorded command line, in its folder."""
    assert record["arguments"][0].endswith(f"/{command}")
    here = os.getcwd()
    try:
        os.chdir(record["folder"])
        return config.load(record["arguments"][1:], "")
    finally:
        os.chdir(here)


@pytest.mark.parametrize(
    "target, words, device",
    [("ascend", [], -1), ("ascend", ["3"], 3), ("gpu", ["1"], 1), ("cpu", [], -1)],
)
def test_standalone_training(run, work, target, words, device):
    result = run(
        f"run_standalone_{target}_train.sh",
        "the data",
        "my config.yaml",
        *words,
        "--epoch_num=7",
        "--wait",
    )
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert (
        f"log: {work}/train.log" in result.stdout
        and (work / "train.log").read_text() == "stand-in alone\n"
    )
    settings = settings_of(run.recorded()["alone"], "train.py")
    assert settings.device_target.lower() == target and settings.device_id == device
    assert (settings.data_path, settings.output_path, settings.epoch_num, settings.batch_size) == (
        "the data",
        "output",
        7,
        2,
    )
    assert settings.run_distribute is False and run.recorded()["alone"]["folder"] == str(work)


@pytest.mark.parametrize(
    "target, words, device", [("ascend", [], -1), ("gpu", ["2"], 2), ("cpu", [], -1)]
)
def test_standalone_evaluation(run, work, target, words, device):
    result = run(
        f"run_standalone_{target}_eval.sh",
        "the data",
        "the data",
        "net.ckpt",
        "my masks",
        "my config.yaml",
        *words,
        "--tta",
        "--wait",
    )
    assert result.returncode == 0 and f"log: {work}/eval.log" in result.stdout
    settings = settings_of(run.recorded()["alone"], "eval.py")
    assert (settings.device_target.lower(), settings.device_id, settings.tta) == (
        target,
        device,
        True,
    )
    assert (settings.label_path, settings.trained_ckpt, settings.predict_path) == (
        "the data",
        "net.ckpt",
        "my masks",
    )


def test_in_the_background_it_says_where_the_log_is_and_returns(run, work):
    start = time.monotonic()
    result = run("run_standalone_gpu_train.sh", "the data", "my config.yaml", plan="alone:9:0")
    assert result.returncode == 0 and time.monotonic() - start < 9
    (process,) = run.living()
    assert result.stdout == (
        f"running in the background as process {process}; log: {work}/train.log\n"
    )
    wait_for(lambda: (work / "train.log").read_text() == "stand-in alone\n")
    result = run("run_standalone_gpu_train.sh", "the data", "my config.yaml")
    assert result.returncode == 2 and result.stderr == (
        f"run_standalone_gpu_train.sh: error: the work of train.log that was started in {work} "
        "is still running: wait, stop it, or call this in another folder\n"
    )


@pytest.mark.parametrize(
    "script, words, count",
    [("run_standalone_cpu_train.sh", [], 1), ("run_distribute_cpu_train.sh", ["2"], 3)],
)
def test_what_is_in_the_background_outlives_the_terminal(run, work, script, words, count):
    plan = "alone:50:0 scheduler:50:0 0:50:0 1:50:0"
    bash, terminal = pty.fork()
    if not bash:
        os.chdir(work)
        words = run.command(script, "the data", "my config.yaml", *words)
        os.execvpe("bash", words, run.environment(plan))
    assert os.waitpid(bash, 0)[1] == 0
    os.close(terminal)  # the terminal hangs up
    time.sleep(0.5)
    records = run.recorded(count)
    assert len(run.living()) == count
    assert all(record["session"] != bash for record in records.values())


def test_a_failure_is_one(run, work):
    result = run(
        "run_standalone_ascend_train.sh", "the data", "my config.yaml", "--wait", plan="alone:0:3"
    )
    assert result.returncode == 3 and result.stderr.splitlines() == [
        "run_standalone_ascend_train.sh: error: the command failed with status 3: "
        f"train.py: error: as it was told (log: {work}/train.log)"
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_a_waiting_script_ends_its_command(run, work, number):
    def plain():
        for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(each, signal.SIG_DFL)

    script = subprocess.Popen(
        run.command("run_standalone_cpu_train.sh", "the data", "my config.yaml", "--wait"),
        cwd=work,
        env=run.environment("alone:50:0"),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=plain,
    )
    run.recorded()
    script.send_signal(number)
    err = script.communicate(timeout=20)[1]
    assert script.returncode == 128 + number and len(err.splitlines()) == 1, err
    assert f"the command was killed by signal {number} (log: {work}/train.log)" in err
    assert not run.living()


def mindspore_of(version, folder):
    """Return the variables that give the scripts a stand-in for MindSpore with a version."""
    package = folder / f"version {version}" / "mindspore"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "version.py").write_text(f"__version__ = '{version}'\n")
    return {"PYTHONPATH": str(package.parent)}


def test_ascends_of_a_rank_table(run, work, tmp_path):
    """From MindSpore 2.3 on, the ranks find each other by MindSpore's scheduler."""
    result = run(
        "run_distribute_ascend_train.sh",
        *("table.json", "the data", "my config.yaml", "--wait"),
        **mindspore_of("2.3.0", tmp_path),
        RANK_TABLE_FILE="/left/from/another/job.json",
        MINDSPORE_HCCL_CONFIG_PATH="/left/from/another/job.json",
        DEVICE_ID="7",
    )
    assert result.returncode == 0 and "all processes are done" in result.stdout, result.stderr
    assert "start as those of msrun, on the devices of the rank table" in result.stdout
    records = run.recorded(4)
    assert records.keys() == {"0", "1", "2", "scheduler"}
    for name, record in records.items():
        given = record["environment"]
        assert not {"RANK_TABLE_FILE", "MINDSPORE_HCCL_CONFIG_PATH"} & given.keys()
        assert (given["MS_WORKER_NUM"], given["MS_SCHED_HOST"]) == ("3", "127.0.0.1")
        assert f"their scheduler: 127.0.0.1:{given['MS_SCHED_PORT']}\n" in result.stdout
        if name == "scheduler":
            continue
        assert (given["MS_NODE_ID"], given["RANK_ID"], given["RANK_SIZE"]) == (name, name, "3")
        assert launched(given) == Launch("cluster", 3, 4 + int(name))
        settings = settings_of(record, "train.py")
        assert settings.run_distribute and settings.device_target == "Ascend"


def write_table_of_two_servers(work, addresses):
    servers = [
        {
            "server_id": address,
            "device": [{"device_id": "0", "device_ip": "", "rank_id": str(rank)}],
        }
        for rank, address in enumerate(addresses)
    ]
    (work / "two.json").write_text(json.dumps({"status": "completed", "server_list": servers}))


@pytest.mark.parametrize("first", [True, False])
def test_ascends_of_two_servers_meet_at_the_machine_of_rank_0(run, work, tmp_path, first):
    other = "192.0.2.1"  # an address for documentation, of no machine
    write_table_of_two_servers(work, ("127.0.0.1", other) if first else (other, "127.0.0.1"))
    port = str(free_port())
    result = run(
        "run_distribute_ascend_train.sh",
        *("two.json", "the data", "my config.yaml", "--wait"),
        **mindspore_of("2.10.0", tmp_path),
        MS_SCHED_PORT=port,
    )
    assert result.returncode == 0, result.stderr
    records = run.recorded(2 if first else 1)
    assert records.keys() == ({"0", "scheduler"} if first else {"1"})
    for record in records.values():
        given = record["environment"]
        assert given["MS_SCHED_HOST"] == ("127.0.0.1" if first else other)
        assert (given["MS_SCHED_PORT"], given["MS_WORKER_NUM"]) == (port, "2")


def test_an_older_mindspore_starts_from_the_rank_table(run, work, tmp_path):
    result = run(
        "run_distribute_ascend_train.sh",
        *("table.json", "the data", "my config.yaml", "--wait"),
        **mindspore_of("2.2.14", tmp_path),
    )
    assert result.returncode == 0 and "all processes are done" in result.stdout, result.stderr
    assert "the processes start from the rank table" in result.stdout
    for rank in range(3):
        record = run.recorded(3)[str(rank)]
        given = record["environment"]
        assert (given["RANK_ID"], given["RANK_SIZE"], given["DEVICE_ID"]) == (
            str(rank),
            "3",
            str(4 + rank),
        )
        assert given["RANK_TABLE_FILE"] == f"{work}/table.json" and "MS_ROLE" not in given
        settings = settings_of(record, "train.py")
        assert (
            settings.run_distribute
            and settings.device_target == "Ascend"
            and settings.output_path == f"{work}/LOG0/output"
        )
        assert (work / f"LOG{rank}" / "log.log").read_text() == f"stand-in {rank}\n"
        assert launched(given) == Launch("rank table", 3, 4 + rank, table=given["RANK_TABLE_FILE"])
    assert len(run.recorded()) == 3


def test_gpus_of_this_machine(run, work):
    result = run("run_distribute_gpu_train.sh", "the data", "my config.yaml", "2", "2,5", "--wait")
    assert result.returncode == 0, result.stderr
    records = run.recorded(3)
    assert records.keys() == {"0", "1", "scheduler"}
    for name, record in records.items():
        given = record["environment"]
        assert (given["CUDA_VISIBLE_DEVICES"], given["MS_WORKER_NUM"], given["MS_SCHED_HOST"]) == (
            "2,5",
            "2",
            "127.0.0.1",
        )
        if name != "scheduler":
            assert (given["MS_ROLE"], given["MS_NODE_ID"], given["DEVICE_ID"]) == (
                "MS_WORKER",
                name,
                name,
            )
        settings = settings_of(record, "train.py")
        assert settings.run_distribute and settings.device_target == "GPU"


def test_msrun_on_one_machine_and_on_the_second_of_two(run, work, msrun):
    script = ["run_distribute_msrun_train.sh", "the data", "my config.yaml"]
    result = run(*script, "2", "--device_target=CPU", "--wait")
    assert result.returncode == 0 and "all processes are done" in result.stdout, result.stderr
    assert {
        "--worker_num=2",
        "--local_worker_num=2",
        "--master_addr=127.0.0.1",
        "--join=False",
        "--run_distribute=True",
    } <= msrun()
    assert run.recorded().keys() == {"scheduler", "0", "1"}
    settings = settings_of(run.recorded()["1"], "train.py")
    assert settings.device_target == "CPU" and settings.output_path == f"{work}/LOG0/output"
    result = run(*script, "4", "2", "10.0.0.1", "8118", "1", "--wait")
    assert result.returncode == 0, result.stderr
    assert {
        "--worker_num=4",
        "--local_worker_num=2",
        "--master_addr=10.0.0.1",
        "--master_port=8118",
        "--node_rank=1",
    } <= msrun()
    assert (work / "LOG3" / "log.log").read_text() == "stand-in 3\n"
    assert {file.suffix for file in work.glob("msrun_*/*")} == {".log"}


def test_a_rank_of_msrun_that_fails_at_once_is_named(run, work, msrun):
    """The rank's exit status is known, although msrun does not wait for the rank."""
    script = ["run_distribute_msrun_train.sh", "the data", "my config.yaml", "2", "--wait"]
    result = run(*script, plan="1:0:5 0:50:0 scheduler:50:0")
    assert result.returncode == 1
    error = "rank 1 failed with status 5: train.py: error: as it was told"
    assert result.stderr.startswith(
        f"run_distribute_msrun_train.sh: error: {error} (log: {work}/LOG1/log.log); "
        "the others were stopped"
    ), result.stderr
    assert not run.living()
    result = run(*script, FAIL="yes")
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert "msrun failed with status 1: msrun: error: as it was told (log: " in result.stderr


def test_a_stopped_script_ends_what_msrun_has_started(run, work, msrun):
    script = ["run_distribute_msrun_train.sh", "the data", "my config.yaml", "2"]
    result = run(*script, plan="0:50:0 1:50:0 scheduler:50:0")
    assert result.returncode == 0, result.stderr
    run.recorded(3)
    os.kill(int(result.stdout.split("kill ")[1].split()[0]), signal.SIGTERM)
    (log,) = work.glob("msrun_*/launch.log")
    # The supervisor may not have adopted the ranks yet, and then names no log.
    words = ("stopped\n", f"stopped (log: {work}/LOG0/log.log)\n")
    wait_for(lambda: log.read_text() in words)
    assert not run.living()


def test_msrun_at_a_port_that_is_taken_is_refused_at_once(run, work, msrun):
    """msrun itself would wait forever."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run(
            "run_distribute_msrun_train.sh",
            "the data",
            "my config.yaml",
            "2",
            "2",
            "127.0.0.1",
            port,
            "0",
            "--wait",
        )
    assert (
        result.returncode == 2
        and f"MASTER_PORT: port {port} of this machine cannot be used" in result.stderr
    ), result.stderr


def test_msrun_in_a_modelarts_container(run, work, msrun):
    environment = {
        "MA_NUM_HOSTS": "2",
        "MA_NUM_GPUS": "3",
        "VC_WORKER_HOSTS": "job-worker-0.job,job-worker-1.job",
        "VC_TASK_INDEX": "1",
    }
    result = run(
        "run_distribute_msrun_train.sh",
        "obs://roads/data",
        "my config.yaml",
        "--enable_modelarts=True",
        "--wait",
        **environment,
    )
    assert result.returncode == 0, result.stderr
    assert {
        "--worker_num=6",
        "--local_worker_num=3",
        "--master_addr=job-worker-0.job",
        "--master_port=8118",
        "--node_rank=1",
        "--data_path=obs://roads/data",
        "--enable_modelarts=True",
    } <= msrun()
    result = run("run_distribute_msrun_train.sh", "the data", "my config.yaml")
    assert (
        result.returncode == 2
        and "WORKER_NUM" in result.stderr
        and len(result.stderr.splitlines()) == 1
    )


def test_the_first_that_fails_ends_the_others_and_is_named(run, work):
    start = time.monotonic()
    result = run(
        "run_distribute_ascend_train.sh",
        "table.json",
        "the data",
        "my config.yaml",
        "--wait",
        plan="0:50:0 1:0.5:2 2:50:0",
    )
    assert result.returncode == 1 and time.monotonic() - start < 20
    assert result.stderr.splitlines() == [
        "run_distribute_ascend_train.sh: error: rank 1 failed with status 2: "
        f"train.py: error: as it was told (log: {work}/LOG1/log.log); the others were stopped"
    ]
    assert not run.living()


def test_an_earlier_run_is_moved_aside_and_a_resumed_one_goes_on(run, work):
    arguments = [
        "run_distribute_ascend_train.sh",
        "table.json",
        "the data",
        "my config.yaml",
        "--wait",
    ]
    assert run(*arguments).returncode == 0
    (work / "LOG0" / "output").mkdir()
    (work / "LOG0" / "output" / "net_last.ckpt").write_text("precious")
    assert run(*arguments, "--resume").returncode == 0
    assert (work / "LOG0" / "output" / "net_last.ckpt").exists()
    assert (work / "LOG0" / "log.log").read_text() == "stand-in 0\nstand-in 0\n"
    result = run(*arguments, "--resume=False")
    (aside,) = work.glob("LOG_before_*")
    assert (
        aside.name in result.stdout
        and (aside / "LOG0" / "output" / "net_last.ckpt").read_text() == "precious"
    )
    assert {path.name for path in aside.iterdir()} == {"LOG0", "LOG1", "LOG2"} and not (
        work / "LOG0" / "output"
    ).exists()
    for _ in range(2):
        assert (
            run("run_standalone_cpu_train.sh", "the data", "my config.yaml", "--wait").returncode
            == 0
        )
    assert len(list(work.glob("train_before_*.log"))) == 1


def test_in_the_background_all_are_watched_and_can_be_stopped(run, work):
    arguments = ["run_distribute_ascend_train.sh", "table.json", "the data", "my config.yaml"]
    launch = work / "LOG0" / "launch.log"
    result = run(*arguments, plan="1:0.5:3 0:50:0 2:50:0")
    assert (
        result.returncode == 0
        and result.stderr == ""
        and f"how they ended: {launch}" in result.stdout
    )
    wait_for(
        lambda: "rank 1 failed with status 3: train.py: error: as it was told" in launch.read_text()
    )
    assert "the others were stopped" in launch.read_text()
    started = []

    def again():
        started.append(run(*arguments, plan="0:50:0 1:50:0 2:50:0"))
        return started[-1].returncode == 0

    wait_for(again)  # when the first one has released the folder
    wait_for(
        lambda: (work / "LOG2" / "log.log").exists() and (work / "LOG2" / "log.log").read_text()
    )
    result = run(*arguments)
    assert (
        result.returncode == 2
        and "a training that was started in" in result.stderr
        and "is still running" in result.stderr
    )
    assert (work / "LOG0" / "log.log").read_text() == "stand-in 0\n", (
        "a running training's folders stay"
    )
    os.kill(int(started[-1].stdout.split("kill ")[1].split()[0]), signal.SIGTERM)
    wait_for(lambda: "stopped" in launch.read_text())
    wait_for(lambda: not run.living())


def test_a_crash_after_the_training_was_done_is_no_failure(run, work):
    """MindSpore may crash when it closes its connections."""
    arguments = [
        "run_distribute_ascend_train.sh",
        "table.json",
        "the data",
        "my config.yaml",
        "--wait",
    ]
    result = run(*arguments, plan="1:0.2:-11")
    assert result.returncode == 0 and result.stderr == "", result.stderr
    assert "rank 1 crashed while MindSpore shut down, after its training was done" in result.stdout
    result = run(*arguments, plan="1:0.2:-6")
    assert result.returncode == 1 and "rank 1 was killed by signal 6" in result.stderr


def test_the_reason_is_that_of_the_last_start(run, work):
    arguments = [
        "run_distribute_ascend_train.sh",
        "table.json",
        "the data",
        "my config.yaml",
        "--wait",
    ]
    assert "train.py: error: as it was told" in run(*arguments, plan="1:0.2:2").stderr
    result = run(*arguments, "--resume", plan="1:0.2:-9")
    assert "as it was told" not in result.stderr and "rank 1 " in result.stderr, result.stderr


@pytest.mark.parametrize(
    "script, arguments, words",
    [
        (
            "run_standalone_gpu_train.sh",
            ["the data"],
            "usage: bash scripts/run_standalone_gpu_train.sh DATASET CONFIG_PATH [DEVICE_ID]",
        ),
        (
            "run_standalone_cpu_train.sh",
            ["the data", "my config.yaml", "0"],
            "usage: bash scripts/run_standalone_cpu_train.sh DATASET CONFIG_PATH",
        ),
        (
            "run_standalone_gpu_train.sh",
            ["none", "my config.yaml"],
            "DATASET: there is no folder none",
        ),
        (
            "run_standalone_gpu_train.sh",
            ["the data", "none.yaml"],
            "CONFIG_PATH: there is no file none.yaml",
        ),
        (
            "run_standalone_ascend_train.sh",
            ["the data", "my config.yaml", "first"],
            "DEVICE_ID must be a whole number, not 'first'",
        ),
        (
            "run_standalone_ascend_train.sh",
            ["the data", "my config.yaml", "--data_path=x"],
            "'--data_path' is set by the script",
        ),
        (
            "run_standalone_ascend_train.sh",
            ["the data", "my config.yaml", "--now"],
            "'--now' is not understood",
        ),
        (
            "run_standalone_gpu_eval.sh",
            ["the data", "none", "net.ckpt", "out", "my config.yaml"],
            "LABEL_PATH: there is no folder none",
        ),
        (
            "run_standalone_cpu_eval.sh",
            ["the data", "the data", "none", "out", "my config.yaml"],
            "CHECKPOINT: there is no file none",
        ),
        (
            "run_distribute_gpu_train.sh",
            ["the data", "my config.yaml", "3", "0,1"],
            "CUDA_VISIBLE_DEVICES names 2 GPUs (0,1), DEVICE_NUM is 3",
        ),
        (
            "run_distribute_gpu_train.sh",
            ["the data", "my config.yaml", "0", "0"],
            "DEVICE_NUM must be at least 1",
        ),
        (
            "run_distribute_cpu_train.sh",
            ["the data", "my config.yaml", "two"],
            "WORKER_NUM must be a whole number",
        ),
        (
            "run_distribute_ascend_train.sh",
            ["none.json", "the data", "my config.yaml"],
            "RANK_TABLE_FILE: there is no file none.json",
        ),
        (
            "run_distribute_ascend_train.sh",
            ["net.ckpt", "the data", "my config.yaml"],
            "net.ckpt is not valid",
        ),
        (
            "run_distribute_gpu_train.sh",
            ["the data", "my config.yaml", "1", "0", "--output_path=x"],
            "'--output_path' is set by the script",
        ),
        (
            "run_distribute_msrun_train.sh",
            ["the data", "my config.yaml", "4", "2", "h", "1", "2"],
            "LOCAL_WORKER_NUM=2 and NODE_RANK=2 go beyond",
        ),
        (
            "run_distribute_msrun_train.sh",
            ["the data", "my config.yaml", "2", "1"],
            "MASTER_PORT and NODE_RANK go together",
        ),
    ],
)
def test_mistakes_are_one_line_before_anything_starts(run, work, script, arguments, words):
    before = sorted(work.rglob("*"))
    result = run(script, *arguments)
    assert (
        result.returncode == 2 and words in result.stderr and len(result.stderr.splitlines()) == 1
    ), result.stderr
    assert result.stdout == "" and sorted(work.rglob("*")) == before


def test_every_script_says_how_it_is_used():
    for script in sorted((ROOT / "scripts").glob("run_*_*_*.sh")):
        result = subprocess.run(
            ["bash", str(script), "--help"], capture_output=True, text=True, cwd="/"
        )
        assert result.returncode == 0 and result.stdout.startswith(
            f"usage: bash scripts/{script.name} "
        ), script
        program = "eval.py" if "_eval" in script.name else "train.py"
        assert "--wait" in result.stdout and f"python {program} --help" in result.stdout


def test_without_mindspore_there_is_help_and_one_line(run, work):
    """No Python on PATH has MindSpore."""
    tools = work.parent / "tools"
    tools.mkdir()
    for name in ("python", "python3"):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        (tools / name).chmod(0o755)
    run.bin = tools
    script = ["run_standalone_gpu_train.sh", "the data", "my config.yaml"]
    assert run(*script, "--help").stdout.startswith("usage: ")
    result = run(*script)
    assert result.returncode == 2 and result.stderr == (
        "run_standalone_gpu_train.sh: error: no Python on PATH has MindSpore: "
        "pip install -r requirements.txt, or make .venv with bash scripts/quickstart.sh\n"
    )
    for name in ("python", "python3"):
        (tools / name).write_text("#!/bin/sh\nexit 1\n")
    result = run(*script)
    assert result.returncode == 2 and "there is no Python 3.9 or later on PATH" in result.stderr


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A folder with eight images, of roads_epfl if at hand, and a bash that starts there."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "data").mkdir()
    if EPFL.exists():
        for image in sorted((EPFL / "train").glob("*_sat.*"))[:8]:
            for file in (EPFL / "train").glob(image.name.split("_sat")[0] + "_*"):
                (folder / "data" / file.name).symlink_to(file)
    else:
        for number in range(8):
            write_pair(folder / "data", f"p{number}", *stripes(number, 96, 96))
    (folder / "config.yaml").write_text(
        "model_name: linknet18\nbatch_size: 1\ntrain_size: 64\nval_split: 0.3\nepoch_num: 1\n"
        "distribute_epoch_num: 2\nsave_steps: 1\nseed: 3\n"
    )

    def bash(script, *arguments, **kwargs):
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["bash", str(ROOT / "scripts" / script), *arguments, "--wait"],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **kwargs,
        )

    return folder, bash


@pytest.mark.long
def test_one_process_on_the_cpu_for_real(real):
    folder, bash = real
    said = bash("run_standalone_cpu_train.sh", "data", "config.yaml").communicate(timeout=200)
    assert "done; log: " in said[0], said[1]
    assert (
        "best: road_iou" in (folder / "train.log").read_text()
        and (folder / "output/weight01_dink34_best.ckpt").exists()
    )
    said = bash(
        "run_standalone_cpu_eval.sh",
        "data",
        "data",
        "output/weight01_dink34_best.ckpt",
        "masks",
        "config.yaml",
    ).communicate(timeout=200)
    assert "done; log: " in said[0], said[1]
    assert (
        "road_iou: " in (folder / "eval.log").read_text()
        and len(list((folder / "masks").glob("*_mask.png"))) == 8
    )


def process_of(script, **variables):
    """Return the child of a script's supervisor that has these environment variables, or None."""
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    for pid in Path(f"/proc/{script.pid}/task/{script.pid}/children").read_text().split():
        try:
            found = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # a child that has just ended: the script tries several Pythons
            continue
        if wanted <= set(found.split(b"\0")):
            return int(pid)
    return None


@pytest.mark.parametrize(
    "number, variables, words",
    [
        pytest.param(
            signal.SIGKILL,
            {"RANK_ID": 1},
            "rank 1 was killed by signal 9 ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            signal.SIGINT,
            {"RANK_ID": 0},
            "rank 0 failed with status 130: train.py: error: interrupted",
            marks=pytest.mark.long,
        ),
        # MindSpore's scheduler never returns to Python: its watcher kills it.
        pytest.param(
            signal.SIGINT,
            {"MS_ROLE": "MS_SCHED"},
            "the scheduler failed with status 137: train.py: error: interrupted",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_process_that_a_signal_ends_takes_the_others_with_it(real, number, variables, words):
    need_cluster()
    folder, bash = real
    started = bash(
        "run_distribute_cpu_train.sh", "data", "config.yaml", "2", "--distribute_epoch_num=200"
    )
    wait_for(lambda: process_of(started, **variables))  # the log of an earlier test has gone now
    first = folder / "LOG0" / "log.log"
    wait_for(lambda: first.exists() and "epoch 1/200" in first.read_text(), 150)
    sent = time.monotonic()
    os.kill(process_of(started, **variables), number)
    said = started.communicate(timeout=100)
    assert time.monotonic() - sent < 20 and started.returncode == 1
    assert words in said[1] and len(said[1].splitlines()) == 1, said[1]


@pytest.mark.slow
def test_three_go_on_where_two_were(real):
    need_cluster()
    folder, bash = real
    said = bash(
        "run_distribute_cpu_train.sh", "data", "config.yaml", "2", "--distribute_epoch_num=2"
    ).communicate(timeout=200)
    assert "all processes are done" in said[0], said[1]
    done = len((folder / "LOG0/output/weight01_dink34_epochs.csv").read_text().splitlines()) - 1
    said = bash(
        "run_distribute_cpu_train.sh",
        "data",
        "config.yaml",
        "3",
        "--resume",
        f"--distribute_epoch_num={done + 2}",
    ).communicate(timeout=200)
    assert "all processes are done" in said[0], said[1] + (folder / "LOG0/log.log").read_text()
    rows = (folder / "LOG0/output/weight01_dink34_epochs.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(epoch) for epoch in range(1, done + 3)]
    logs = [(folder / f"LOG{rank}/log.log").read_text() for rank in range(3)]
    assert all(
        f"resumed from {folder}/LOG0/output/weight01_dink34_last.ckpt" in text for text in logs
    )
    assert (
        "rank 2 of 3" in logs[2]
        and "batches of 3 x 64 x 64" in logs[2]
        and "batches of 2 x 64 x 64" in logs[0]
    )
    figures = [
        [
            line.split(": loss")[1].split(", lr")[0]
            for line in text.splitlines()
            if f"epoch {done + 2}/" in line
        ]
        for text in logs
    ]
    assert figures[0] and figures[0] == figures[1] == figures[2], (
        "all ranks agree on loss and figures"
    )


@pytest.mark.long
def test_msrun_for_real(real):
    need_cluster()
    folder, bash = real
    arguments = [
        "run_distribute_msrun_train.sh",
        "data",
        "config.yaml",
        "2",
        "--device_target=CPU",
        "--distribute_epoch_num=1",
    ]
    said = bash(*arguments).communicate(timeout=200)
    assert "all processes are done" in said[0], said[1]
    assert (
        "rank 1 of 2" in (folder / "LOG1/log.log").read_text()
        and (folder / "LOG0/output/weight01_dink34_best.ckpt").exists()
    )


@pytest.mark.slow
def test_a_rank_that_fails_before_it_has_met_the_others_ends_the_job_at_once_and_is_named(real):
    need_cluster()
    folder, bash = real
    arguments = [
        "run_distribute_msrun_train.sh",
        "data",
        "config.yaml",
        "2",
        "--device_target=CPU",
        "--distribute_epoch_num=1",
    ]
    start = time.monotonic()
    started = bash(*arguments[:2], "none.yaml", *arguments[3:])
    assert "CONFIG_PATH: there is no file none.yaml" in started.communicate(timeout=60)[1]
    started = bash(*arguments, "--pretrained_ckpt=none.ckpt")
    said = started.communicate(timeout=100)
    assert started.returncode == 1 and time.monotonic() - start < 60
    assert (
        "failed with status 2: train.py: error: pretrained_ckpt: there is no file none.ckpt"
        in said[1]
        and "rank " in said[1]
    )
