"""Start MindSpore on a device. Call start() before any other part imports MindSpore.

Only this file and context.py set devices. Only they and available.py know versions of MindSpore.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from dataclasses import dataclass

from dlinknet import signals
from dlinknet.devices import available, context
from dlinknet.devices.context import ComputeOptions
from dlinknet.devices.environment import FROM_ENVIRONMENT, device_of_environment, set_rank_table
from dlinknet.devices.launcher import Launch
from dlinknet.errors import InputError, RunFailed, UserError, first_line
from dlinknet.threads import usable_cores

NEEDS = {
    "Ascend": "an Ascend with its driver and CANN",
    "GPU": "an NVIDIA GPU with its driver and CUDA",
}
# Settings of glibc's malloc, by their numbers in malloc.h. MMAP_BYTES is the most that it allows.
M_MMAP_THRESHOLD, MMAP_BYTES = -3, 32 << 20  # blocks up to this size come from the heap
M_TRIM_THRESHOLD, TRIM_BYTES = -1, 1 << 30  # the heap keeps free memory up to this size
DEFAULT_OPTIONS = ComputeOptions()


@dataclass(frozen=True)
class Device:
    """The device on which a command computes.

    target: 'Ascend', 'GPU' or 'CPU'.
    version: the version of MindSpore.
    refused: why 'auto' did not choose a better device; empty if there was no better one.
    rank: the number of this process among those of a training.
    size: the number of processes of the training.
    """

    target: str
    version: str
    refused: str = ""
    rank: int = 0
    size: int = 1

    def __str__(self) -> str:
        many = f", rank {self.rank} of {self.size}, process {os.getpid()}" if self.size > 1 else ""
        if self.target == "CPU" and self.refused:
            return (
                f"*** device: CPU. Neither Ascend nor GPU works here ({self.refused}), and a CPU "
                f"is slow *** (MindSpore {self.version}, {usable_cores()} cores{many})"
            )
        return f"device: {self.target} (MindSpore {self.version}{many})"


def start(
    target: str,
    device_id: int,
    seed: int,
    options: ComputeOptions = DEFAULT_OPTIONS,
    launch: Launch | None = None,
) -> Device:
    """Prepare MindSpore: device, graph mode, seed, and the connection to the other processes.

    Args:
        target: 'auto', 'Ascend', 'GPU' or 'CPU'. auto chooses the first of Ascend, GPU and CPU that
            computes something.
        device_id: the number of the Ascend or GPU on this machine, if no launcher names one.
            FROM_ENVIRONMENT: the one that the environment names.
        seed: the random seed of the start weights.
        options: how the device compiles graphs and computes.
        launch: this process among those of its training; None for a single process.

    Raises:
        UserError: the device is not there or does not work, its number in the environment is not a
            number, or MindSpore is not installed.
        RunFailed: this process could not connect to the others.
    """
    if launch is not None and launch.device_id is not None:
        device_id = launch.device_id
    elif device_id == FROM_ENVIRONMENT:
        device_id = device_of_environment() if target != "CPU" else 0
    set_rank_table(launch.table if launch else "")
    _prepare_environment()
    _keep_freed_memory()
    try:
        import mindspore
    except ImportError as error:
        raise UserError(
            f"MindSpore cannot be imported ({error}): pip install -r requirements.txt"
        ) from None
    _count_file_cache_as_free()
    refused = ""
    if target == "auto":
        target, refused = available.best_device(device_id)
    elif target != "CPU" and (lack := available.find_lack(target)):
        raise InputError(
            f"no {target}", f"can be used: {lack}; --device_target=auto uses what there is"
        )
    rank, size = _begin(target, device_id, options, launch)
    mindspore.set_seed(seed)
    signals.take_back()
    return Device(target, mindspore.__version__, refused, rank, size)


def try_device(target: str, device_id: int) -> None:
    """Compute something on a device. A device that fails may end this process."""
    context.configure(target, device_id, DEFAULT_OPTIONS)
    _compute(target)


def version() -> str:
    """Return MindSpore's version."""
    import mindspore

    return str(mindspore.__version__)


def computes_on(target: str) -> bool:
    """Return whether MindSpore computes on a kind of device: 'Ascend', 'GPU' or 'CPU'."""
    import mindspore

    return bool(mindspore.get_context("device_target") == target)


def need_dynamic_shapes() -> None:
    """Raise InputError if this MindSpore cannot run a MINDIR file for images of any size."""
    if version().startswith("2.0"):
        raise InputError(
            f"MindSpore {version()}",
            "cannot run a MINDIR file for images of any size: it crashes at the second size; "
            "2.7 and 2.10 were tried and can",
        )


def need_ascend(what: str) -> None:
    """Raise InputError if there is no Ascend that can be used.

    Args:
        what: the thing that requires an Ascend. The error's line begins with it.
    """
    if lack := available.find_lack("Ascend"):
        raise InputError(what, f"requires an Ascend, and there is none: {lack}")


