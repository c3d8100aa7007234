"""The networks against PyTorch on equal weights: logits, gradients, BatchNorm's running values."""

import mindspore
import numpy as np
import pytest

from dlinknet.models.encoders.resnet import BasicBlock, ResNet
from dlinknet.models.linknet import LinkNet
from dlinknet.training.losses import DiceBCELoss

MODELS = ["dlinknet34", "linknet18", "linknet34", "dlinknet50", "dlinknet101"]
SIZES = [(64, 64), (96, 64)]
slow = pytest.mark.slow
SOME = [
    pytest.param(name, marks=[] if name in ("dlinknet34", "linknet18") else slow) for name in MODELS
]
# LinkNet18: LinkNet34's, less ResNet34's 21 284 672, plus ResNet18's 11 176 512.
PARAMETERS = {
    "dlinknet34": 31_096_129,
    "dlinknet50": 217_645_089,
    "dlinknet101": 236_637_217,
    "linknet34": 21_642_401,
    "linknet18": 11_534_241,
}


@pytest.fixture(scope="module")
def reference():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")
    from tests.models import torch_reference

    return torch_reference


def batch(size, count=2, seed=3):
    rng = np.random.default_rng(seed)
    images = rng.uniform(-1.6, 1.6, (count, 3, *size)).astype(np.float32)
    return images, (rng.random((count, 1, *size)) < 0.2).astype(np.float32)


def weights_of(network):
    return {p.name: p.asnumpy().copy() for p in network.get_parameters()}


@pytest.fixture(scope="module")
def our_gradients(networks):
    """Return compute(model, size, training, seed).

    It returns (loss, {name: gradient}, weights before, weights after).
    """

    functions = {}

    def compute(model, size, training, seed=3):
        network = networks(model)
        network.set_train(training)
        if (model, training) not in functions:
            loss = DiceBCELoss()

            def forward(images, truth):
                return loss(network(images), truth)

            functions[model, training] = mindspore.jit(
                mindspore.value_and_grad(forward, None, network.trainable_params())
            )
        before = weights_of(network)
        value, found = functions[model, training](*map(mindspore.Tensor, batch(size, seed=seed)))
        names = [p.name for p in network.trainable_params()]
        return (
            float(value.asnumpy()),
            dict(zip(names, (g.asnumpy() for g in found))),
            before,
            weights_of(network),
        )

    return compute


def distance(a, b):
    """Return the largest difference, relative to the largest value of b."""
    return np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)


@pytest.mark.parametrize("model", SOME)
def test_parameters_are_as_many_as_the_authors(networks, model):
    assert sum(p.size for p in networks(model).trainable_params()) == PARAMETERS[model]


@pytest.mark.parametrize("dilations", [(), (1, 2)])
def test_each_class_has_its_map_of_logits(dilations):
    network = LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), classes=3, dilations=dilations).set_train(
        False
    )
    assert network(mindspore.Tensor(batch((32, 64))[0])).shape == (2, 3, 32, 64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", SOME)
def test_logits_equal_pytorch(networks, reference, model, size):
    import torch

    network = networks(model).set_train(False)
    images, _ = batch(size)
    weights = {name: torch.tensor(value) for name, value in weights_of(network).items()}
    with torch.no_grad():
        expected = (
            reference.Reference(weights, model, training=False)
            .forward(torch.tensor(images))
            .numpy()
        )
    assert expected.shape == (2, 1, *size)
    assert distance(network(mindspore.Tensor(images)).asnumpy(), expected) < 1e-4


@pytest.mark.parametrize("size", [SIZES[0], pytest.param(SIZES[1], marks=slow)])
@pytest.mark.parametrize("model", SOME)
def test_gradients_equal_pytorch_with_fixed_batch_norm(our_gradients, reference, model, size):
    """Within 1e-3 of the largest value of each tensor, all tensors of one batch together.

    PyTorch computes in float64 here. In float32, rounding sometimes decides the sign of a pixel at
    a ReLU. The gradients are then off by that pixel's share, 1e-3 to 3e-2, in either library.
    MindSpore has such batches too, but a fault would be in all batches.
    """
    import torch

    worst = {}
    for seed in range(3, 8):
        images, truth = batch(size, seed=seed)
        loss, ours, weights, after = our_gradients(model, size, training=False, seed=seed)
        expected_loss, expected, _ = reference.gradients(
            weights, model, images, truth, False, torch.float64
        )
        assert loss == pytest.approx(expected_loss, rel=1e-4)
        assert ours.keys() == expected.keys()
        assert all(np.abs(gradient).max() > 0 for gradient in ours.values())
        assert all(np.array_equal(weights[name], after[name]) for name in weights)
        worst[seed] = max((distance(ours[name], expected[name]), name) for name in expected)
        if worst[seed][0] < 1e-3:
            return
    pytest.fail(f"in none of five batches: {worst}")


def in_front_of_norm(name):
    """Return whether a parameter is a bias in front of a BatchNorm.

    BatchNorm subtracts the mean, so the gradient of such a bias is zero.
    """
    return name.startswith("decoder") and name.endswith((".conv1.bias", ".up.bias", ".conv3.bias"))


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("dlinknet34", marks=pytest.mark.long),
        *(pytest.param(name, marks=slow) for name in ("linknet34", "dlinknet50", "dlinknet101")),
    ],
)
def test_gradients_in_training_are_as_exact_as_pytorchs(our_gradients, reference, model):
    """The distance to a float64 computation, per tensor, is at most twice PyTorch's.

    If rounding decides a pixel's sign at a ReLU, the whole gradient moves by about 1e-3. This
    happens by chance in either library. The median over six batches excludes it.
    """
    import torch

    ours, theirs = {}, {}
    for seed in range(6):
        loss, found, weights, after = our_gradients(model, (128, 128), training=True, seed=seed)
        images, truth = batch((128, 128), seed=seed)
        exact_loss, exact, exact_after = reference.gradients(
            weights, model, images, truth, True, torch.float64
        )
        _, rough, rough_after = reference.gradients(
            weights, model, images, truth, True, torch.float32
        )
        assert loss == pytest.approx(exact_loss, rel=1e-4)
        for name, gradient in exact.items():
            if in_front_of_norm(name):
                assert np.abs(gradient).max() < 1e-9, name
                continue
            assert np.abs(found[name]).max() > 0, name
            ours.setdefault(name, []).append(
                np.linalg.norm(found[name] - gradient) / np.linalg.norm(gradient)
            )
            theirs.setdefault(name, []).append(
                np.linalg.norm(rough[name] - gradient) / np.linalg.norm(gradient)
            )
        for name in weights:
            if "moving_" in name:
                assert not np.array_equal(weights[name], after[name]), name
                limit = max(1e-4, 2 * distance(rough_after[name], exact_after[name]))
                assert distance(after[name], exact_after[name]) < limit, name
    for name in ours:
        # Below 1e-5 both are as exact as float32 is.
        assert np.median(ours[name]) <= max(2 * np.median(theirs[name]), 1e-5), name
