"""Paths from outside."""

import pytest

from dlinknet.cloud.names import is_inside, need_inside
from dlinknet.errors import InputError


def test_paths_that_stay_in_their_folder_and_paths_that_do_not():
    assert is_inside("a/b.txt") and is_inside("a..b") and is_inside("./a")
    assert not any(map(is_inside, ("../a", "a/../../b", "/a", "", "a\\..\\b", "a\0b", "a/..")))


def test_a_path_that_leads_out_is_refused_in_one_short_line():
    need_inside(["a", "b/c"], "s3://b/x", "rename it")
    with pytest.raises(InputError) as error:
        need_inside(["a", "../" + "x" * 500], "s3://b/" + "y" * 500, "rename it")
    assert len(str(error.value)) < 250
    assert str(error.value).endswith("which leads out of its folder; rename it")
