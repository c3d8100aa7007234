"""The command line of all scripts. test_launch_scripts.py tests the words of each script."""

import pytest

from dlinknet.errors import UserError
from dlinknet.launching.script_arguments import Arguments, need_count, need_file, need_folder, parse
from dlinknet.launching.script_usages import Usage, usage_of

USAGE = Usage("ONE [TWO]", "  ONE  a word", fewest=1, most=2, owned=("data_path",))


@pytest.mark.parametrize(
    "line, expected",
    [
        ("a", Arguments("s.sh", ["a"])),
        ("--tta a --x=1=2 -b --wait", Arguments("s.sh", ["a", "-b"], ["--tta", "--x=1=2"], True)),
        ("a --resume", Arguments("s.sh", ["a"], ["--resume"], False, True)),
        ("a --resume=last.ckpt", Arguments("s.sh", ["a"], ["--resume=last.ckpt"], False, True)),
        ("a --resume=False --resume=no --resume=0 --resume=", Arguments("s.sh", ["a"])),
    ],
)
def test_arguments_are_told_apart(line, expected):
    assert parse("s.sh", USAGE, line.split()) == expected


@pytest.mark.parametrize(
    "line, words",
    [
        ("", "usage: bash scripts/s.sh ONE [TWO]"),
        ("a b c", "usage: bash scripts/s.sh ONE [TWO]"),
        ("a --data_path=x", "'--data_path' is set by the script: bash scripts/s.sh --help"),
        ("a --tta2", "'--tta2' is not understood: settings are --key=value"),
    ],
)
def test_mistakes_name_the_remedy(line, words):
    with pytest.raises(UserError) as error:
        parse("s.sh", USAGE, line.split())
    assert str(error.value) == words


def test_help_ends_the_script(capsys):
    with pytest.raises(SystemExit) as end:
        parse("s.sh", USAGE, ["a", "b", "c", "--help"])
    said = capsys.readouterr().out
    assert not end.value.code and said.startswith("usage: bash scripts/s.sh ONE [TWO]\n\n  ONE")
    assert "--wait" in said


def test_a_device_is_a_word_except_of_a_cpu():
    assert usage_of("GPU", "standalone_eval").most == usage_of("CPU", "standalone_eval").most + 1
    assert "[DEVICE_ID]" in usage_of("Ascend", "standalone_train").words


def test_places_in_a_store_are_left_to_the_job(tmp_path):
    for path in ("obs://roads/data", "s3://roads/data", str(tmp_path)):
        need_folder("DATASET", path)
    need_file("CONFIG_PATH", "obs://roads/my.yaml")
    with pytest.raises(UserError, match="CONFIG_PATH: there is no file "):
        need_file("CONFIG_PATH", str(tmp_path))


@pytest.mark.parametrize("text", ["", "-1", "1.0", "two", "²", "٣", "0"])
def test_counts_are_whole_numbers_from_one_on(text):
    with pytest.raises(UserError, match="WORKER_NUM must be"):
        need_count("WORKER_NUM", text)
    assert need_count("WORKER_NUM", "010") == 10
