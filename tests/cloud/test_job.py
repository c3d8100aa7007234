"""Whole jobs with a stand-in for the command: its arguments, and the files left at the end."""

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from dlinknet import config
from dlinknet.cloud import job
from dlinknet.cloud.gate import with_modelarts
from dlinknet.cloud.job import Command
from dlinknet.errors import RunFailed, UserError
from tests.conftest import ROOT, call

TRAIN = (
    "data_path",
    "label_path",
    "val_path",
    "val_label_path",
    "class_table",
    "pretrained_ckpt",
    "trained_ckpt",
)
EVAL = ("data_path", "label_path", "class_table", "trained_ckpt")


@pytest.fixture(params=["obs", "moxing", "local"])
def place(request, tmp_path):
    """A store, or a folder of the machine as the platform of a current job makes it."""
    if request.param != "local":
        return request.getfixturevalue(request.param)

    class Local:
        environment = {}

        def url(self, key=""):
            return str(tmp_path / "platform" / key)

        def put(self, key, content):
            file = tmp_path / "platform" / key
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)

        def contents(self, prefix=""):
            root = tmp_path / "platform"
            return {
                str(file.relative_to(root)): file.read_bytes()
                for file in root.rglob("*")
                if file.is_file() and str(file.relative_to(root)).startswith(prefix)
            }

    return Local()


class Run:
    """A stand-in for a command, which keeps its settings and writes the files `writes`."""

    def __init__(self, inputs=TRAIN, output="output_path", name="train", writes=(), raises=None):
        self.told, self.writes, self.raises = Command(self, inputs, output, name), writes, raises

    def __call__(self, arguments):
        self.settings = config.load(arguments, "")
        for name in self.writes:
            file = Path(getattr(self.settings, self.told.output)) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"content of {name}")
        if self.raises:
            raise self.raises

    def as_job(self, place, tmp_path, *arguments, **environment):
        job.run(
            self.told,
            ["--enable_modelarts=True", f"--cache_path={tmp_path}/cache", *arguments],
            {**place.environment, **environment},
        )
        return self.settings


def read(path):
    return {str(file.relative_to(path)) for file in Path(path).rglob("*") if file.is_file()}


def test_a_training(place, tmp_path):
    for name in ("a_sat.jpg", "a_mask.png"):
        place.put(f"data/{name}", b"x")
    place.put("nets/resnet34.ckpt", b"weights")
    run = Run(
        writes=[
            "weight01_dink34_best.ckpt",
            "weight01_dink34_last.ckpt",
            "weight01_dink34_train.log",
        ]
    )
    settings = run.as_job(
        place,
        tmp_path,
        f"--data_url={place.url('data')}",
        f"--train_url={place.url('out')}",
        f"--checkpoint_url={place.url('nets')}",
        "--num_gpus=1",
        "--epoch_num=7",
        batch_size="3",
    )
    assert (
        read(settings.data_path) == {"a_sat.jpg", "a_mask.png"}
        and settings.enable_modelarts is False
    )
    assert Path(settings.pretrained_ckpt).read_bytes() == b"weights" and settings.resume == ""
    assert (settings.epoch_num, settings.batch_size) == (7, 3)
    assert set(place.contents("out")) == {
        f"out/weight01_dink34_{name}" for name in ("best.ckpt", "last.ckpt", "train.log")
    }


def test_a_training_goes_on_with_what_is_at_train_url(place, tmp_path, capsys):
    place.put("data/a_sat.jpg", b"x")
    for name in ("last.ckpt", "plateau.ckpt", "previous.ckpt"):
        place.put(f"out/roads_{name}", name.encode())
    place.put("out/roads_config.yaml", b"pretrained_ckpt: /gone/resnet34.ckpt\n")
    place.put("out/other_last.ckpt", b"of another run")
    run = Run(writes=["roads_last.ckpt"])
    settings = run.as_job(
        place,
        tmp_path,
        f"--data_url={place.url('data')}",
        f"--train_url={place.url('out')}",
        "--log_name=roads",
        "--pretrained_ckpt=/not/needed/any/more.ckpt",
    )
    assert (
        settings.resume == f"{settings.output_path}/roads_last.ckpt"
        and settings.pretrained_ckpt == "/gone/resnet34.ckpt"
    )
    assert Path(settings.output_path, "roads_plateau.ckpt").read_bytes() == b"plateau.ckpt"
    assert "going on with the training that is at" in capsys.readouterr().out
    assert place.contents("out")["out/roads_last.ckpt"] == b"content of roads_last.ckpt"
    assert place.contents("out")["out/other_last.ckpt"] == b"of another run"


