"""The compiled training step: what a change could add to it unseen.

MindSpore writes its graphs, and the tests count operators. The graphs are those for a CPU, because
there is no other device here. With DEVICE 'Ascend' they hold what the code chooses for an Ascend.
"""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mindspore
import pytest

from tests.cluster import cluster

SCRIPT = Path(__file__).resolve().parent / "dump_step.py"
pytestmark = pytest.mark.skipif(
    mindspore.__version__.startswith("2.0"), reason="MindSpore 2.0 writes other files"
)
# Not kernels: what only holds a graph together.
STRUCTURE = {"TupleGetItem", "MakeTuple", "UpdateState", "Load", "Depend", "Return"}
# Operators that compute in Python or need a value of a tensor on the host.
ON_HOST = {"PyExecute", "PyInterpret", "PyFunc", "TensorToScalar", "TensorToTuple", "JoinedStr"}


def dump(folder, monkeypatch, classes=1, level="O0", device="CPU", size=1):
    """Return (the whole step before it is split, operator -> count in the kernels' graphs)."""
    monkeypatch.setenv("MS_DEV_SAVE_GRAPHS", "2")
    monkeypatch.setenv("MS_DEV_SAVE_GRAPHS_PATH", str(folder))
    words = (str(classes), level, device)
    if size == 1:
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *words], env=os.environ, capture_output=True, text=True
        )
        assert "DONE" in done.stdout, done.stderr[-2000:]
    else:
        cluster(size, SCRIPT, *words)
    ranks = sorted(folder.glob("rank_*")) or [folder]
    files = sorted(ranks[0].rglob("hwopt_end_mindrt_unify_mindir_graph_*"))
    (whole,) = [text for text in map(Path.read_text, files) if "= Switch(" in text]
    kernels = Counter()
    for file in ranks[0].rglob("graph_build_*.ir"):
        operators = re.findall(r"^ +%\w+\([^)]*\) = ([A-Za-z]\w*)\(", file.read_text(), re.M)
        kernels.update(name.removeprefix("PrimFunc_") for name in operators)
    for name in STRUCTURE:
        kernels.pop(name, None)
    return whole, kernels


def check(whole, kernels):
    """Assert what holds for each step: one switch, no reference as a result, all on the device."""
    assert whole.count("= Switch(") == 1
    results = re.findall(r"^  Return\(.*\n +: (.*)$", whole, re.M)
    # The step and the two branches of its switch.
    assert len(results) == 3 and all("Tensor" in result for result in results)
    assert not [result for result in results if "Ref[" in result], results
    assert not ON_HOST & set(kernels), kernels


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Return the kernels of the step for roads in float32, for a CPU."""
    with pytest.MonkeyPatch.context() as patch:
        whole, kernels = dump(tmp_path_factory.mktemp("graph"), patch)
    check(whole, kernels)
    return kernels


@pytest.mark.long
def test_the_budget_of_a_step(usual):
    """LinkNet18 has 114 trained tensors; their gradients are checked and applied one by one."""
    convolutions = sum(usual[name] for name in usual if name.startswith("Conv2D"))
    assert usual["Adam"] == 114 and convolutions == 104, usual
    assert sum(usual.values()) <= 1360, usual.most_common(12)


@pytest.mark.long
def test_an_ascend_does_not_compute_what_only_a_cpu_needs(tmp_path, monkeypatch, usual):
    whole, kernels = dump(tmp_path, monkeypatch, device="Ascend")
    check(whole, kernels)
    # One sum and one shape less for each gradient.
    assert kernels["Reshape"] <= usual["Reshape"] - 114
    assert kernels["ReduceSum"] <= usual["ReduceSum"] - 114
    assert sum(kernels.values()) <= sum(usual.values()) - 228


@pytest.mark.slow
@pytest.mark.parametrize("level", ["O1", "O2", "O3"])
def test_mixed_precision_adds_casts_alone(tmp_path, monkeypatch, usual, level):
    whole, kernels = dump(tmp_path, monkeypatch, level=level)
    check(whole, kernels)
    more = {name: kernels[name] - usual[name] for name in kernels if kernels[name] > usual[name]}
    assert set(more) <= {"Cast", "TensorMove"} and more.get("Cast", 0) <= 700, more


@pytest.mark.slow
def test_classes(tmp_path, monkeypatch, usual):
    whole, kernels = dump(tmp_path, monkeypatch, classes=12)
    check(whole, kernels)
    assert sum(kernels.values()) <= sum(usual.values()) + 40, kernels.most_common(12)


@pytest.mark.long
def test_two_processes_exchange_gradients_and_one_outcome(tmp_path, monkeypatch, usual):
    whole, kernels = dump(tmp_path, monkeypatch, size=2)
    check(whole, kernels)
    # One exchange for each gradient, the two of the loss, and one of loss and finiteness.
    assert kernels["AllReduce"] <= 114 + 3, kernels
    assert sum(kernels.values()) <= sum(usual.values()) + 3 * 114 + 20
