"""The only file that knows devices and MindSpore versions. Call start() before any other part imports MindSpore."""

from __future__ import annotations

import ctypes
import glob
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dlinknet import signals
from dlinknet.devices.launcher import Launch, launched
from dlinknet.devices.rank_table import for_hccl
from dlinknet.errors import InputError, RunFailed, UserError, first_line

# What a machine has where a device of this kind is plugged in and its driver is loaded.
NODES = {"Ascend": ("/dev/davinci[0-9]*",), "GPU": ("/dev/nvidia[0-9]*", "/dev/dxg")}
NEEDS = {
    "Ascend": "an Ascend with its driver and CANN",
    "GPU": "an NVIDIA GPU with its driver and CUDA",
}
KEEP_MB = 32  # the largest that glibc allows
CANN = ("ASCEND_TOOLKIT_HOME", "ASCEND_HOME_PATH")
PROBE = "import sys; from dlinknet.devices import runtime as r; r._choose(sys.argv[1], int(sys.argv[2]), True); r._compute(sys.argv[1])"


@dataclass(frozen=True)
class Device:
    """Where a command computes."""

    target: str  # 'Ascend', 'GPU' or 'CPU'
    version: str  # MindSpore's
    refused: str = ""  # why 'auto' did not take a better one; empty where nothing was passed over
    rank: int = 0  # which of the processes of a training this is
    size: int = 1  # how many there are

    def __str__(self) -> str:
        many = f", rank {self.rank} of {self.size}, process {os.getpid()}" if self.size > 1 else ""
        if self.target == "CPU" and self.refused:
            return (
                f"*** device: CPU. Neither Ascend nor GPU works here ({self.refused}), and a CPU is slow *** "
                f"(MindSpore {self.version}, {os.cpu_count()} cores{many})"
            )
        return f"device: {self.target} (MindSpore {self.version}{many})"


def start(
    target: str, device_id: int, seed: int, tf32: bool = True, distribute: bool = False
) -> Device:
    """Prepares MindSpore: device, graph mode, seed, and the connection to the other processes of a training.

    Args:
        target: 'auto', 'Ascend', 'GPU' or 'CPU'; auto takes the first of Ascend, GPU and CPU that computes something.
        device_id: which Ascend or GPU of this machine, where no launcher says it.
        seed: of the start weights.
        tf32: whether float32 convolutions may round their inputs to TF32 (GPU) or HF32 (Ascend 910B).
        distribute: one of several processes, which a launcher has started.

    Raises:
        UserError: the device asked for is not there or does not work, MindSpore is not installed, or no launcher started this
            process.
        RunFailed: the other processes did not come.
    """
    launch = _launch() if distribute else None
    if launch is not None and launch.device_id is not None:
        device_id = launch.device_id
    if launch is not None and launch.table:
        os.environ["RANK_TABLE_FILE"] = for_hccl(launch.table)
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
        target, refused = _best(device_id)
    elif target != "CPU" and (lack := _missing(target)):
        raise InputError(
            f"no {target}", f"can be used: {lack}; --device_target=auto uses what there is"
        )
    rank, size = 0, 1
    try:
        _choose(target, device_id, tf32)
        if launch is not None:
            rank, size = _join(target, launch)
        _compute(target)
    except (UserError, RunFailed):
        raise
    except Exception as error:  # noqa: BLE001  (MindSpore raises many kinds here)
        raise InputError(
            f"{target} {device_id}",
            f"does not work: {_reason(error, target)}; it requires "
            f"{NEEDS.get(target, 'a CPU build of MindSpore')}",
        ) from None
    mindspore.set_seed(seed)
    signals.take_back()
    return Device(target, mindspore.__version__, refused, rank, size)


def version() -> str:
    """MindSpore's."""
    import mindspore

    return mindspore.__version__


def need_dynamic_shapes() -> None:
    """Raise InputError if this MindSpore cannot run a MINDIR file for images of any size."""
    if version().startswith("2.0"):
        raise InputError(
            f"MindSpore {version()}",
            "dies on the second size of a MINDIR file for any size; a later MindSpore is required "
            "(2.7 works)",
        )