def test_an_evaluation_of_a_folders_best_with_masks_in_an_archive(place, tmp_path):
    place.put("data/valid/a_sat.jpg", b"image")
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as archive:
        archive.writestr("valid_mask/a_mask.png", "mask")
    place.put("masks.zip", (tmp_path / "masks.zip").read_bytes())
    for name in ("best", "last"):
        place.put(f"run/w_{name}.ckpt", name.encode())
    run = Run(EVAL, "predict_path", "eval", ["figures.json", "overlays/a.jpg"])
    settings = run.as_job(
        place,
        tmp_path,
        f"--train_url={place.url('scores')}",
        f"--label_path={place.url('masks.zip')}",
        f"--trained_ckpt={place.url('run')}",
        "--predict_path=here",
        data_url=place.url("data"),
        data_path="/cache/data/valid",
    )
    assert (
        read(settings.data_path) == {"a_sat.jpg"}
        and Path(settings.trained_ckpt).read_bytes() == b"best"
    )
    assert {Path(name).name for name in read(settings.label_path)} == {"a_mask.png"}
    assert set(place.contents("scores")) == {
        "scores/here/figures.json",
        "scores/here/overlays/a.jpg",
    }


def test_the_seeds_export(place, tmp_path):
    """trained_ckpt lies below /cache/checkpoint_path, filled by checkpoint_url.

    file_name is relative.
    """
    place.put("nets/model.ckpt", b"weights")

    def export(arguments):
        export.settings = config.load(arguments, "")
        Path(export.settings.file_name + ".mindir").write_text("graph")

    told = Command(export, ("trained_ckpt", "sample_image"), "file_name", "export")
    job.run(
        told,
        [
            "--enable_modelarts=true",
            "--trained_ckpt=/cache/checkpoint_path/model.ckpt",
            "--file_name=./dlinknet",
            f"--checkpoint_url={place.url('nets')}",
            f"--train_url={place.url('exports')}",
            f"--cache_path={tmp_path}/cache",
        ],
        place.environment,
    )
    assert Path(export.settings.trained_ckpt).read_bytes() == b"weights"
    assert place.contents("exports") == {"exports/dlinknet.mindir": b"graph"}


def test_a_configuration_is_fetched_before_it_is_read(place, tmp_path):
    place.put("data/a_sat.jpg", b"x")
    place.put(
        "settings/mine.yaml",
        b"enable_modelarts: True\nepoch_num: 5\nbatch_size: 9\n"
        + f"data_url: {place.url('data')}\n".encode(),
    )
    for config_path in ("settings/mine.yaml", "settings"):
        run = Run()
        settings = run.as_job(
            place,
            tmp_path,
            f"--config_path={place.url(config_path)}",
            "--epoch_num=6",
            batch_size="2",
        )
        assert (settings.epoch_num, settings.batch_size) == (6, 2), (
            "argument before environment before YAML"
        )
        assert read(settings.data_path) == {"a_sat.jpg"}


def test_a_table_of_classes_is_brought_and_a_name_of_one_stays(place, tmp_path):
    place.put("data/a.jpg", b"x")
    place.put("tables/mine.yaml", b"classes: []")
    data = f"--data_url={place.url('data')}"
    settings = Run().as_job(
        place,
        tmp_path,
        data,
        "--data_layout=folder",
        f"--class_table={place.url('tables/mine.yaml')}",
    )
    assert (
        Path(settings.class_table).read_bytes() == b"classes: []"
        and settings.label_path == settings.data_path
    )
    assert (
        Run().as_job(place, tmp_path, data, "--class_table=cityscapes34").class_table
        == "cityscapes34"
    )


def test_an_empty_data_path_is_left_to_the_command(tmp_path):
    """The command says that it is empty, also if the YAML file says so."""
    (tmp_path / "empty.yaml").write_text("data_path: ''\n")
    settings = Run(EVAL[:2], "predict_path", "eval").as_job(
        SimpleNamespace(environment={}), tmp_path, f"--config_path={tmp_path}/empty.yaml"
    )
    assert settings.data_path == ""


def test_a_training_brings_what_it_fine_tunes_only_if_the_job_names_it(moxing, tmp_path):
    moxing.put("data/a_sat.jpg", b"x")
    moxing.put("nets/a_best.ckpt", b"net")
    (tmp_path / "all.yaml").write_text(
        f"trained_ckpt: {moxing.url('gone.ckpt')}\nlabel_path: {tmp_path}/valid_mask\n"
    )
    common = (
        f"--data_url={moxing.url('data')}",
        f"--checkpoint_url={moxing.url('nets')}",
        f"--config_path={tmp_path / 'all.yaml'}",
    )
    settings = Run().as_job(moxing, tmp_path, *common)
    assert (
        Path(settings.pretrained_ckpt).read_bytes() == b"net"
        and "trained_ckpt" not in settings.given
        and "label_path" not in settings.given
    )
    settings = Run().as_job(moxing, tmp_path, *common, "--trained_ckpt=")
    assert Path(settings.trained_ckpt).read_bytes() == b"net" and settings.pretrained_ckpt == ""


