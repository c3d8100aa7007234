"""The end of a command: one line and a status, also without memory or a reader."""

import errno
import json
import os
import resource
import subprocess
import sys

import pytest

from dlinknet.errors import RunFailed, UserError, is_out_of_memory, run_command
from tests.conftest import ROOT, refused


def raising(error):
    def main(arguments):
        raise error

    return main


@pytest.mark.parametrize(
    "error, status, line",
    [
        (UserError("data_path: none"), 2, "data_path: none"),
        (RunFailed("the loss is nan"), 1, "the loss is nan"),
        (
            OSError(errno.ENOSPC, "No space left on device", "a.png"),
            1,
            "a.png: No space left on device",
        ),
        (MemoryError(), 1, "out of memory: MemoryError; lower --tile_size"),
        (
            RuntimeError(
                "\n-----\n- Memory not enough:\n-----\n"
                "Memory isn't enough and alloc failed, kernel name: Conv2D"
            ),
            1,
            "out of memory: - Memory not enough:; lower --tile_size",
        ),
        (
            RunFailed("a.onnx cannot be computed: std::bad_alloc"),
            1,
            "a.onnx cannot be computed: std::bad_alloc; lower --tile_size",
        ),
    ],
)
def test_an_error_is_one_line(capsys, error, status, line):
    with pytest.raises(SystemExit) as end:
        run_command(raising(error), memory=lambda: "--tile_size")
    err = capsys.readouterr().err
    assert end.value.code == status and err.endswith(f": error: {line}\n") and err.count("\n") == 1


def test_a_fault_of_dlinknet_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_command(lambda arguments: 1 / 0)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("Allocate output memory failed, alloc node:Default/Assign-op0 alloc size:4B"),
        RuntimeError("Allocate memory failed"),
        RuntimeError("Resource temporarily unavailable"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("cudaMalloc failed, ret[2], out of memory"),
        ValueError("Unable to allocate 3.2 GiB for an array with shape (1, 2)"),
        RuntimeError(
            "OpenCV(4.6.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 3 "
            "bytes in function 'OutOfMemoryError'"
        ),
        RuntimeError(
            "Memory isn't enough and alloc failed, kernel name: Default/Conv2D-op1, "
            "alloc size: 268435456B."
        ),
    ],
)
def test_what_libraries_say_of_too_little_memory_is_known(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("The input shapes do not fit"),
        RuntimeError("could not create a primitive descriptor for a pooling"),
        OSError(errno.ENOSPC, "No space left on device"),
        UserError("memory_file is missing"),
    ],
)
def test_other_errors_are_not_taken_for_too_little_memory(error):
    assert not is_out_of_memory(error)


@pytest.mark.parametrize("stdout", [">&-", ">/dev/full"])
@pytest.mark.parametrize(
    "command", ["-m dlinknet rank-table --rank_table=t.json", f"{ROOT}/train.py --help"]
)
def test_a_result_that_nobody_gets_is_status_1(tmp_path, command, stdout):
    server = {
        "server_id": "s",
        "device": [{"device_id": "0", "device_ip": "192.168.100.1", "rank_id": "0"}],
    }
    (tmp_path / "t.json").write_text(json.dumps({"status": "completed", "server_list": [server]}))
    result = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" {command} {stdout}'],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
    )
    refused(result, "the result cannot be printed: standard output: ", status=1)


@pytest.mark.long
@pytest.mark.parametrize("gigabytes", [2.2, 3.4])
def test_a_training_with_too_little_memory_says_so_in_one_line(tmp_path, stripe_data, gigabytes):
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 1e9), int(gigabytes * 1e9)))

    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / "train.py"),
            f"--data_path={stripe_data}",
            f"--output_path={tmp_path}/out",
            "--epoch_num=1",
            "--model_name=linknet18",
            "--device_target=CPU",
            "--train_size=256",
            "--batch_size=16",
        ],
        text=True,
        capture_output=True,
        preexec_fn=limit,
        timeout=300,
    )
    refused(
        result,
        "out of memory with a step of 16 x 256 x 256 (batch x height x width): "
        "lower the batch size or the crop size",
        "weight01_dink34_last.ckpt is whole (epoch 0, step 0); --resume goes on from it",
        status=1,
    )
