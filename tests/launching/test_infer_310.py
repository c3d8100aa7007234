"""Which engine run_infer_310.sh builds for a model."""

import pytest

from dlinknet.errors import UserError
from dlinknet.launching import infer_310


@pytest.mark.parametrize(
    "model, settings, has_openvino, engine",
    [
        ("a.mindir", [], True, ""),
        ("a.om", [], True, "acl"),
        ("a.onnx", [], True, "openvino"),
        ("a.onnx", [], False, "opencv"),
        ("a.onnx", ["--engine=opencv", "--tile_overlap=3"], True, "opencv"),
        ("a.onnx", ["--engine=openvino"], False, "openvino"),
    ],
)
def test_engines(monkeypatch, model, settings, has_openvino, engine):
    monkeypatch.setattr(infer_310, "find_spec", lambda name: has_openvino or None)
    assert infer_310._engine_of(model, settings) == engine


@pytest.mark.parametrize(
    "model, settings, fault",
    [
        ("a.ckpt", [], "MINDIR_PATH must end in .mindir or .om"),
        ("a.onnx", ["--engine=acl"], "engine must be one of auto, openvino, opencv, not 'acl'"),
        ("a.om", ["--engine=opencv"], "engine: opencv runs .onnx files, not a.om"),
    ],
)
def test_mistakes(model, settings, fault):
    with pytest.raises(UserError, match=fault):
        infer_310._engine_of(model, settings)
