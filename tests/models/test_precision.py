"""Mixed precision: which layers compute in float16, and that all parameters stay float32."""

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, amp, nn

from dlinknet.models.encoders.resnet import BasicBlock, ResNet
from dlinknet.models.linknet import LinkNet
from dlinknet.models.precision import set_precision
from dlinknet.training.losses import DiceBCELoss
from dlinknet.training.step import make_step


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(5)
    return (
        rng.uniform(-1.6, 1.6, (2, 3, 32, 32)).astype(np.float32),
        (rng.random((2, 1, 32, 32)) < 0.2).astype(np.float32),
    )


def small_network(level):
    return set_precision(LinkNet(ResNet(BasicBlock, (1, 1, 1, 1)), 1, (1, 2)), level)


@pytest.fixture(scope="module")
def trained(batch):
    """Return trained(level).

    It returns (losses of three steps, network, input types of BatchNorm and a convolution).
    """

    kept = {}

    def train(level):
        if level not in kept:
            mindspore.set_seed(3)
            network = small_network(level).set_train(True)
            step = make_step(
                network,
                DiceBCELoss(),
                nn.Adam(network.trainable_params(), 1e-3),
                amp.DynamicLossScaler(1024, 2, 1000),
            )
            steps = [step(*map(Tensor, batch)) for _ in range(3)]
            assert (
                all(step[1].asnumpy() == 1 for step in steps)
                and steps[0].dtype == mindspore.float32
            )
            kept[level] = [float(step[0].asnumpy()) for step in steps], network
        return kept[level]

    return train


@pytest.mark.parametrize(
    "level",
    [
        pytest.param("O2", marks=pytest.mark.long),
        *(pytest.param(level, marks=pytest.mark.slow) for level in ("O1", "O3")),
    ],
)
def test_a_level_trains_as_float32_does_within_its_rounding(trained, level):
    exact, _ = trained("O0")
    losses, network = trained(level)
    # float16 keeps 11 bits: it must show, and it must not matter.
    assert losses[0] != exact[0] and np.allclose(losses, exact, rtol=0.02), (losses, exact)
    assert losses[2] < losses[0]
    assert {p.dtype for p in network.get_parameters()} == {mindspore.float32}


def test_what_computes_in_float16():
    """Look at the types of the outputs of a convolution and a BatchNorm."""

    found = {}
    for level in ("O0", "O1", "O2", "O3"):
        network = small_network(level).set_train(False)
        x = Tensor(np.ones((1, 64, 4, 4), np.float32))
        block = network.encoder.layer1[0]
        found[level] = (
            str(block.conv1(x).dtype),
            str(block.bn1(x if level in ("O0", "O3") else x.astype(mindspore.float16)).dtype),
        )
    assert found == {
        "O0": ("Float32", "Float32"),
        "O1": ("Float16", "Float32"),
        "O2": ("Float16", "Float32"),
        "O3": ("Float16", "Float16"),
    }


@pytest.mark.skipif(not hasattr(mindspore, "bfloat16"), reason="this MindSpore has no bfloat16")
def test_what_computes_in_bfloat16():
    """A CPU does not convolve in bfloat16. Its error names the type that the layer asks for."""
    block = small_network("BF16").set_train(False).encoder.layer1[0]
    x = Tensor(np.ones((1, 64, 4, 4), np.float32))
    assert block.bn1(x.astype(mindspore.bfloat16)).dtype == mindspore.float32
    with pytest.raises(Exception, match="BFloat16"):
        block.conv1(x).asnumpy()