def need_bfloat16(what: str) -> None:
    """Raise InputError if the device in use does not compute in bfloat16.

    Args:
        what: the thing that requires bfloat16. The error's line begins with it.
    """
    import mindspore

    target = mindspore.get_context("device_target")
    chip = context.ascend_chip() if target == "Ascend" else ""
    if not chip.startswith("ascend9") or chip == context.ASCEND_910A:
        raise InputError(
            what,
            "requires an Ascend 910B or later and MindSpore 2.2 or later. This is MindSpore "
            f"{version()} on {chip or target}; O2 is the same in float16",
        )


def run_eagerly() -> None:
    """Have networks run operator by operator, without compiling a graph, to inspect them."""
    import mindspore

    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


def _prepare_environment() -> None:
    """Set variables that MindSpore and its libraries read once. A value of the user's stays."""
    # 3 logs only errors: MindSpore's warnings concern its own code, such as deprecated names.
    os.environ.setdefault("GLOG_v", "3")
    if not any(map(available.is_plugged_in, available.NODES)):
        # If memory is short on a CPU, these two modules log lines before they raise the error.
        os.environ.setdefault("MS_SUBMODULE_LOG_v", "{DEVICE:4,RUNTIME_FRAMEWORK:4}")
    # With AVX-512, oneDNN 3.10 chooses its reference convolutions, a hundred times too slow.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    # Without this, MindSpore writes compiled kernels to the current folder.
    kernels = os.path.join(tempfile.gettempdir(), f"dlinknet_kernels_{os.getuid()}")
    os.environ.setdefault("MS_COMPILER_CACHE_PATH", kernels)
    # Without this, a network that does not compile leaves rank_0/om/analyze_fail.ir there.
    os.environ.setdefault("MS_OM_PATH", kernels)


def _keep_freed_memory() -> None:
    """Have glibc keep an image's memory for the next one. It makes reading a tenth faster."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
    except (AttributeError, OSError):
        return  # another C library


def _count_file_cache_as_free() -> None:
    """Let checkpoints load if the kernel's cache of files fills the memory."""
    # 2.10's load_checkpoint rejects a file that is larger than the unused memory. It counts the
    # cache as used, although the kernel gives it up when memory is needed. A server that has read
    # its data set once has hardly any unused memory.
    from mindspore.train import serialization

    if hasattr(serialization, "_get_available_memory"):
        serialization._get_available_memory = lambda: None


def _begin(
    target: str, device_id: int, options: ComputeOptions, launch: Launch | None
) -> tuple[int, int]:
    """Choose a device, connect to the other processes, and compute. Return (rank, size).

    Raises:
        InputError: the device does not work.
    """
    rank, size = 0, 1
    try:
        context.configure(target, device_id, options)
        if launch is not None:
            rank, size = _join(target, launch)
        _compute(target)
    except (UserError, RunFailed):
        raise
    except Exception as error:  # noqa: BLE001  (MindSpore raises many kinds here)
        needs = NEEDS.get(target, "a CPU build of MindSpore")
        raise InputError(
            f"{target} {device_id}",
            f"does not work: {_reason(error, target)}; it requires {needs}",
        ) from None
    return rank, size


def _join(target: str, launch: Launch) -> tuple[int, int]:
    """Connect to the other processes. Return (rank, size).

    A process that only connects the others ends here, after they have ended.
    """
    import mindspore
    from mindspore import communication

    if target == "CPU" and mindspore.__version__.startswith("2.0"):
        raise InputError(
            f"MindSpore {mindspore.__version__}",
            "cannot run several processes on a CPU; 2.10 was tried and can",
        )
    try:
        communication.init()
    except Exception as error:  # noqa: BLE001  (RuntimeError and others, with pages of C++)
        raise RunFailed(
            f"the {launch.size} processes did not come together: {first_line(error)}"
        ) from None
    if launch.schedules:
        sys.exit()
    rank, size = communication.get_rank(), communication.get_group_size()
    mindspore.set_auto_parallel_context(
        parallel_mode="data_parallel", gradients_mean=True, device_num=size
    )
    return rank, size


def _compute(target: str) -> None:
    """Compute something, so that a device that does not work fails here."""
    import mindspore

    if target == "CPU":
        return
    total = mindspore.ops.ReduceSum()(mindspore.Tensor([1.0, 2.0], mindspore.float32))
    if float(total.asnumpy()) != 3.0:
        raise RuntimeError("1 + 2 does not give 3")


def _reason(error: Exception, target: str) -> str:
    """Return why a device does not work: the library that it lacks, else MindSpore's first line."""
    plugin = f"Load dynamic library: libmindspore_{target.lower()}."
    lacks = [
        line.strip().split(" failed. ")[-1]
        for line in str(error).splitlines()
        if line.strip().startswith(plugin)
    ]
    return lacks[0][:200] if lacks else first_line(error)
