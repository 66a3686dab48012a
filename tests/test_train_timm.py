"""Networks of timm, each trained for a step, evaluated and exported."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from conftest import composer
from odc_lightning import load
from odc_lightning.checkpoints import TrainingRun, timm_weights
from odc_lightning.evaluate import evaluate
from odc_lightning.hub import export_folder
from odc_lightning.train import train

SHORT = (
    *(
        "experiment=odc_small",
        "data=digits",
        "data.subset={num_images: 80}",
        "callbacks.label_scores.knn=false",
    ),
    *("algorithm.num_clusters=4", "data.batch_size=16", "optimizer.lr=1e-5", "logger=csv"),
    *("trainer.max_epochs=1", "trainer.accelerator=cpu", "+trainer.limit_train_batches=1"),
    *("model=timm", "data.num_workers=0"),
)
# Name, image size: the smallest of each family.
NETWORKS = {
    "vit_small_patch14_dinov2": 28,
    "vit_tiny_patch16_dinov3_qkvb": 32,
    "convnext_atto": 32,
    "tf_efficientnet_lite0": 32,
    "mobilenetv4_conv_small": 32,
    "resnet10t": 32,
}


def test_a_transformer_for_its_images_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "vit_tiny_patch16_224"
    network = timm.create_model(name)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    monkeypatch.setattr(timm_weights, "fetch", lambda name: tmp_path / "weights.safetensors")
    command = (*SHORT, f"model.pretrained=timm:{name}", "train.resume=auto")
    config = composer(tmp_path, "train")
    train(config(*command, "data.image_size=32"))
    monkeypatch.setattr(timm_weights, "fetch", None)  # the checkpoint has the weights
    with pytest.raises(ValueError, match=r"data\.image_size=48, but the run has 32"):
        train(config(*command, "data.image_size=48", "trainer.max_epochs=2"))
    assert train(config(*command, "data.image_size=32", "trainer.max_epochs=2")) is not None
    recorded = TrainingRun.of(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert recorded is not None
    assert (recorded.config.model.backbone.img_size, recorded.config.data.mean) == (32, [0.5] * 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_from_start_to_export(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, own = NETWORKS[name], timm.get_pretrained_cfg(name)
    weights = timm.create_model(name, num_classes=own.num_classes)
    save_file(weights.state_dict(), tmp_path / "weights.safetensors")
    monkeypatch.setattr(timm_weights, "fetch", lambda name: tmp_path / "weights.safetensors")
    words = (f"model.pretrained=timm:{name}", f"data.image_size={size}")
    assert train(composer(tmp_path, "train")(*SHORT, *words)) is not None

    run = TrainingRun.of(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert run is not None
    assert (run.config.data.mean, run.config.data.std) == (list(own.mean), list(own.std))
    model = load(run.folder, device="cpu")
    trained = model.backbone.get_submodule("network")
    start = weights.state_dict()
    steps = [
        float((value - start[key]).abs().max())
        for key, value in trained.named_parameters()
        if value.shape == start[key].shape  # not the positions
    ]
    assert 0 < max(steps) < 0.01  # a step from the weights

    command = composer(tmp_path, "evaluate", features_dir=str(tmp_path / "features"))
    scores = evaluate(
        command(
            *(f"checkpoint={run.folder}", "protocol=[knn,linear]", "trainer.accelerator=cpu"),
            *("protocol.linear.max_epochs=1", "+data.val=null", "name=x"),
            run="evaluation",
        )
    ).scores
    layers = {score.layer for score in scores if score.protocol == "linear"}
    is_transformer = name.startswith("vit")
    assert layers == ({"pooled"} if is_transformer else {"pooled", *model.backbone.stages})
    assert any(score.protocol == "knn" for score in scores)

    checks = export_folder(model, tmp_path / "out", onnx=False)
    assert f"timm's own {name}" in checks
    config = json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))
    assert config["pretrained_cfg"]["interpolation"] == own.interpolation
    view = json.loads((tmp_path / "out" / "preprocessor_config.json").read_text("utf-8"))
    assert (view["image_mean"], view["resample"]) == (list(own.mean), 3)
    written = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(written[key], value) for key, value in trained.state_dict().items())
