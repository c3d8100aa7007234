"""python -m tests.campaigns.places [--only=WORD,WORD] [--folder=PLACE]

Runs commands in unusual environments: read-only and full mounts, quotas, a full /tmp, a tiny
/dev/shm, limits of a cgroup, a container in which each process has the same number, a port that is
in use, another number of processes, stores that fail in the middle. Prints a table: the command,
its exit status, its line, and the lost files. Each command has its own mount namespace, and its
mounts end with it. The table also names the environments that this machine does not allow. The exit
status is 1 if there is a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable

from dlinknet.console import columns
from tests.campaigns.runs import NAME
from tests.campaigns.stage import (
    PYTHON,
    SCRIPT,
    TRAIN,
    NotHere,
    Row,
    Stage,
    judged,
    lost_of,
    mounted,
    run,
)
from tests.conftest import ROOT

CGROUPS = Path("/sys/fs/cgroup")


def read_only_output(stage: Stage) -> Iterator[Row]:
    here = stage.fresh(True)
    setup = "mount --bind out out; mount -o remount,bind,ro out"
    yield judged(
        "read-only output",
        "train",
        run([*TRAIN, "--output_path=out"], here, setup),
        2,
        words=("output_path",),
    )
    yield judged(
        "read-only output",
        "resume",
        run([*TRAIN, "--output_path=out", "--resume"], here, setup),
        2,
        lost_of(here / "out"),
        ("output_path",),
    )
    predict = [
        PYTHON,
        str(ROOT / "predict.py"),
        "--device_target=CPU",
        "--data_path=data/valid",
        "--trained_ckpt=out/roads_best.ckpt",
    ]
    yield judged(
        "read-only output",
        "predict",
        run([*predict, "--predict_path=out"], here, setup),
        2,
        words=("predict_path",),
    )
    yield judged(
        "read-only output",
        "export",
        run([*_export("out/net")], here, setup),
        2,
        words=("file_name",),
    )


def _export(name: str, formats: str = "MINDIR") -> list[str]:
    return [
        PYTHON,
        str(ROOT / "export.py"),
        "--trained_ckpt=out/roads_best.ckpt",
        f"--file_name={name}",
        f"--file_format={formats}",
        "--width=64",
        "--height=64",
        "--batch_size=1",
    ]


def read_only_elsewhere(stage: Stage) -> Iterator[Row]:
    """Make everything read-only except the folder of the results, as in a hardened container."""
    here = stage.fresh(True)
    setup = (
        f"{mounted('tmpfs', '/tmp/results', 'size=900m')}; cp -r {here} /tmp/results/work; "
        "cd /tmp/results/work; mkdir new; mount --bind new new; "
        "mount --bind . .; mount -o remount,bind,ro .; cd /tmp/results/work; "
        "export HOME=/nonexistent; mount -t tmpfs -o ro none /dev/shm"
    )
    for target in ("train", "eval"):
        command = (
            [*TRAIN, "--output_path=/tmp/results/out", "--epoch_num=1"]
            if target == "train"
            else [
                PYTHON,
                str(ROOT / "eval.py"),
                "--device_target=CPU",
                "--data_path=data/valid",
                "--label_path=data/valid",
                "--trained_ckpt=out/roads_best.ckpt",
                "--predict_path=/tmp/results/scores",
            ]
        )
        yield judged(
            "read-only working folder, data and /dev/shm", target, run(command, here, setup), 0
        )


def no_permission(stage: Stage) -> Iterator[Row]:
    if not shutil.which("setpriv") or os.getuid():
        raise NotHere("setpriv and root are needed to give up the right to write everywhere")
    here = stage.fresh(True)
    plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
    (here / "out").chmod(0o555)
    yield judged(
        "a folder without write permission",
        "resume",
        run([*TRAIN, "--output_path=out", "--resume"], here, wrapper=plain),
        2,
        lost_of(here / "out"),
        ("output_path",),
    )
    (here / "out").chmod(0o755)
    (here / "data" / "train" / "t1_sat.jpg").chmod(0)
    yield judged(
        "an image without read permission",
        "train",
        run([*TRAIN, "--output_path=new"], here, wrapper=plain),
        2,
        words=("t1_sat.jpg",),
    )
    (here / "data" / "train" / "t1_sat.jpg").chmod(0o644)
    (here / "out" / f"{NAME}_last.ckpt").chmod(0)
    yield judged(
        "a checkpoint without read permission",
        "resume",
        run([*TRAIN, "--output_path=out", "--resume", "--epoch_num=2"], here, wrapper=plain),
        (1, 2),
        words=(f"{NAME}_last.ckpt",),
    )


def immutable(stage: Stage) -> Iterator[Row]:
    here = stage.fresh(True)
    file = here / "out" / f"{NAME}_last.ckpt"
    if subprocess.run(["chattr", "+i", str(file)], capture_output=True).returncode:
        raise NotHere("this file system knows no immutable files")
    try:
        ended = run([*TRAIN, "--output_path=out", "--resume", "--epoch_num=2"], here)
    finally:
        subprocess.run(["chattr", "-i", str(file)], check=True)
    yield judged(
        "an immutable LOG_NAME_last.ckpt",
        "resume",
        ended,
        1,
        lost_of(here / "out"),
        (f"{NAME}_last.ckpt",),
    )


def full_disk(stage: Stage) -> Iterator[Row]:
    for size, done in (
        ("1m", "train, no room at all"),
        ("60m", "train, no room for the first checkpoint"),
        ("150m", "train, room for one checkpoint"),
    ):
        here = stage.fresh()
        setup = mounted("tmpfs", "out", f"size={size}")
        command = [
            "sh",
            "-c",
            shlex.join([*TRAIN, "--output_path=out"]) + "; s=$?; cp -r out kept; exit $s",
        ]
        ended = run(command, here, setup)
        lost = (
            lost_of(here / "kept")
            if size == "150m"
            else lost_of(here / "kept", ())
            if (here / "kept").exists()
            else "nothing"
        )
        yield judged(f"a disk of {size}", done, ended, 1, lost, ("No space left",))
    here = stage.fresh()
    yield judged(
        "a disk without inodes",
        "train",
        run([*TRAIN, "--output_path=out"], here, mounted("tmpfs", "out", "size=900m,nr_inodes=4")),
        1,
        words=("No space left",),
    )


def full_disk_export(stage: Stage) -> Iterator[Row]:
    for formats in ("MINDIR", "ONNX"):
        here = stage.fresh(True)
        command = [
            "sh",
            "-c",
            shlex.join(_export("exports/net", formats)) + "; s=$?; cp -r exports kept; exit $s",
        ]
        ended = run(command, here, mounted("tmpfs", "exports", "size=20m"))
        left = [file.name for file in (here / "kept").iterdir()] if (here / "kept").exists() else []
        yield judged(
            "a disk of 20m",
            f"export {formats}",
            ended,
            1,
            f"{left} was left over" if left else "nothing",
            ("exports",),
        )
    here = stage.fresh(True)
    predict = [
        PYTHON,
        str(ROOT / "predict.py"),
        "--device_target=CPU",
        "--data_path=data/valid",
        "--trained_ckpt=out/roads_best.ckpt",
        "--predict_path=exports",
        "--probabilities=npy",
    ]
    yield judged(
        "a disk of 20k",
        "predict",
        run(predict, here, mounted("tmpfs", "exports", "size=20k")),
        1,
        words=("exports", "space"),
    )


def full_tmp(stage: Stage) -> Iterator[Row]:
    """Fill the folder of temporary files. The results are in another folder."""
    fill = 'dd if=/dev/zero of="$TMPDIR/filler" bs=4k count=100 2>/dev/null || true'
    for done, command, expected in (
        ("train", [*TRAIN, "--output_path=new", "--epoch_num=1"], (0, 1)),
        ("export MINDIR", _export("new/net"), (0, 1)),
        ("export ONNX", _export("new/net", "ONNX"), (0, 1)),
        ("two processes", [*SCRIPT, "--epoch_num=1"], (0, 1, 2)),
    ):
        here = stage.fresh(True)
        setup = f"{mounted('tmpfs', 'tmp', 'size=64k')}; export TMPDIR=$PWD/tmp; {fill}"
        yield judged("a full /tmp", done, run(command, here, setup), expected)


def tiny_shm(stage: Stage) -> Iterator[Row]:
    for done, command in (
        ("train", [*TRAIN, "--output_path=new", "--epoch_num=1"]),
        ("two processes", [*SCRIPT, "--distribute_epoch_num=1"]),
    ):
        here = stage.fresh()
        yield judged(
            "/dev/shm of 64k",
            done,
            run(command, here, "mount -t tmpfs -o size=64k none /dev/shm"),
            0,
        )


def quota(stage: Stage) -> Iterator[Row]:
    image = stage.folder / "quota.img"
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    made = subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-O", "quota,project", "-E", "quotatype=prjquota", str(image)],
        capture_output=True,
        text=True,
    )
    if made.returncode:
        raise NotHere(
            f"mkfs.ext4 makes no file system with quotas: {made.stderr.strip().splitlines()[-1]}"
        )
    here = stage.fresh()
    (here / "disk").mkdir()
    tried = run(["true"], here, f"mount -o loop,prjquota {image} disk")
    if tried.status:
        raise NotHere(
            "the kernel mounts no file system with quotas "
            f"({tried.lines[0] if tried.lines else tried.status})"
        )
    setup = (
        f"mount -o loop,prjquota {image} disk; mkdir disk/out; chattr -p 7 +P disk/out; "
        "setquota -P 7 60000 60000 0 0 disk"
    )
    yield judged(
        "a quota of 60 MB",
        "train",
        run([*TRAIN, "--output_path=disk/out"], here, setup),
        1,
        words=("quota",),
    )


@contextmanager
def cgroup(controller: str, **limits: str) -> Iterator[Path]:
    """Yield a new control group with these limits.

    A process that writes its number to the group's cgroup.procs joins the group.
    """
    if not os.access(CGROUPS / controller, os.W_OK):
        raise NotHere(f"a control group cannot be made in {CGROUPS / controller}")
    place = CGROUPS / controller / f"dlinknet_{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        raise NotHere(
            f"a control group cannot be made in {CGROUPS / controller}: {error.strerror}"
        ) from None
    try:
        for name, value in limits.items():
            try:
                (place / f"{controller}.{name}").write_text(value, encoding="ascii")
            except OSError as error:
                raise NotHere(f"{controller}.{name} cannot be set: {error.strerror}") from None
        yield place
    finally:
        for _ in range(50):
            try:
                place.rmdir()
                break
            except OSError:
                time.sleep(0.1)


def cgroup_memory(stage: Stage) -> Iterator[Row]:
    for megabytes in (500, 900):
        here = stage.fresh()
        with cgroup("memory", limit_in_bytes=f"{megabytes}M") as group:
            ended = run(
                [
                    "sh",
                    "-c",
                    f'echo $$ > {group}/cgroup.procs; exec "$@"',
                    "sh",
                    *TRAIN,
                    "--output_path=out",
                    "--epoch_num=1",
                ],
                here,
            )
        killed = ended.status == -signal.SIGKILL
        yield judged(
            f"a cgroup with {megabytes} MB of memory",
            "train" + (": the kernel kills it, and nothing can say so" if killed else ""),
            ended,
            (0, 1, -signal.SIGKILL),
            lost_of(here / "out", ()),
        )
        if killed:
            again = run(
                [
                    *TRAIN,
                    "--output_path=out",
                    "--epoch_num=1",
                    *(["--resume"] if (here / "out" / f"{NAME}_last.ckpt").exists() else []),
                ],
                here,
            )
            yield judged(
                f"after a cgroup with {megabytes} MB of memory",
                "train again without it",
                again,
                0,
                lost_of(here / "out"),
            )


def cgroup_processes(stage: Stage) -> Iterator[Row]:
    for most in (4, 20):
        here = stage.fresh()
        with cgroup("pids", max=str(most)) as group:
            ended = run(
                [
                    "sh",
                    "-c",
                    f'echo $$ > {group}/cgroup.procs; exec "$@"',
                    "sh",
                    *TRAIN,
                    "--output_path=out",
                    "--epoch_num=1",
                ],
                here,
            )
        yield judged(f"a cgroup with {most} threads", "train", ended, (0, 1, 2))


def few_open_files(stage: Stage) -> Iterator[Row]:
    here = stage.fresh()
    yield judged(
        "ulimit -n 24",
        "train",
        run(
            [
                "sh",
                "-c",
                'ulimit -n 24; exec "$@"',
                "sh",
                *TRAIN,
                "--output_path=out",
                "--epoch_num=1",
            ],
            here,
        ),
        (0, 1, 2),
    )


def same_process_number(stage: Stage) -> Iterator[Row]:
    """Give all trainings the same process number, as in a container, where each is process 1.

    The files and locks that a killed training has left then have the number of the next one.
    """
    here = stage.fresh()
    alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    aim = {
        "PYTHONPATH": str(ROOT / "tests" / "campaigns" / "aim"),
        "AIM_WATCHED": str(here / "out"),
        "AIM_LIST": str(here / "list"),
        "AIM_AT": "24",
        "AIM_SECONDS": "0.01",
    }
    if run(["true"], here, wrapper=alone).status:
        raise NotHere("no PID namespace can be made")
    # The kernel ignores a KILL that process 1 sends to itself. So a shell is process 1 here, and
    # the training is process 2 each time.
    within = [*alone, "sh", "-c", '"$@"; exit $?', "sh"]
    killed = run([*TRAIN, "--output_path=out"], here, environment=aim, wrapper=tuple(within))
    left = [file.name for file in (here / "out").iterdir() if file.name.startswith(".")]
    yield Row(
        "the same process number",
        "train, killed while it writes",
        str(killed.status),
        killed.lines[-1] if killed.lines else "",
        wrong=[] if left else ["it was not killed in the middle of a file"],
    )
    again = run([*TRAIN, "--output_path=out", "--resume"], here, wrapper=tuple(within))
    yield judged(
        "the same process number", f"resume beside {left}", again, 0, lost_of(here / "out")
    )


def first_process(stage: Stage) -> Iterator[Row]:
    """Make the training itself process 1, as in a container without an init."""
    here = stage.fresh()
    alone = ("unshare", "--pid", "--fork", "--mount-proc")

    def stop(process: subprocess.Popen) -> None:
        end = time.monotonic() + 120
        while not list(here.glob("out/*_last.ckpt")) and time.monotonic() < end:
            time.sleep(0.2)
        time.sleep(1)
        children = (
            Path(f"/proc/{process.pid}/task/{process.pid}/children")
            .read_text(encoding="ascii")
            .split()
        )
        for child in children:
            os.kill(int(child), signal.SIGTERM)

    ended = run(
        [*TRAIN, "--output_path=out", "--epoch_num=50"], here, wrapper=alone, while_running=stop
    )
    yield judged("as process 1", "train, SIGTERM", ended, 143, lost_of(here / "out"))


def taken_port(stage: Stage) -> Iterator[Row]:
    here = stage.fresh()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        script = [
            "bash",
            str(ROOT / "scripts" / "run_distribute_msrun_train.sh"),
            "data/train",
            "settings.yaml",
            "2",
            "2",
            "127.0.0.1",
            str(port),
            "0",
            "--wait",
        ]
        yield judged(
            "a port in use", "msrun", run(script, here, seconds=200), (1, 2), words=("port",)
        )


def other_number_of_processes(stage: Stage) -> Iterator[Row]:
    here = stage.fresh(True)
    more = run([*SCRIPT, "--distribute_epoch_num=2", f"--resume={here}/out/{NAME}_last.ckpt"], here)
    yield judged(
        "a run of one process", "resume in two processes", more, (0, 1), lost_of(here / "out")
    )
    if more.status == 0:
        fewer = run(
            [
                *TRAIN,
                "--output_path=LOG0/output",
                "--resume",
                "--epoch_num=3",
                "--run_distribute=False",
            ],
            here,
        )
        yield judged(
            "a run of two processes",
            "resume in one process",
            fewer,
            0,
            lost_of(here / "LOG0" / "output"),
        )


def _job(url: Callable[[str], str], here: Path) -> list[str]:
    return [
        PYTHON,
        str(ROOT / "train.py"),
        "--config_path=settings.yaml",
        "--enable_modelarts=True",
        f"--data_url={url('in')}",
        f"--train_url={url('run')}",
        f"--cache_path={here}/cache",
        "--epoch_num=2",
    ]


def failing_store(stage: Stage) -> Iterator[Row]:
    try:
        import obs  # noqa: F401

        from tests.cloud.obs_server import ObsServer
    except ImportError as error:
        raise NotHere(f"no store to talk to: {error}") from None

    def job(
        done: str,
        expected: int,
        fault: Callable[[Any], None],
        later: Callable[[Any], None] = lambda server: None,
    ) -> Row:
        here, server = stage.fresh(), ObsServer()
        try:
            server.put_folder("in", here / "data" / "train")
            fault(server)

            def wait(process: subprocess.Popen) -> None:
                while process.poll() is None and not list(here.glob("cache/train/*_last.ckpt")):
                    time.sleep(0.2)
                later(server)

            ended = run(
                _job(server.url, here),
                here,
                environment=server.environment,
                while_running=wait,
                seconds=500,
            )
            stored = server.contents("run") if not getattr(server, "closed", False) else {}
            lost = lost_of(here / "cache" / "train")
            if expected == 0:
                here_too = here / "stored"
                here_too.mkdir()
                for key, content in stored.items():
                    (here_too / Path(key).name).write_bytes(content)
                lost = lost_of(here_too, ("last.ckpt", "best.ckpt", "plateau.ckpt"))
            return judged("a store", done, ended, expected, lost, (server.url("run"),))
        finally:
            if not getattr(server, "closed", False):
                server.close()

    def close(server: Any) -> None:
        server.close()
        server.server.server_close()
        server.closed = True

    yield job(
        "each third request is answered with 503", 0, lambda server: setattr(server, "every", 3)
    )
    yield job(
        "each upload of a checkpoint breaks off twice",
        0,
        lambda server: setattr(server, "cut", ["PUT", "_last.ckpt", 2]),
    )
    yield job(
        "each upload of a checkpoint breaks off, always",
        1,
        lambda server: setattr(server, "cut", ["PUT", "_best.ckpt", 10**6]),
    )
    yield job("it is gone after the first checkpoint", 1, lambda server: None, close)


PLACES: tuple[Callable[[Stage], Iterator[Row]], ...] = (
    read_only_output,
    read_only_elsewhere,
    no_permission,
    immutable,
    full_disk,
    full_disk_export,
    full_tmp,
    tiny_shm,
    quota,
    cgroup_memory,
    cgroup_processes,
    few_open_files,
    same_process_number,
    first_process,
    taken_port,
    other_number_of_processes,
    failing_store,
)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        default="",
        help="run the places whose names contain one of these words (default: all)",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=None,
        help="for all files (default: a temporary folder)",
    )
    options = parser.parse_args(arguments)
    folder = (options.folder or Path(tempfile.gettempdir()) / "dlinknet_places").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    from dlinknet.devices import runtime

    runtime.start("CPU", 0, 1)
    stage, rows = Stage(folder), []
    for place in PLACES:
        if options.only and not any(word in place.__name__ for word in options.only.split(",")):
            continue
        try:
            for row in place(stage):
                rows.append(row)
                print(json.dumps(row.__dict__), flush=True)
        except NotHere as error:
            rows.append(
                Row(place.__name__.replace("_", " "), "-", line=f"not possible here: {error}")
            )
    shown = [["place", "done", "status", "line", "lost", "as it should be"]]
    shown += [
        [
            row.place,
            row.done,
            row.status,
            row.line[:110],
            row.lost[:60],
            "; ".join(row.wrong) or "yes",
        ]
        for row in rows
    ]
    print(columns(shown))
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
