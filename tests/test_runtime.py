"""Devices: what is taken, what is refused, what is said."""
import subprocess
import sys

import pytest

from dlinknet import runtime
from dlinknet.errors import UserError


def no_devices(monkeypatch):
    monkeypatch.setattr(runtime, "_plugged_in", lambda target: False)


def test_auto_without_a_device_is_the_cpu_and_says_so_loudly(mindspore, monkeypatch):
    no_devices(monkeypatch)
    device = runtime.start("auto", 0, 1)
    assert device.target == "CPU" and str(device).startswith("*** device: CPU. Neither Ascend nor GPU works here")
    assert mindspore.__version__ in str(device)
    assert "***" not in str(runtime.start("CPU", 0, 1))


@pytest.mark.parametrize("target, words", [("Ascend", "/dev/davinci"), ("GPU", "/dev/nvidia")])
def test_a_device_that_is_not_there_is_one_line(mindspore, monkeypatch, target, words):
    no_devices(monkeypatch)
    with pytest.raises(UserError) as error:
        runtime.start(target, 0, 1)
    assert words in str(error.value) and "--device_target=auto" in str(error.value) and "\n" not in str(error.value)


def test_auto_passes_over_a_device_that_does_not_compute(mindspore, monkeypatch):
    """The probe really runs in a process of its own; a GPU that only looks plugged in fails there."""
    if any(runtime._plugged_in(target) for target in runtime.NODES):
        pytest.skip("this machine has a device")
    monkeypatch.setattr(runtime, "_plugged_in", lambda target: target == "GPU")
    device = runtime.start("auto", 0, 1)
    assert device.target == "CPU" and "GPU: " in device.refused and "GPU: not on this machine" not in device.refused


def test_what_the_user_has_set_in_the_environment_stays():
    code = ("import os; os.environ['ONEDNN_MAX_CPU_ISA'] = 'DEFAULT'; from dlinknet import runtime; "
            "runtime._prepare_environment(); print(os.environ['ONEDNN_MAX_CPU_ISA'], os.environ['GLOG_v'])")
    environment = {"PATH": "/usr/bin:/bin"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment,
                         cwd=runtime.os.path.dirname(runtime.os.path.dirname(runtime.__file__)))
    assert out.stdout.split() == ["DEFAULT", "3"], out.stderr
