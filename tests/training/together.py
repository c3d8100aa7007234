"""python together.py FOLDER SIZE: run one of SIZE processes and write FOLDER/SIZE_RANK.npz.

The file holds this process's results of five training steps, and what the processes exchange.
With SIZE 1, one process computes on whole batches.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

STEPS, BATCH, SIDE = 5, 4, 32


def batches():
    """Return five batches of 4 images and masks.

    The first mask is empty, so the parts' Dice differ much.
    """
    rng = np.random.default_rng(3)
    images = rng.uniform(-1.6, 1.6, (STEPS, BATCH, 3, SIDE, SIDE)).astype(np.float32)
    masks = (
        rng.random((STEPS, BATCH, 1, SIDE, SIDE))
        < np.array([0, 0.05, 0.2, 0.7]).reshape(1, 4, 1, 1, 1)
    ).astype(np.float32)
    return images, masks


def restored(folder, network, ranks):
    """Train four epochs with prepared losses.

    The first is the best. The fourth without a better one restores it.
    """
    from dlinknet.checkpoints.load import set_value
    from dlinknet.data.loader import Batching, TrainingLoader
    from dlinknet.data.pairs import Pair
    from dlinknet.training.identity import DataIdentity
    from dlinknet.training.loop import Trainer
    from dlinknet.training.recipe import Recipe
    from dlinknet.training.run import RunFiles

    folder.mkdir()
    pairs = [Pair(name, Path(name), Path(name), 32, 32) for name in "abcd"]
    loader = TrainingLoader(pairs, Batching(2, (32, 32), "none"), rank=ranks.rank, size=ranks.size)
    recipe = Recipe("linknet18", epochs=5)
    identity = DataIdentity((), (), "same", None)
    trainer = Trainer(recipe, network, loader, RunFiles(folder, "r"), identity, ranks)
    losses = iter([0.5, 0.6, 0.7, 0.8, 0.9])

    def train_epoch(epoch):
        set_value(network.head.conv2.bias, np.array([10 * epoch + ranks.rank]))
        return {
            "epoch": epoch,
            "train_loss": next(losses),
            "learning_rate": 0.1,
            "images_per_second": 1.0,
        }

    trainer._train_epoch = train_epoch
    trainer.check_ranks_agree()
    trainer.run()
    written = sorted(path.name for path in folder.iterdir())
    trainer.identity = DataIdentity((), (), f"of rank {ranks.rank}", None)
    try:
        trainer.check_ranks_agree()
        refusal = ""
    except Exception as error:  # noqa: BLE001  (its text is looked at)
        refusal = f"{type(error).__name__}: {error}"
    return {
        "restored": network.head.conv2.bias.asnumpy(),
        "written": written,
        "refusal": refusal,
        "rate": trainer.optimizer.learning_rate.asnumpy(),
    }


def cross_entropy(size, mine):
    """Return the weighted cross-entropy of this process's part and its gradient.

    The training step averages them over all processes.
    """
    import mindspore as ms

    from dlinknet.training.losses import CrossEntropyLoss

    rng = np.random.default_rng(4)
    logits = rng.normal(size=(BATCH, 3, 8, 8)).astype(np.float32)
    truth = rng.choice([0, 1, 2, 255], (BATCH, 1, 8, 8), p=[0.6, 0.2, 0.1, 0.1]).astype(np.float32)
    truth[-1] = 255  # one image's pixels count nowhere, so that the parts weigh differently
    loss = ms.jit(ms.value_and_grad(CrossEntropyLoss(np.array([1.0, 3.0, 9.0]), size), 0))
    value, gradient = loss(ms.Tensor(logits[mine]), ms.Tensor(truth[mine]))
    return {"entropy": value.asnumpy(), "entropy_gradient": gradient.asnumpy() / size}


def noted(ranks, size):
    """Take three steps on finite gradients. The register of rank 1 notes an overflow in the second.

    Return whether each step counted as finite, the loss scales, and the weights at the end.
    """
    from mindspore import Tensor, amp, nn

    from dlinknet.training import step as steps
    from tests.training.register import Register

    register = Register([1, 0, 1] if ranks.rank == 1 else [1, 1, 1])
    own, steps.finiteness_check = steps.finiteness_check, lambda on_cpu: register
    network = nn.Dense(2, 1, weight_init="ones", has_bias=False)
    optimizer = nn.SGD(network.trainable_params(), 0.5)
    scaler = amp.DynamicLossScaler(8, 2, 100)
    loss = lambda logits, truth: (logits * truth).mean()  # noqa: E731
    step = steps.make_step(network, loss, optimizer, scaler, size)
    steps.finiteness_check = own
    images, truth = Tensor(np.ones((1, 2), np.float32)), Tensor(np.ones((1, 1), np.float32))
    outcomes = [step(images, truth).asnumpy() for _ in range(3)]
    return {
        "noted.finite": [outcome[1] for outcome in outcomes],
        "noted.scale": [outcome[2] for outcome in outcomes],
        "noted.weights": network.weight.asnumpy(),
    }


def main(folder, size):
    from dlinknet.devices import launcher, runtime

    launch = launcher.find_launch() if size > 1 else None
    device = runtime.start("CPU", 0, 1, launch=launch)
    from mindspore import Tensor, amp, nn

    from dlinknet.devices.ranks import Ranks
    from dlinknet.models.encoders.resnet import BasicBlock, ResNet
    from dlinknet.models.linknet import LinkNet
    from dlinknet.training.losses import DiceBCELoss
    from dlinknet.training.step import make_step

    assert device.size == size
    ranks = Ranks(device.rank, device.size)
    network = LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), 1, (1, 2)).set_train(
        False
    )  # BatchNorm as in inference
    scaler = amp.DynamicLossScaler(1024, 2, 1000)
    step = make_step(
        network, DiceBCELoss(size), nn.Adam(network.trainable_params(), 1e-3), scaler, size
    )
    mine = slice(ranks.rank * BATCH // size, (ranks.rank + 1) * BATCH // size)
    found = {}
    images, masks = batches()
    found["losses"] = [
        float(step(Tensor(x[mine]), Tensor(t[mine]))[0].asnumpy()) for x, t in zip(images, masks)
    ]
    found.update({f"weights.{p.name}": p.asnumpy() for p in network.get_parameters()})

    found.update(cross_entropy(size, mine))
    # The gradients of one process overflow.
    # All processes keep their weights and halve the loss scale.
    before = network.head.conv2.weight.asnumpy()
    bad = images[0][mine] if ranks.rank else np.full_like(images[0][mine], np.inf)
    found["finite"] = step(Tensor(bad), Tensor(masks[0][mine]))[1].asnumpy()
    found["unchanged"] = np.array_equal(before, network.head.conv2.weight.asnumpy())
    found["scale"] = scaler.scale_value.asnumpy()

    found.update(noted(ranks, size))
    found["total"] = ranks.total(np.array([[ranks.rank, 2**20 - 1], [10**12 + 1, 3]], np.int64))
    bias, weight = network.head.conv2.bias, network.head.conv1.bias
    bias.set_data(Tensor(np.array([ranks.rank + 1], np.float32)))
    weight.set_data(Tensor(np.full(32, 10.0 * ranks.rank, np.float32)))
    ranks.average([bias, weight])
    found["average"] = np.concatenate([bias.asnumpy(), weight.asnumpy()])
    bias.set_data(Tensor(np.array([ranks.rank + 5], np.float32)))
    ranks.broadcast([bias])
    found["broadcast"] = bias.asnumpy().copy()
    found["share"] = list(ranks.share(list(range(7))))
    found["unlike"] = ranks.unlike("the same" if ranks.rank != size - 1 else f"rank {ranks.rank}")

    # A plateau: all go back to the weights in the file of rank 0, the only one that has it.
    found.update(restored(Path(folder) / str(ranks.rank), network, ranks))
    np.savez(Path(folder) / f"{size}_{ranks.rank}.npz", **found)
    print("DONE", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