def test_settings_of_other_commands_are_named_and_passed_over(moxing, tmp_path, capsys):
    moxing.put("data/a_sat.jpg", b"x")
    settings = Run().as_job(
        moxing,
        tmp_path,
        f"--data_url={moxing.url('data')}",
        "--probabilities=png",
        file_format="ONNX",
    )
    assert settings.given.isdisjoint({"probabilities", "file_format"})
    assert (
        "no settings of this command and are ignored: --file_format=ONNX --probabilities=png"
        in capsys.readouterr().out
    )


def test_a_command_that_fails_leaves_what_it_wrote(place, tmp_path):
    place.put("data/a_sat.jpg", b"x")
    run = Run(writes=["weight01_dink34_last.ckpt"], raises=RunFailed("the loss is nan"))
    with pytest.raises(RunFailed, match="^the loss is nan$"):
        run.as_job(
            place, tmp_path, f"--data_url={place.url('data')}", f"--train_url={place.url('out')}"
        )
    assert "out/weight01_dink34_last.ckpt" in place.contents("out")


def test_arguments_of_the_platform_are_reported_once(moxing, tmp_path, capsys):
    moxing.put("data/a", b"x")
    Run().as_job(
        moxing,
        tmp_path,
        f"--data_url={moxing.url('data')}",
        "--init_method=tcp://x:1",
        "--rank",
        "3",
    )
    out = capsys.readouterr().out
    assert out.count("are ignored: --init_method=tcp://x:1 --rank 3") == 1
    assert out.count("job: train --enable_modelarts=True ") == 1, "the job's own command line"
    Run().as_job(
        moxing, tmp_path, f"--data_url={moxing.url('data')}", "--init_method=tcp://x:1", RANK_ID="2"
    )
    assert "init_method" not in capsys.readouterr().out


def test_ranks_share_the_copy_and_the_first_takes_the_outputs(moxing, tmp_path):
    moxing.put("data/a", b"x")
    Run(writes=["of_rank_1.txt"]).as_job(
        moxing,
        tmp_path,
        f"--data_url={moxing.url('data')}",
        f"--train_url={moxing.url('out')}",
        RANK_ID="1",
        RANK_SIZE="2",
    )
    assert not moxing.contents("out")
    scored = Run(EVAL, "predict_path", "eval")
    job.run(scored.told, ["--enable_modelarts=True"], {"RANK_ID": "1"})
    assert not hasattr(scored, "settings"), "one evaluation is enough"


@pytest.mark.parametrize(
    "arguments, environment, words",
    [
        (["--data_url=obs:///x"], {}, "obs:///x names no bucket"),
        (["--train_url=obs://"], {}, "obs:// names no bucket"),
        (["--data_url=s3://roads/none"], {}, "data_url: there is nothing at s3://roads/none"),
        (
            ["--data_path=/no/such"],
            {},
            "data_path: there is no /no/such; a place in OBS is written obs://BUCKET/PATH",
        ),
        (
            ["--config_path=s3://roads/none.yaml"],
            {},
            "config_path: there is nothing at s3://roads/none.yaml",
        ),
        (
            ["--output_path=s3://roads/out", "--train_url=s3://roads/out"],
            {},
            "outputs go to OBS with --train_url=s3://roads/out",
        ),
        (
            [],
            {"batch_size": "many"},
            "environment variable: batch_size must be a whole number, not 'many'",
        ),
        (["--batch_size=0"], {}, "command line: batch_size must be at least 1"),
        (
            ["--cache_path=/proc/x", "--data_url=s3://roads/none"],
            {},
            "cache_path: cannot write to /proc/x",
        ),
    ],
)
def test_mistakes(moxing, tmp_path, arguments, environment, words):
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        Run().as_job(moxing, tmp_path, *arguments, **environment)


def test_what_an_earlier_job_wrote_here_is_moved_aside(moxing, tmp_path):
    moxing.put("data/a", b"x")
    data = f"--data_url={moxing.url('data')}"
    for name in ("one", "two"):
        Run(writes=[f"{name}.txt"]).as_job(
            moxing, tmp_path, data, f"--train_url={moxing.url(name)}"
        )
        assert set(moxing.contents(name)) == {f"{name}/{name}.txt"}
    assert read(tmp_path / "cache" / "train") == {"two.txt"} and read(
        tmp_path / "cache" / "train_before"
    ) == {"one.txt"}


