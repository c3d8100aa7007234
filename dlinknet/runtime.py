"""The only file that knows devices and MindSpore versions. Call start() before any other part imports MindSpore."""
from __future__ import annotations

import ctypes
import glob
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from dlinknet.errors import UserError

# What a machine has where a device of this kind is plugged in and its driver is loaded.
NODES = {"Ascend": ("/dev/davinci[0-9]*",), "GPU": ("/dev/nvidia[0-9]*", "/dev/dxg")}
NEEDS = {"Ascend": "an Ascend with its driver and CANN", "GPU": "an NVIDIA GPU with its driver and CUDA"}
KEEP_MB = 32                    # the largest that glibc allows
PROBE = "import sys; from dlinknet import runtime; runtime._use(sys.argv[1], int(sys.argv[2]))"


@dataclass(frozen=True)
class Device:
    """Where a command computes."""

    target: str             # 'Ascend', 'GPU' or 'CPU'
    version: str            # MindSpore's
    refused: str            # why 'auto' did not take a better one; empty where nothing was passed over

    def __str__(self) -> str:
        if self.target == "CPU" and self.refused:
            return (f"*** device: CPU. Neither Ascend nor GPU works here ({self.refused}), and a CPU is slow *** "
                    f"(MindSpore {self.version}, {os.cpu_count()} cores)")
        return f"device: {self.target} (MindSpore {self.version})"


def start(target: str, device_id: int, seed: int) -> Device:
    """Prepares MindSpore: device, graph mode, seed.

    Args:
        target: 'auto', 'Ascend', 'GPU' or 'CPU'; auto takes the first of Ascend, GPU and CPU that computes something.
        device_id: which Ascend or GPU of this machine.
        seed: of the start weights.

    Raises:
        UserError: the device asked for is not there or does not work, or MindSpore is not installed.
    """
    _prepare_environment()
    _keep_freed_memory()
    try:
        import mindspore
    except ImportError as error:
        raise UserError(f"MindSpore cannot be imported ({error}): pip install -r requirements.txt") from None
    refused = []
    if target == "auto":
        for candidate in ("Ascend", "GPU"):
            reason = _why_not(candidate, device_id)
            if not reason:
                target = candidate
                break
            refused.append(f"{candidate}: {reason}")
        else:
            target = "CPU"
    elif target != "CPU" and not _plugged_in(target):
        raise UserError(f"device_target: no {target} on this machine ({' or '.join(NODES[target])} is missing): it takes "
                        f"{NEEDS[target]}; --device_target=auto takes what there is")
    try:
        _use(target, device_id)
    except Exception as error:  # noqa: BLE001  (MindSpore raises many kinds here)
        raise UserError(f"device_target: {target} {device_id} does not work: {_first_line(error)}; it takes "
                        f"{NEEDS.get(target, 'a CPU build of MindSpore')}") from None
    mindspore.set_seed(seed)
    return Device(target, mindspore.__version__, "; ".join(refused))


def _prepare_environment() -> None:
    """Settings that MindSpore and its libraries read once; what the user has set stays."""
    # 3 is errors only: MindSpore's warnings are about its own insides (names that will be deprecated).
    os.environ.setdefault("GLOG_v", "3")
    # With AVX-512, oneDNN 3.10 picks its reference convolutions, a hundred times too slow.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    # Compiled kernels go to a folder of their own rather than to wherever the user stands.
    os.environ.setdefault("MS_COMPILER_CACHE_PATH", os.path.join(tempfile.gettempdir(), f"dlinknet_kernels_{os.getuid()}"))


def _keep_freed_memory() -> None:
    """Has glibc keep the memory of images for the next ones instead of giving it back; reading is a tenth faster."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt(-3, KEEP_MB << 20)      # M_MMAP_THRESHOLD: blocks up to this size come from the heap
        library.mallopt(-1, 1 << 30)            # M_TRIM_THRESHOLD: so much of it is kept
    except (AttributeError, OSError):
        return                                  # another C library: as it is


def _plugged_in(target: str) -> bool:
    return any(glob.glob(pattern) for pattern in NODES[target])


def _why_not(target: str, device_id: int) -> str:
    """Why a device cannot be used, in a few words; empty where it computes."""
    if not _plugged_in(target):
        return "not on this machine"
    # In a process of its own: a device that fails while it starts can take the whole process with it.
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE, target, str(device_id)], capture_output=True, text=True,
                               timeout=300, cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    except subprocess.TimeoutExpired:
        return "did not answer in 300 s"
    lines = [line for line in probe.stderr.splitlines() if line.strip()]
    return "" if probe.returncode == 0 else (lines[-1][:200] if lines else f"ended with status {probe.returncode}")


def _use(target: str, device_id: int) -> None:
    """Chooses a device and computes something on it."""
    import mindspore

    if hasattr(mindspore, "set_device"):
        mindspore.set_device(target, device_id if target != "CPU" else 0)
    else:
        mindspore.set_context(device_target=target, **({"device_id": device_id} if target != "CPU" else {}))
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    if target == "CPU":
        return
    total = mindspore.ops.ReduceSum()(mindspore.Tensor([1.0, 2.0], mindspore.float32))
    if float(total.asnumpy()) != 3.0:
        raise RuntimeError("1 + 2 is not 3 there")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" -")]
    return lines[0][:200] if lines else type(error).__name__
