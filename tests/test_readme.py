"""The two READMEs: short, and with the command lines of the model zoo's D-LinkNet."""

import pytest

from tests.conftest import ROOT

README, README_CN = (ROOT / name for name in ("README.md", "README_CN.md"))
# The command lines in the README of the model zoo's D-LinkNet, without comments.
MODEL_ZOO = (
    "python train.py --data_path=[DATASET] --config_path=[CONFIG_PATH] --output_path=[OUTPUT_PATH] "
    "--device_target=[DEVICE_TARGET] > train.log 2>&1 &",
    "python eval.py --data_path=[DATASET] --label_path=[LABEL_PATH] --trained_ckpt=[CHECKPOINT] "
    "--predict_path=[PREDICT_PATH] --config_path=[CONFIG_PATH] "
    "--device_target=[DEVICE] > eval.log 2>&1 &",
    "python export.py --config_path=[CONFIG_PATH] --trained_ckpt=[trained_ckpt_path] "
    "--file_name=[model_name] --file_format=MINDIR --batch_size=1",
    "bash scripts/run_standalone_ascend_train.sh [DATASET] [CONFIG_PATH] [DEVICE_ID]",
    "bash scripts/run_standalone_gpu_train.sh [DATASET] [CONFIG_PATH] [DEVICE_ID]",
    "bash scripts/run_distribute_ascend_train.sh [RANK_TABLE_FILE] [DATASET] [CONFIG_PATH]",
    "bash scripts/run_distribute_gpu_train.sh [DATASET] [CONFIG_PATH] [DEVICE_NUM] "
    "[CUDA_VISIBLE_DEVICES]",
    "bash scripts/run_standalone_ascend_eval.sh [DATASET] [LABEL_PATH] [CHECKPOINT] [PREDICT_PATH] "
    "[CONFIG_PATH] [DEVICE_ID]",
    "bash scripts/run_standalone_gpu_eval.sh [DATASET] [LABEL_PATH] [CHECKPOINT] [PREDICT_PATH] "
    "[CONFIG_PATH] [DEVICE_ID]",
    "run_infer_310.sh [DATA_PATH] [LABEL_PATH] [MINDIR_PATH] [DEVICE_ID]",
)


@pytest.mark.parametrize("file", [README, README_CN], ids=lambda file: file.name)
def test_a_readme_is_short_and_has_the_model_zoos_command_lines(file):
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    assert [line for line in MODEL_ZOO if line not in text] == []


def test_the_two_commands_of_a_newcomer_come_first():
    for file in (README, README_CN):
        first = file.read_text(encoding="utf-8").split("```shell\n")[1].splitlines()[:2]
        assert [line.split("  ")[0] for line in first] == [
            "bash scripts/quickstart.sh",
            "bash scripts/run_tests.sh",
        ]