def test_the_store_decides_where_a_job_goes_on(place, tmp_path):
    """A container that is started again may hold an older state than the store, or half of one."""
    if "://" not in place.url():
        pytest.skip("a local train_url is the state")
    place.put("data/a_sat.jpg", b"x")
    for step in ("step 1000", "step 2000"):
        place.put("out/weight01_dink34_last.ckpt", step.encode())
        place.put("out/weight01_dink34_train.log", step.encode() * (int(step[5:]) // 1000))

        class Reading(Run):
            def __call__(self, arguments):
                super().__call__(arguments)
                self.found = Path(self.settings.resume).read_text()
                if step == "step 1000":  # noqa: B023 - the class is used in this iteration only
                    raise KeyboardInterrupt

        run = Reading()
        try:
            run.as_job(
                place,
                tmp_path,
                f"--data_url={place.url('data')}",
                f"--train_url={place.url('out')}",
            )
        except KeyboardInterrupt:
            (tmp_path / "cache" / "train" / "weight01_dink34_last.ckpt").write_text("half of it")
        assert run.found == step
    assert place.contents("out")["out/weight01_dink34_last.ckpt"] == b"step 2000"


def test_processes_of_one_node_that_resume_together(moxing, tmp_path):
    """They start one after the other, while the first still brings a slow run."""
    moxing.put("data/a_sat.jpg", b"x")
    for name in ("last.ckpt", "best.ckpt", "config.yaml"):
        moxing.put(f"out/weight01_dink34_{name}", b"{}")
    code = """
import os, sys, time
import moxing.file
from dlinknet.cloud import job
from dlinknet import config
copy = moxing.file.copy
def slow(source, target):
    time.sleep(0.7)
    copy(source, target)
moxing.file.copy = slow
def resume(arguments):
    print("resumes", config.load(arguments, "").resume)
job.run(job.Command(resume, ("data_path",), "output_path", "train"), sys.argv[1:])
"""
    started = []
    for rank in range(3):
        started.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    code,
                    "--enable_modelarts=True",
                    f"--cache_path={tmp_path}/cache",
                    f"--data_url={moxing.url('data')}",
                    f"--train_url={moxing.url('out')}",
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                env={**os.environ, **moxing.environment, "RANK_ID": str(rank)},
            )
        )
        time.sleep(0.5)
    for process in started:
        said, complaints = process.communicate(timeout=60)
        assert (
            process.returncode == 0
            and f"resumes {tmp_path}/cache/train/weight01_dink34_last.ckpt" in said
        ), said + complaints


@pytest.mark.parametrize("name", ["", ".", "..", "/cache/train", "a/.."])
def test_an_export_without_a_name(moxing, tmp_path, name):
    moxing.put("nets/a.ckpt", b"x")
    with pytest.raises(UserError, match="^file_name must name a file, not"):
        Run(("trained_ckpt",), "file_name", "export").as_job(
            moxing,
            tmp_path,
            f"--trained_ckpt={moxing.url('nets')}",
            f"--train_url={moxing.url('out')}",
            f"--file_name={name}",
        )


def test_a_train_url_that_cannot_be_written_is_found_before_the_work(obs, tmp_path, quick):
    obs.put("nets/a.ckpt", b"x")
    run = Run(("trained_ckpt",), "file_name", "export")
    with pytest.raises(UserError, match="train_url: obs://no-such-bucket/x/.*: 404 NoSuchBucket"):
        run.as_job(
            obs, tmp_path, f"--trained_ckpt={obs.url('nets')}", "--train_url=obs://no-such-bucket/x"
        )
    assert not hasattr(run, "settings")


def test_secrets_stay_out_of_the_log(moxing, tmp_path, capsys):
    moxing.put("data/a", b"x")
    Run().as_job(
        moxing,
        tmp_path,
        f"--data_url={moxing.url('data')}",
        "--access_key=AK1",
        "--Secret-Key",
        "SK2",
        "--rank=3",
    )
    said = capsys.readouterr().out
    assert (
        "--access_key=*** --Secret-Key *** --rank=3" in said.replace("'", "")
        and "AK1" not in said
        and "SK2" not in said
    )


