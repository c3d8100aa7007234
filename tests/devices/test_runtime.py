"""Devices: which one is chosen, which ones are rejected, and the messages."""

import os
import subprocess
import sys

import mindspore
import pytest

from dlinknet.devices import available, context, runtime
from dlinknet.devices.context import ComputeOptions
from dlinknet.devices.environment import FROM_ENVIRONMENT
from dlinknet.devices.launcher import Launch, find_launch
from dlinknet.errors import InputError, UserError
from tests.conftest import ROOT


def no_devices(monkeypatch):
    monkeypatch.setattr(available, "is_plugged_in", lambda target: False)


def test_auto_without_a_device_is_the_cpu_and_says_so_loudly(monkeypatch):
    no_devices(monkeypatch)
    device = runtime.start("auto", 0, 1)
    assert device.target == "CPU" and str(device).startswith(
        "*** device: CPU. Neither Ascend nor GPU works here"
    )
    assert mindspore.__version__ in str(device)
    assert "***" not in str(runtime.start("CPU", 0, 1))


@pytest.mark.parametrize("target, words", [("Ascend", "/dev/davinci"), ("GPU", "/dev/nvidia")])
def test_a_device_that_is_not_there_is_one_line(monkeypatch, target, words):
    no_devices(monkeypatch)
    with pytest.raises(InputError) as error:
        runtime.start(target, 0, 1)
    assert (
        words in str(error.value)
        and "--device_target=auto" in str(error.value)
        and "\n" not in str(error.value)
    )


def test_what_is_missing_for_a_device_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(available, "is_plugged_in", lambda target: True)
    for name in available.CANN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(available, "CANN_FOLDERS", (str(tmp_path / "latest"),))
    assert (
        "CANN is not set up (ASCEND_TOOLKIT_HOME, ASCEND_HOME_PATH and ASCEND_OPP_PATH are empty, "
        "and it is not in /usr/local/Ascend)" in available.find_lack("Ascend")
    )
    (tmp_path / "latest").mkdir()  # MindSpore 2.0 finds it there without the variables
    assert available.find_lack("Ascend") == ""
    (tmp_path / "latest").rmdir()
    monkeypatch.setenv("ASCEND_OPP_PATH", "/opt/opp")
    assert available.find_lack("Ascend") == ""
    monkeypatch.delenv("ASCEND_OPP_PATH")
    monkeypatch.setenv("ASCEND_HOME_PATH", "/usr/local/Ascend/latest")
    assert available.find_lack("Ascend") == ""
    monkeypatch.setattr(mindspore, "__file__", "/elsewhere/mindspore/__init__.py")
    assert "does not support it (libmindspore_ascend.so* is missing)" in available.find_lack(
        "Ascend"
    )
    assert "does not support it (libmindspore_gpu.so* is missing)" in available.find_lack("GPU")


def devices_chosen(monkeypatch, device_id, launch=None, target="Ascend"):
    """Return the devices that MindSpore is asked for. The device itself is a stand-in."""
    chosen = []
    monkeypatch.setattr(available, "find_lack", lambda target: "")
    monkeypatch.setattr(context, "configure", lambda target, number, how: chosen.append(number))
    monkeypatch.setattr(runtime, "_compute", lambda target: None)
    monkeypatch.setattr(runtime, "_join", lambda target, launch: (0, launch.size))
    runtime.start(target, device_id, 1, launch=launch)
    return chosen


def test_the_device_is_that_of_launcher_setting_or_environment(monkeypatch):
    monkeypatch.setenv("DEVICE_ID", "3")
    assert devices_chosen(monkeypatch, FROM_ENVIRONMENT) == [3]
    assert devices_chosen(monkeypatch, 0) == [0]
    assert devices_chosen(monkeypatch, 0, Launch("cluster", 8, 5)) == [5]
    monkeypatch.setenv("RANK_TABLE_FILE", "/of/a/job.json")
    monkeypatch.setenv("DEVICE_ID", "npu3")
    with pytest.raises(InputError, match="^DEVICE_ID in the environment must be a whole number"):
        devices_chosen(monkeypatch, FROM_ENVIRONMENT)
    assert devices_chosen(monkeypatch, FROM_ENVIRONMENT, target="CPU") == [0]
    assert "RANK_TABLE_FILE" not in os.environ


def test_the_installed_version_is_found_without_an_import():
    assert mindspore.__version__.startswith("{}.{}.".format(*available.installed_version()))


@pytest.mark.parametrize(
    "target, words", [("Ascend", "libge_runner.so: cannot open shared object file"), ("GPU", "GPU")]
)
def test_a_device_whose_libraries_are_missing_is_one_line(target, words):
    """The plugin of the wheel really fails to load here, with a page of C++."""
    if available.is_plugged_in(target):
        pytest.skip("this machine has such a device")
    code = (
        "from dlinknet.devices import available, runtime as r\n"
        "available.is_plugged_in = lambda target: True\n"
        f"try:\n    r.start({target!r}, 3, 1)\nexcept r.InputError as error:\n    print(error)"
    )
    environment = {**os.environ, "ASCEND_HOME_PATH": "/usr/local/Ascend/latest"}
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment
    ).stdout
    (line,) = [line for line in out.splitlines() if " 3 does not work: " in line]
    assert line.startswith(f"{target} 3 does not work: ") and words in line, line
    assert line.endswith(runtime.NEEDS[target])