def need_ascend(what: str) -> None:
    """Raise InputError if there is no Ascend that can be used.

    Args:
        what: what requires one, as the error's line begins.
    """
    if lack := _missing("Ascend"):
        raise InputError(what, f"requires an Ascend, and there is none: {lack}")


def run_eagerly() -> None:
    """Has networks run operator by operator, without compiling a graph; for a look into them."""
    import mindspore

    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


def _best(device_id: int) -> tuple[str, str]:
    """(the best device that computes something, why better ones do not)."""
    refused = []
    for candidate in ("Ascend", "GPU"):
        reason = _missing(candidate) or _why_not(candidate, device_id)
        if not reason:
            return candidate, "; ".join(refused)
        refused.append(f"{candidate}: {reason}")
    return "CPU", "; ".join(refused)


def refuse_lonely(distribute: bool) -> None:
    """UserError where this is one of several processes that a launcher started, and run_distribute does not say so."""
    try:
        launch = None if distribute else launched(os.environ)
    except UserError:
        return  # variables that an earlier job has left
    if launch is not None and launch.size > 1:
        raise UserError(
            f"run_distribute is False, but {launch.size} processes were started ({launch.way}), each of which would "
            "train on its own into the same files: set it to True"
        )


def _launch() -> Launch:
    launch = launched(os.environ)
    if launch is None:
        raise UserError(
            "run_distribute: no launcher started this process (neither MS_ROLE, OMPI_COMM_WORLD_SIZE nor "
            "RANK_TABLE_FILE with RANK_ID is in the environment): use scripts/run_distribute_*_train.sh or msrun, or "
            "--run_distribute=False for one process"
        )
    return launch


def _prepare_environment() -> None:
    """Settings that MindSpore and its libraries read once; what the user has set stays."""
    # 3 is errors only: MindSpore's warnings are about its own insides (names that will be deprecated).
    os.environ.setdefault("GLOG_v", "3")
    if not any(_plugged_in(target) for target in NODES):
        # Where memory is short on a CPU, these two say so in lines of their own before they raise the error that says it.
        os.environ.setdefault("MS_SUBMODULE_LOG_v", "{DEVICE:4,RUNTIME_FRAMEWORK:4}")
    # With AVX-512, oneDNN 3.10 picks its reference convolutions, a hundred times too slow.
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    # Compiled kernels go to a folder of their own rather than to wherever the user stands.
    kernels = os.path.join(tempfile.gettempdir(), f"dlinknet_kernels_{os.getuid()}")
    os.environ.setdefault("MS_COMPILER_CACHE_PATH", kernels)
    os.environ.setdefault(
        "MS_OM_PATH", kernels
    )  # rank_0/om/analyze_fail.ir, where a network does not compile


def _keep_freed_memory() -> None:
    """Has glibc keep the memory of images for the next ones instead of giving it back; reading is a tenth faster."""
    try:
        library = ctypes.CDLL(None)
        library.mallopt(
            -3, KEEP_MB << 20
        )  # M_MMAP_THRESHOLD: blocks up to this size come from the heap
        library.mallopt(-1, 1 << 30)  # M_TRIM_THRESHOLD: so much of it is kept
    except (AttributeError, OSError):
        return  # another C library: as it is


def _count_file_cache_as_free() -> None:
    """Has checkpoints load on a machine whose memory is full of files' contents that the kernel keeps in case."""
    # 2.10's load_checkpoint refuses a file that is larger than the memory nobody uses, and takes that cache, which is given up
    # when it is needed, for used. A server that has read its data set once has hardly any memory that is free in this sense.
    from mindspore.train import serialization

    if hasattr(serialization, "_get_available_memory"):
        serialization._get_available_memory = lambda: None


def _missing(target: str) -> str:
    """The first thing that this machine lacks to use a device, in words; empty where nothing is missing."""
    if not _plugged_in(target):
        return f"none is plugged in, or its driver is not loaded ({' or '.join(NODES[target])} is missing)"
    plugin = f"libmindspore_{target.lower()}.so*"
    import mindspore

    if not glob.glob(os.path.join(os.path.dirname(mindspore.__file__), "lib", "plugin", plugin)):
        return f"this MindSpore {mindspore.__version__} is a wheel without it ({plugin} is missing)"
    if target == "Ascend" and not any(os.environ.get(name) for name in CANN):
        return f"CANN is not set up ({' and '.join(CANN)} are empty): source set_env.sh in its folder, often /usr/local/Ascend"
    return ""