def test_resume_is_refused_or_heard(moxing, tmp_path):
    moxing.put("data/a", b"x")
    moxing.put("nets/r.ckpt", b"weights")
    with pytest.raises(
        UserError, match="^resume: a job goes on with the training at train_url by itself"
    ):
        Run().as_job(
            moxing, tmp_path, f"--data_url={moxing.url('data')}", "--resume=s3://roads/x_last.ckpt"
        )
    settings = Run().as_job(
        moxing,
        tmp_path,
        f"--data_url={moxing.url('data')}",
        "--resume=False",
        f"--pretrained_ckpt={moxing.url('nets/r.ckpt')}",
    )
    assert Path(settings.pretrained_ckpt).read_bytes() == b"weights"


def test_a_job_of_local_paths_needs_no_cache(tmp_path):
    (tmp_path / "data").mkdir()
    run = Run()
    job.run(
        run.told,
        [
            "--enable_modelarts=True",
            "--cache_path=/proc/x",
            f"--data_url={tmp_path}/data",
            f"--train_url={tmp_path}/out",
        ],
        {},
    )
    assert run.settings.data_path == f"{tmp_path}/data"


def test_the_gate(tmp_path, monkeypatch):
    """Without enable_modelarts a command gets its arguments as they are."""
    got = []
    run = with_modelarts(got.append, ("data_path",), "output_path", "train")
    for arguments in ([], ["--enable_modelarts=False"], ["--epoch_num=3"]):
        run(arguments)
        assert got.pop() == arguments
    (tmp_path / "my.yaml").write_text("enable_modelarts: 'True'\n")
    asked = []
    monkeypatch.setattr(job, "run", lambda told, arguments: asked.append(arguments))
    for arguments in (
        ["--enable_modelarts=1"],
        ["--enable_modelarts"],
        [f"--config_path={tmp_path}/my.yaml"],
        [f"--config_path={tmp_path}"],
        ["--config_path=obs://roads/my.yaml"],
        ["--enable_modelarts=True", "--config_path=/no/such"],
    ):
        run(arguments)
        assert asked.pop() == arguments and not got
    run([f"--config_path={tmp_path}/my.yaml", "--enable_modelarts=False"])
    assert got.pop() and not asked
    monkeypatch.setenv("enable_modelarts", "true")
    run([])
    assert asked == [[]]
    monkeypatch.setenv("enable_modelarts", "Ture")
    with pytest.raises(
        UserError, match="environment variable: enable_modelarts must be True or False, not 'Ture'"
    ):
        run([])


def test_the_setting_is_named_in_every_process(moxing, tmp_path):
    """Also in a process that reports the failure of another one. The cache has its own setting."""
    told = Run()
    arguments = {
        "data_url": moxing.url("none"),
        "cache_path": f"{tmp_path}/cache",
        "enable_modelarts": "True",
    }
    for _ in range(2):
        each = job.Job(told.told, arguments, moxing.environment, True)
        each.inputs.node.start = 0.0  # as if all had started before the first failed
        with pytest.raises(UserError, match="^data_url: there is nothing at s3://roads/none$"):
            each.run()
        moxing.put("none/a", b"x")
    (tmp_path / "cache" / "data").mkdir()
    (tmp_path / "cache" / "data" / "thesis.txt").write_text("precious")
    (tmp_path / "cache" / ".dlinknet_job.json").unlink()
    moxing.put("in/a", b"x")
    with pytest.raises(UserError, match="^cache_path: .*/data holds files that no job downloaded"):
        Run().as_job(moxing, tmp_path, f"--data_url={moxing.url('in')}")


def test_without_a_library_for_the_store(tmp_path, monkeypatch):
    for name in ("moxing", "obs"):
        monkeypatch.setitem(sys.modules, name, None)
    place = SimpleNamespace(environment={})
    with pytest.raises(UserError, match="^enable_modelarts: neither moxing, .* is installed: pip"):
        Run().as_job(place, tmp_path, "--data_url=obs://roads/in")


def test_nothing_of_it_is_imported_where_it_is_not_asked_for():
    code = (
        "import sys, json, runpy\nsys.argv = ['train.py', '--data_path=/no/such']\n"
        "try:\n    runpy.run_path('train.py', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "print(json.dumps([name for name in sys.modules "
        "if 'cloud' in name or name in ('obs', 'moxing')]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert json.loads(result.stdout.splitlines()[-1]) == [
        "dlinknet.cloud",
        "dlinknet.cloud.gate",
    ], result.stderr


def test_a_url_outside_of_a_job_is_one_line():
    result = call("train.py", "--config_path=obs://roads/my.yaml", "--enable_modelarts=False")
    assert (
        result.returncode == 2
        and "--enable_modelarts=True" in result.stderr
        and len(result.stderr.splitlines()) == 1
    )