def test_what_is_called_for_a_device_is_known_to_this_mindspore():
    """On a CPU, this MindSpore ignores or accepts the settings of absent devices."""
    code = """
import inspect
from dlinknet.devices import runtime as r
device = r.start("CPU", 0, 1)
import mindspore
from mindspore import communication
mindspore.set_context(disable_format_transform=True)
if not device.version.startswith("2.0"):
    mindspore.set_context(gpu_config={"conv_allow_tf32": False, "matmul_allow_tf32": False})
if hasattr(mindspore, "device_context"):
    precision = mindspore.device_context.ascend.op_precision
    inspect.signature(precision.conv_allow_hf32).bind(False)
    inspect.signature(precision.precision_mode).bind("allow_fp32_to_fp16")
assert r.context.ascend_chip() == "" or not device.version.startswith("2.0")
if hasattr(mindspore, "set_device"):
    inspect.signature(mindspore.set_device).bind("Ascend", 3)
else:
    mindspore.set_context(device_target="CPU", device_id=3)
mindspore.set_auto_parallel_context(
    parallel_mode="data_parallel", gradients_mean=True, device_num=2)
for function in (communication.init, communication.get_rank, communication.get_group_size):
    inspect.signature(function).bind()
print("all are known")
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert said.stdout.endswith("all are known\n"), said.stderr


def test_mindspore_2_0_says_that_it_has_no_processes_on_a_cpu(monkeypatch):
    if not mindspore.__version__.startswith("2.0"):
        pytest.skip("this MindSpore can")
    monkeypatch.setenv("MS_ROLE", "MS_WORKER")
    monkeypatch.setenv("MS_WORKER_NUM", "2")
    with pytest.raises(
        InputError,
        match="^MindSpore 2.0.* cannot run several processes on a CPU",
    ):
        runtime.start("CPU", 0, 1, launch=find_launch())


@pytest.mark.skipif(
    not hasattr(mindspore, "device_context"), reason="this MindSpore has no device_context"
)
@pytest.mark.parametrize(
    "chip, hf32, expected",
    [
        ("ascend910b", True, []),
        ("ascend910b", False, [("hf32", False)]),
        ("ascend910", True, [("mode", "allow_fp32_to_fp16")]),
    ],
)
def test_the_precision_of_an_ascend(monkeypatch, chip, hf32, expected):
    """The functions of MindSpore are stand-ins that record their calls."""
    called = []
    precision = mindspore.device_context.ascend.op_precision
    monkeypatch.setattr(precision, "conv_allow_hf32", lambda on: called.append(("hf32", on)))
    monkeypatch.setattr(precision, "precision_mode", lambda mode: called.append(("mode", mode)))
    monkeypatch.setattr(context, "ascend_chip", lambda: chip)
    context._set_ascend_precision(hf32)
    assert called == expected


def test_the_level_of_the_compiler(monkeypatch):
    """set_context is a stand-in that records its calls."""
    called = []
    monkeypatch.setattr(mindspore, "set_context", lambda **settings: called.append(settings))
    context.configure("CPU", 0, ComputeOptions())
    assert not [settings for settings in called if "jit_config" in settings]
    context.configure("CPU", 0, ComputeOptions(jit_level="O1"))
    assert called[-1] == {"jit_config": {"jit_level": "O1"}}


@pytest.mark.skipif(
    not mindspore.__version__.startswith("2.0"), reason="this MindSpore has the level"
)
def test_an_old_mindspore_has_no_level_of_the_compiler():
    with pytest.raises(UserError, match="^jit_level=O2: MindSpore 2.0.0 has no such setting"):
        context.configure("CPU", 0, ComputeOptions(jit_level="O2"))


@pytest.mark.parametrize(
    "target, chip, refused",
    [
        ("CPU", "", "on CPU; O2 is the same in float16"),
        ("GPU", "", "on GPU; O2 is"),
        ("Ascend", "ascend910", "on ascend910; O2 is"),
        ("Ascend", "ascend310p", "on ascend310p; O2 is"),
        ("Ascend", "", "on Ascend; O2 is"),
        ("Ascend", "ascend910b", None),
        ("Ascend", "ascend910_93", None),
    ],
)
def test_bfloat16_is_refused_where_a_device_has_none(monkeypatch, target, chip, refused):
    monkeypatch.setattr(mindspore, "get_context", lambda name: target)
    monkeypatch.setattr(context, "ascend_chip", lambda: chip)
    if refused is None:
        runtime.need_bfloat16("BF16")
    else:
        with pytest.raises(InputError, match=f"^BF16 requires an Ascend 910B .*{refused}"):
            runtime.need_bfloat16("BF16")


def test_auto_passes_over_a_device_that_does_not_compute(monkeypatch):
    """The probe really runs in its own process; a GPU that only seems plugged in fails there."""
    if any(available.is_plugged_in(target) for target in available.NODES):
        pytest.skip("this machine has a device")
    monkeypatch.setattr(available, "is_plugged_in", lambda target: target == "GPU")
    device = runtime.start("auto", 0, 1)
    assert (
        device.target == "CPU"
        and "GPU: " in device.refused
        and "GPU: not on this machine" not in device.refused
    )


def test_what_the_user_has_set_in_the_environment_stays():
    code = (
        "import os; os.environ['ONEDNN_MAX_CPU_ISA'] = 'DEFAULT'; "
        "from dlinknet.devices import runtime; "
        "runtime._prepare_environment(); "
        "print(os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['GLOG_v'])"
    )
    environment = {"PATH": "/usr/bin:/bin"}
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert out.stdout.split() == ["DEFAULT", "3"], out.stderr
