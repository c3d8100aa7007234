"""python together.py FOLDER SIZE: what one of SIZE processes computes of five training steps, and of the things that the
processes tell each other, into FOLDER/SIZE_RANK.npz. With SIZE 1 alone, on whole batches."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np      # noqa: E402

STEPS, BATCH, SIDE = 5, 4, 32


def batches():
    """Five batches of 4: the images, and masks of which the first is empty, so that the parts' Dice differ much."""
    rng = np.random.default_rng(3)
    images = rng.uniform(-1.6, 1.6, (STEPS, BATCH, 3, SIDE, SIDE)).astype(np.float32)
    masks = (rng.random((STEPS, BATCH, 1, SIDE, SIDE)) < np.array([0, 0.05, 0.2, 0.7]).reshape(1, 4, 1, 1, 1)).astype(np.float32)
    return images, masks


def main(folder, size):
    from dlinknet import runtime
    device = runtime.start("CPU", 0, 1, distribute=size > 1)
    from mindspore import Tensor, amp, nn
    from dlinknet.models.linknet import LinkNet
    from dlinknet.models.resnet import BasicBlock, ResNet
    from dlinknet.parallel import Ranks
    from dlinknet.training.losses import DiceBCELoss
    from dlinknet.training.step import make_step
    assert device.size == size
    ranks = Ranks(device.rank, device.size)
    network = LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), 1, (1, 2)).set_train(False)      # BatchNorm as in inference
    scaler = amp.DynamicLossScaler(1024, 2, 1000)
    step = make_step(network, DiceBCELoss(size), nn.Adam(network.trainable_params(), 1e-3), scaler, size)
    mine = slice(ranks.rank * BATCH // size, (ranks.rank + 1) * BATCH // size)
    found = {}
    images, masks = batches()
    found["losses"] = [float(step(Tensor(x[mine]), Tensor(t[mine]))[0].asnumpy()) for x, t in zip(images, masks)]
    found.update({f"weights.{p.name}": p.asnumpy() for p in network.get_parameters()})

    # One process's gradients overflow: all of them leave their weights as they are, and halve the loss scale.
    before = network.head.conv2.weight.asnumpy()
    bad = images[0][mine] if ranks.rank else np.full_like(images[0][mine], np.inf)
    found["finite"] = step(Tensor(bad), Tensor(masks[0][mine]))[1].asnumpy()
    found["unchanged"] = np.array_equal(before, network.head.conv2.weight.asnumpy())
    found["scale"] = scaler.scale_value.asnumpy()

    found["total"] = ranks.total(np.array([[ranks.rank, 2 ** 20 - 1], [10 ** 12 + 1, 3]], np.int64))
    bias, weight = network.head.conv2.bias, network.head.conv1.bias
    bias.set_data(Tensor(np.array([ranks.rank + 1], np.float32)))
    weight.set_data(Tensor(np.full(32, 10.0 * ranks.rank, np.float32)))
    ranks.average([bias, weight])
    found["average"] = np.concatenate([bias.asnumpy(), weight.asnumpy()])
    bias.set_data(Tensor(np.array([ranks.rank + 5], np.float32)))
    ranks.equalise([bias])
    found["equalised"] = bias.asnumpy()
    found["share"] = list(ranks.share(list(range(7))))
    ranks.wait()
    np.savez(Path(folder) / f"{size}_{ranks.rank}.npz", **found)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
