"""MindSpore's files, whole and damaged: every claimed size is compared with the bytes present."""

import mindspore
import numpy as np
import pytest
from mindspore.train.checkpoint_pb2 import Checkpoint

from dlinknet.checkpoints.ckpt_files import BadCkptFile, read_ckpt


@pytest.fixture
def written(tmp_path):
    """write(*records, end) -> a file of records (name, dims, type, content)."""

    def write(*records, end=b""):
        message = Checkpoint()
        for name, dims, kind, content in records:
            value = message.value.add()
            value.tag = name
            value.tensor.dims.extend(dims)
            value.tensor.tensor_type, value.tensor.tensor_content = kind, content
        file = tmp_path / "a.ckpt"
        file.write_bytes(message.SerializeToString() + end)
        return file

    return write


FOUR = np.array([1, 2, 3, 4], np.float32).tobytes()


def test_tensors_of_every_type_come_as_mindspore_wrote_them(tmp_path):
    values = {
        "float": np.array([[1.5, -2]], np.float32),
        "half": np.array([0.5], np.float16),
        "double": np.array([1e300]),
        "count": np.array(7, np.int32),
        "byte": np.array([255], np.uint8),
        "flag": np.array([True, False]),
    }
    file = str(tmp_path / "a.ckpt")
    mindspore.save_checkpoint(
        [{"name": name, "data": mindspore.Tensor(value)} for name, value in values.items()],
        file,
        append_dict={"epoch": 3, "note": "a text"},
    )
    found = read_ckpt(tmp_path / "a.ckpt")
    assert found.keys() - {"epoch"} == values.keys()
    for name, value in values.items():
        assert np.array_equal(found[name], value) and (found[name].dtype, found[name].shape) == (
            value.dtype,
            value.shape,
        ), name


def test_bfloat16_a_single_number_and_a_tensor_in_parts(written):
    file = written(
        ("brain", [2], "BFloat16", b"\x80\x3f\x20\xc0"),
        ("one", [0], "Float32", FOUR[:4]),
        ("none", [0], "Float32", b""),
        ("cut", [2, 2], "Float32", FOUR[:4]),
        ("cut", [2, 2], "Float32", FOUR[4:]),
        end=b"crc_num" + bytes(10),
    )
    found = read_ckpt(file)
    # 0x3f80 is the upper half of 1.0, 0xc020 of -2.5.
    assert found["brain"].tolist() == [1.0, -2.5] and found["brain"].dtype == np.float32
    assert found["one"].shape == () and found["one"] == 1 and found["none"].shape == (0,)
    assert found["cut"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "dims",
    [
        [5],
        [3],
        [10**6],
        [2**31 - 1],
        [2**62, 4],
        [2**32, 2**32],
        [-1, -4],
        [1] * 16 + [4],
        [0, 4],
        [],
    ],
)
def test_a_shape_that_the_bytes_do_not_have_is_refused(written, dims):
    with pytest.raises(
        BadCkptFile, match="the tensor 'a' has 16 bytes, and its shape claims another number"
    ):
        read_ckpt(written(("a", dims, "Float32", FOUR)))


@pytest.mark.parametrize(
    "records, words",
    [
        ([("a", [4], "Float31", FOUR)], "the type 'Float31', which is not known"),
        ([("a" * 999, [4], "x" * 999, FOUR)], "the tensor 'aaa"),
        ([("a", [4], "Float32", FOUR), ("a", [2], "Float32", FOUR[:8])], "several types"),
    ],
)
def test_a_type_that_is_not_known_is_refused_in_few_words(written, records, words):
    with pytest.raises(BadCkptFile) as error:
        read_ckpt(written(*records))
    assert words in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize(
    "content, words",
    [
        (b"\x0a\xff\xff\xff\xff\x0f" + FOUR, "ends early"),  # a record of 4 GB
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "ends early"),
        (b"\x0a", "ends early"),
        (b"\x0a\x10abc", "ends early"),
        (b"\x0a\x03abc", "a record is not whole"),
        (b"\x0a\x03\x0a\x01\xff", "a record is not whole"),
        (b"\x0b\x00", "no record begins at byte 0"),
        (b"\x0a\x00", "it holds no tensors"),
        (b"", "it holds no tensors"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path, content, words):
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(BadCkptFile, match=words):
        read_ckpt(tmp_path / "a.ckpt")
