"""The files of probabilities that the Ascend 310 program leaves."""

import os

import numpy as np
import pytest

from dlinknet.errors import UserError
from dlinknet.evaluation.results_310 import read_binary


def test_values_come_row_by_row_and_map_by_map(tmp_path):
    values = np.linspace(0, 1, 24, dtype=np.float32)
    values.tofile(tmp_path / "a_sat.bin")
    assert np.array_equal(read_binary(tmp_path / "a_sat.bin", 4, 6), values.reshape(4, 6))
    assert np.array_equal(read_binary(tmp_path / "a_sat.bin", 4, 3, 2), values.reshape(2, 4, 3))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, -0.1, 1.1])
def test_what_is_no_probability_is_refused(tmp_path, number):
    np.array([[0.5, number]], np.float32).tofile(tmp_path / "a_sat.bin")
    with pytest.raises(UserError, match=".*a_sat.bin holds values that are no probabilities"):
        read_binary(tmp_path / "a_sat.bin", 1, 2)


def test_a_file_of_another_size_is_refused_before_it_is_read(tmp_path, monkeypatch):
    with open(tmp_path / "a_sat.bin", "wb") as file:
        os.truncate(file.fileno(), 1 << 40)  # a terabyte that takes no place
    monkeypatch.setattr(np, "fromfile", lambda *_: pytest.fail("it was read"))
    with pytest.raises(
        UserError,
        match=".*a_sat.bin has 1099511627776 bytes, and its image 2x1 pixels of 4 bytes each",
    ):
        read_binary(tmp_path / "a_sat.bin", 1, 2)
    with pytest.raises(UserError, match="cannot read .*b_sat.bin"):
        read_binary(tmp_path / "b_sat.bin", 1, 2)