def _plugged_in(target: str) -> bool:
    return any(glob.glob(pattern) for pattern in NODES[target])


def _why_not(target: str, device_id: int) -> str:
    """Why a device cannot be used, in a few words; empty where it computes."""
    # In a process of its own: a device that fails while it starts can take the whole process with it.
    alone = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MS_ROLE", "OMPI_"))
    }
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE, target, str(device_id)],
            capture_output=True,
            text=True,
            env=alone,
            timeout=300,
            cwd=Path(__file__).resolve().parents[2],
        )
    except subprocess.TimeoutExpired:
        return "did not answer in 300 s"
    lines = [line for line in probe.stderr.splitlines() if line.strip()]
    return (
        ""
        if probe.returncode == 0
        else (lines[-1][:200] if lines else f"ended with status {probe.returncode}")
    )


def _choose(target: str, device_id: int, tf32: bool) -> None:
    """Chooses device, graph mode and the precision of float32 convolutions."""
    import mindspore

    number = device_id if target != "CPU" else 0
    if hasattr(mindspore, "set_device"):  # from 2.5 on
        mindspore.set_device(target, number)
    else:
        mindspore.set_context(
            device_target=target, **({"device_id": number} if target != "CPU" else {})
        )
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    if target == "GPU":
        # Without this the gradients of dilated convolutions are refused in float16.
        mindspore.set_context(disable_format_transform=True)
        _set_tf32(tf32, gpu_config={"conv_allow_tf32": tf32, "matmul_allow_tf32": tf32})
    elif target == "Ascend" and hasattr(mindspore, "device_context"):
        mindspore.device_context.ascend.op_precision.conv_allow_hf32(tf32)
    elif target == "Ascend":
        _set_tf32(tf32, ascend_config={"conv_allow_hf32": tf32})


def _set_tf32(tf32: bool, **settings: dict) -> None:
    """Gives MindSpore a setting that not every version has."""
    import mindspore

    try:
        mindspore.set_context(**settings)
    except ValueError:
        if not tf32:
            raise UserError(
                f"tf32: MindSpore {mindspore.__version__} cannot disable it; a later MindSpore is required"
            ) from None


def _join(target: str, launch: Launch) -> tuple[int, int]:
    """Meets the other processes; (rank, how many). The process that only brings them together ends here, with theirs."""
    import mindspore
    from mindspore import communication

    if target == "CPU" and mindspore.__version__.startswith("2.0"):
        raise UserError(
            "run_distribute: several processes on a CPU require MindSpore 2.7 or later, "
            f"this one is {mindspore.__version__}"
        )
    try:
        communication.init()
    except Exception as error:  # noqa: BLE001  (RuntimeError and others, with pages of C++)
        raise RunFailed(
            f"run_distribute: the {launch.size} processes did not come together: {first_line(error)}"
        ) from None
    if launch.schedules:
        sys.exit()
    rank, size = communication.get_rank(), communication.get_group_size()
    mindspore.set_auto_parallel_context(
        parallel_mode="data_parallel", gradients_mean=True, device_num=size
    )
    return rank, size


def _compute(target: str) -> None:
    """Computes something, so that a device that does not work is found here."""
    import mindspore

    if target == "CPU":
        return
    total = mindspore.ops.ReduceSum()(mindspore.Tensor([1.0, 2.0], mindspore.float32))
    if float(total.asnumpy()) != 3.0:
        raise RuntimeError("1 + 2 is not 3 there")


def _reason(error: Exception, target: str) -> str:
    """Why a device does not work: the library that it lacks, else what MindSpore says first."""
    plugin = f"Load dynamic library: libmindspore_{target.lower()}."
    lacks = [
        line.strip().split(" failed. ")[-1]
        for line in str(error).splitlines()
        if line.strip().startswith(plugin)
    ]
    return lacks[0][:200] if lacks else first_line(error)
