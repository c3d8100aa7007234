"""python dump_step.py CLASSES LEVEL DEVICE: take one training step of LinkNet18 on a CPU.

MindSpore writes the graphs of the step if MS_DEV_SAVE_GRAPHS and MS_DEV_SAVE_GRAPHS_PATH are set.
CLASSES is 1 for roads. LEVEL is an amp_level. DEVICE 'Ascend' chooses what an Ascend would compute.
A launcher's variables in the environment make this one of several processes.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402


def main(classes: int, level: str, device: str) -> None:
    from dlinknet.devices import runtime
    from dlinknet.devices.launcher import launched

    started = runtime.start("CPU", 0, 1, launch=launched(os.environ))
    runtime.computes_on = lambda target: target == device
    from mindspore import Tensor, amp, nn

    from dlinknet import models
    from dlinknet.models.precision import set_precision
    from dlinknet.training.losses import make_loss
    from dlinknet.training.step import make_step

    network = models.build("linknet18", classes=classes).set_train(True)
    step = make_step(
        set_precision(network, level),
        make_loss(classes, None, started.size),
        nn.Adam(network.trainable_params(), 1e-3),
        amp.DynamicLossScaler(1024.0, 2, 1000),
        started.size,
    )
    images = Tensor(np.zeros((2, 3, 64, 64), np.float32))
    truth = Tensor(np.zeros((2, 1, 64, 64), np.float32))
    assert step(images, truth).asnumpy()[1] == 1
    print("DONE")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
