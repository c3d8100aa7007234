"""The arguments that each of the scripts run_*.sh accepts, and the text of its --help."""

from __future__ import annotations

from dataclasses import dataclass, replace

SETTINGS = """\
  --key=value   settings of the command (python train.py --help); relative paths start in the
                current folder
  --wait        wait for the end, and fail if a process fails; without it the work runs in the
                background"""
DATASET = "  DATASET       folder of ID_sat.jpg and ID_mask.png"
CONFIG_PATH = "  CONFIG_PATH   settings, for instance dlinknet_config.yaml"
DEVICE_ID = (
    "  DEVICE_ID     which device (default: device_id of CONFIG_PATH, else DEVICE_ID of the shell)"
)
LOGS = "Logs are ./LOG[i]/log.log, checkpoints go to ./LOG0/output"
OWNED = ("data_path", "config_path", "output_path", "run_distribute", "device_id")


@dataclass(frozen=True)
class Usage:
    """The arguments that a script accepts.

    words: the names of its words, optional ones in brackets. explained: their meaning.
    fewest, most: the limits for the number of words. owned: the settings that the script itself
    gives to the command. settings: the help for the arguments that begin with --.
    """

    words: str
    explained: str
    fewest: int
    most: int
    owned: tuple[str, ...]
    settings: str = SETTINGS


def usage_of(device: str, kind: str) -> Usage:
    """Return the arguments that a script accepts.

    Args:
        device: Ascend, GPU, CPU or msrun.
        kind: standalone_train, standalone_eval, distribute_train or infer_310.
    """
    if kind == "infer_310":
        return INFER_310
    if kind == "distribute_train":
        return DISTRIBUTE[device]
    usage = TRAIN if kind == "standalone_train" else EVAL
    if device == "CPU":
        return usage
    return replace(
        usage,
        words=f"{usage.words} [DEVICE_ID]",
        explained=usage.explained.replace(CONFIG_PATH, f"{CONFIG_PATH}\n{DEVICE_ID}"),
        most=usage.most + 1,
    )


TRAIN = Usage(
    "DATASET CONFIG_PATH",
    f"{DATASET}\n{CONFIG_PATH}\nThe log is ./train.log, checkpoints go to ./output.",
    fewest=2,
    most=2,
    owned=(*OWNED, "device_target"),
)
EVAL = Usage(
    "DATASET LABEL_PATH CHECKPOINT PREDICT_PATH CONFIG_PATH",
    f"""\
  DATASET       folder of ID_sat.jpg
  LABEL_PATH    folder of the true masks ID_mask.png
  CHECKPOINT    a trained network
  PREDICT_PATH  folder that receives masks, overlays and figures
{CONFIG_PATH}
The log, with the figures, is ./eval.log.""",
    fewest=5,
    most=5,
    owned=(
        *("data_path", "label_path", "trained_ckpt", "predict_path", "config_path"),
        *("device_target", "device_id"),
    ),
    settings=SETTINGS.replace("train.py", "eval.py"),
)
DISTRIBUTE = {
    "Ascend": Usage(
        "RANK_TABLE_FILE DATASET CONFIG_PATH",
        f"""\
  RANK_TABLE_FILE  which rank is which Ascend; on a server, python -m dlinknet rank-table
                --devices=all --rank_table=FILE makes one
{DATASET}
{CONFIG_PATH}
{LOGS}. If the table names several servers, call the script on each of them.""",
        fewest=3,
        most=3,
        owned=(*OWNED, "device_target"),
    ),
    "GPU": Usage(
        "DATASET CONFIG_PATH DEVICE_NUM CUDA_VISIBLE_DEVICES",
        f"""\
{DATASET}
{CONFIG_PATH}
  DEVICE_NUM    how many GPUs
  CUDA_VISIBLE_DEVICES   which, for instance 0,1,2,3
{LOGS}.""",
        fewest=4,
        most=4,
        owned=(*OWNED, "device_target"),
    ),
    "CPU": Usage(
        "DATASET CONFIG_PATH WORKER_NUM",
        f"{DATASET}\n{CONFIG_PATH}\n  WORKER_NUM    how many processes\n{LOGS}.",
        fewest=3,
        most=3,
        owned=(*OWNED, "device_target"),
    ),
    "msrun": Usage(
        "DATASET CONFIG_PATH [WORKER_NUM [LOCAL_WORKER_NUM MASTER_ADDR MASTER_PORT NODE_RANK]]",
        f"""\
{DATASET}
{CONFIG_PATH}
  WORKER_NUM    how many processes on all machines; in a ModelArts container you may leave it out,
                and all words after it
On several machines, call it on each with
  LOCAL_WORKER_NUM  how many of these processes run on this machine
  MASTER_ADDR   address of the machine with rank 0, the same on all
  MASTER_PORT   a free port there, the same on all
  NODE_RANK     which machine this is: 0, 1, ...
{LOGS} on the machine with rank 0.""",
        fewest=2,
        most=7,
        owned=OWNED,
    ),
}
INFER_310 = Usage(
    "DATA_PATH LABEL_PATH MINDIR_PATH [DEVICE_ID]",
    """\
  DATA_PATH     folder of images ID_sat.jpg
  LABEL_PATH    folder of their masks ID_mask.png; with --class_table: NAME.png of NAME.jpg
  MINDIR_PATH   an export with --batch_size=1, with its .json beside it: FILE.mindir or FILE.om
                (Ascend), FILE.onnx (CPU); scripts/convert_om.sh makes FILE.om
  DEVICE_ID     which Ascend (default: that of the environment, else 0)""",
    fewest=3,
    most=4,
    owned=("data_path", "label_path", "predict_path", "device_id"),
    settings="""\
  --class_table=TABLE the masks hold these classes, and have the names of their images (or NAME_L)
  --ignore_index=none the void of the masks is one more class
  --threshold=T       for the score, a probability above T is road (default 0.5)
  --tile_overlap=N    minimum overlap in pixels of the tiles of larger images (default 256)
  --precision=MODE    how an Ascend computes the float32 layers of a .mindir: preferred_fp32 (the
                      default), enforce_fp32, enforce_origin, enforce_fp16 or preferred_optimal;
                      of an .onnx, if Python has OpenVINO: float32 (the default), bfloat16 or auto
  --fp16=True         the same as --precision=enforce_fp16
  --engine=NAME       of an .onnx: openvino, opencv, or auto: openvino if Python has it (default)
The script waits for the end, and fails if a step fails.""",
)
