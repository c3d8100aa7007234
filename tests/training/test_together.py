"""Several processes train as one does. The processes are real ones, on the CPU."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cluster import cluster, need_cluster

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parent / "together.py"


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    subprocess.run([sys.executable, str(SCRIPT), str(folder), "1"], check=True, timeout=300)
    return np.load(folder / "1_0.npz")


@pytest.fixture(scope="module", params=[2])
def together(request, tmp_path_factory):
    need_cluster()
    folder = tmp_path_factory.mktemp("together")
    cluster(request.param, SCRIPT, str(folder), str(request.param))
    return [np.load(folder / f"{request.param}_{rank}.npz") for rank in range(request.param)]


def test_five_steps_give_the_weights_and_losses_of_one_process_with_the_whole_batch(
    alone, together
):
    names = [name for name in alone if name.startswith("weights.")]
    assert len(names) > 50
    for rank in together:
        assert all(np.allclose(rank[name], alone[name], rtol=0, atol=1e-5) for name in names)
        assert all(np.array_equal(rank[name], together[0][name]) for name in names), (
            "the ranks stay equal to the bit"
        )
        assert np.allclose(rank["losses"], alone["losses"], rtol=1e-5)
    assert alone["losses"][-1] < alone["losses"][0]


def test_cross_entropy_of_parts_is_that_of_the_whole_batch(alone, together):
    """Take the mean over processes, of losses and of gradients; the parts' pixel weights differ."""
    losses = [float(rank["entropy"]) for rank in together]
    assert (
        np.mean(losses) == pytest.approx(float(alone["entropy"]), rel=1e-5)
        and abs(losses[0] - losses[1]) > 1e-3
    )
    gradient = np.concatenate([rank["entropy_gradient"] for rank in together])
    assert (
        np.allclose(gradient, alone["entropy_gradient"], rtol=0, atol=1e-7)
        and np.abs(gradient).max() > 1e-3
    )


def test_an_overflow_in_one_process_is_one_in_all(together):
    for rank in together:
        assert not rank["finite"] and rank["unchanged"] and rank["scale"] == 512


def test_an_overflow_that_one_register_notes_is_one_in_all(together):
    """The gradients themselves are finite. Two updates subtract 0.5 each."""
    for rank in together:
        assert rank["noted.finite"].tolist() == [1, 0, 1]
        assert rank["noted.scale"].tolist() == [8, 4, 4]
        assert np.allclose(rank["noted.weights"], 0)


def test_what_the_processes_tell_each_other(together):
    size = len(together)
    for rank in together:
        assert rank["total"].dtype == np.int64 and rank["total"].tolist() == [
            [sum(range(size)), size * (2**20 - 1)],
            [size * (10**12 + 1), 3 * size],
        ]
        assert rank["average"][0] == (size + 1) / 2 and np.all(
            rank["average"][1:] == 10 * (size - 1) / 2
        )
        assert rank["broadcast"] == 5
        assert rank["unlike"].tolist() == [size - 1]
    assert sorted(number for rank in together for number in rank["share"]) == list(range(7))


def test_a_plateau_brings_rank_0s_weights_back_to_all(together):
    for number, rank in enumerate(together):
        assert rank["restored"] == 10, "of epoch 1, as rank 0 had them"
        assert rank["rate"] == pytest.approx(2e-4 / 5)
        assert (
            ("r_plateau.ckpt" in rank["written"])
            == ("r_epochs.csv" in rank["written"])
            == (number == 0)
        )


def test_processes_that_would_not_train_the_same_are_refused(together):
    others = ", ".join(str(rank) for rank in range(1, len(together)))
    for rank in together:
        assert str(rank["refusal"]).startswith(
            f"InputError: ranks {others} do not start as rank 0 does"
        )


def test_one_process_sends_nothing(alone):
    assert alone["total"].tolist() == [[0, 2**20 - 1], [10**12 + 1, 3]] and alone["average"][0] == 1
    assert (
        alone["broadcast"] == 5
        and alone["share"].tolist() == list(range(7))
        and alone["unlike"].tolist() == []
    )
    assert alone["refusal"] == "" and alone["restored"] == 10
