"""MindSpore's context: the device, graph mode, the backend, the precision of convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlinknet.errors import UserError

ASCEND_910A = "ascend910"  # MindSpore's name; 910B is ascend910b
FLOAT16_CONVOLUTIONS = "allow_fp32_to_fp16"  # CANN's precision mode
AUTO = "auto"


@dataclass(frozen=True)
class ComputeOptions:
    """How a device compiles graphs and computes.

    tf32: whether float32 convolutions may round their inputs to TF32 (GPU) or HF32 (Ascend 910B).
    jit_level: the level at which MindSpore compiles graphs: 'O0', 'O1' or 'O2'; 'auto': MindSpore
        chooses. On an Ascend, O2 is the whole-graph backend.
    """

    tf32: bool = True
    jit_level: str = AUTO


def configure(target: str, device_id: int, options: ComputeOptions) -> None:
    """Choose the device, graph mode, the backend and the precision of float32 convolutions."""
    import mindspore

    number = device_id if target != "CPU" else 0
    if hasattr(mindspore, "set_device"):  # from 2.5 on
        mindspore.set_device(target, number)
    else:
        mindspore.set_context(
            device_target=target, **({"device_id": number} if target != "CPU" else {})
        )
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    _set_jit_level(options.jit_level)
    tf32 = options.tf32
    if target == "GPU":
        # Without this, MindSpore rejects the gradients of dilated convolutions in float16.
        mindspore.set_context(disable_format_transform=True)
        _set_tf32(tf32, gpu_config={"conv_allow_tf32": tf32, "matmul_allow_tf32": tf32})
    elif target == "Ascend":
        _set_ascend_precision(tf32)


def _set_jit_level(level: str) -> None:
    """Set the level at which MindSpore compiles graphs. 'auto' leaves it to MindSpore."""
    import mindspore

    if level == AUTO:
        return
    try:
        mindspore.set_context(jit_config={"jit_level": level})
    except ValueError:
        raise UserError(
            f"jit_level={level}: MindSpore {mindspore.__version__} has no such setting; use auto, "
            "or MindSpore 2.3 or later"
        ) from None


def _set_ascend_precision(hf32: bool) -> None:
    """Set how an Ascend computes float32 convolutions.

    Args:
        hf32: whether they may round their inputs to HF32, which is MindSpore's default.
    """
    import mindspore

    newer = getattr(mindspore, "device_context", None)  # from 2.5 on
    if newer and not hf32:
        newer.ascend.op_precision.conv_allow_hf32(False)
    elif not hf32:
        _set_tf32(False, ascend_config={"conv_allow_hf32": False})
    # A 910A convolves in float16 only. Some versions of CANN then use float16 for all operators of
    # a graph that does not train, unless they are told to keep float32 where it is possible.
    if ascend_chip() != ASCEND_910A:
        return
    if newer:
        newer.ascend.op_precision.precision_mode(FLOAT16_CONVOLUTIONS)
    else:
        mindspore.set_context(ascend_config={"precision_mode": FLOAT16_CONVOLUTIONS})


def ascend_chip() -> str:
    """Return MindSpore's name of the Ascend, such as 'ascend910b'; '' before MindSpore 2.2."""
    from mindspore._c_expression import MSContext

    read = getattr(MSContext.get_instance(), "get_ascend_soc_version", None)
    return read() if read else ""


def _set_tf32(tf32: bool, **settings: dict[str, Any]) -> None:
    """Set TF32 or HF32, which not every version of MindSpore lets the user set."""
    import mindspore

    try:
        mindspore.set_context(**settings)
    except ValueError:
        if not tf32:
            raise UserError(
                f"tf32=False: MindSpore {mindspore.__version__} cannot disable TF32; a later "
                "MindSpore is required"
            ) from None
