"""Models opened by their files' names."""
from dlinknet import config, runtime


def test_mindspore_is_started_once_for_all_models(spread_checkpoint, monkeypatch):
    from dlinknet.deploy.engines import open_model
    file = str(spread_checkpoint("linknet34"))
    starts = []
    monkeypatch.setattr(runtime, "start", lambda *arguments: starts.append(arguments) or "device: CPU")
    settings = config.load([f"--trained_ckpt={file}", "--device_target=CPU", "--device_id=1", "--seed=2"], "")
    opened = [open_model(file, "trained_ckpt", settings) for _ in range(2)]
    assert starts == [("CPU", 1, 2, settings.tf32)] and [model.device for model in opened] == ["device: CPU"] * 2
    assert opened[0].engine is not opened[1].engine
