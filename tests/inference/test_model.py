"""A run as an object: the features of its network, and whose clusters images are."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from conftest import Compose, composer
from odc_lightning import load
from odc_lightning.config.build import build_module
from odc_lightning.inference import TrainedModel
from odc_lightning.train import train


@pytest.fixture(scope="module")
def model(photos_run: Path) -> TrainedModel:
    return load(photos_run)


@pytest.fixture(scope="module")
def files(new_photos: Path) -> list[Path]:
    return sorted(new_photos.rglob("*.png"))


def by_hand(run: Path, files: list[Path]) -> tuple[torch.Tensor, torch.Tensor]:
    """Views and unit features of images, by torch and Pillow alone."""
    config = OmegaConf.load(run / "config.yaml")
    assert isinstance(config, DictConfig)
    module = build_module(config).eval()
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    module.load_state_dict(checkpoint["state_dict"])
    views = [np.asarray(Image.open(file).convert("RGB"), np.float32) / 255 for file in files]
    images = (torch.tensor(np.stack(views)).permute(0, 3, 1, 2) - 0.5) / 0.5
    with torch.no_grad():
        features = module.neck(module.backbone(images))
    return images, features / features.norm(dim=1, keepdim=True)


def test_import_is_quick() -> None:
    code = "import sys, odc_lightning; print([n for n in ('torch', 'hydra') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_features_are_those_of_the_network_in_eval_mode(
    model: TrainedModel, photos_run: Path, files: list[Path]
) -> None:
    images, expected = by_hand(photos_run, files)
    torch.testing.assert_close(model.embed(files), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.embed(images, batch_size=7), expected, atol=1e-5, rtol=1e-4)
    opened = [Image.open(file) for file in files[:3]]
    torch.testing.assert_close(model.embed(opened), expected[:3], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.embed(str(files[0])), expected[:1], atol=1e-5, rtol=1e-4)
    model.train()
    assert not any(part.training for part in model.modules())


def test_every_layer(model: TrainedModel, files: list[Path]) -> None:
    assert model.layers == ("embedding", "pooled", "conv1", "conv2", "conv3", "conv4")
    widths = {layer: model.embed(files[:2], layer).shape for layer in model.layers}
    assert widths["embedding"] == (2, 128)
    assert widths["pooled"] == (2, 64)
    assert widths["conv4"] == (2, 64 * 2 * 2)
    by_path = model.embed(files[:2], "conv4.1")  # before the ReLU
    torch.testing.assert_close(by_path.relu(), model.embed(files[:2], "conv4"))
    with pytest.raises(ValueError, match=r"layer=conv9.*expected one of embedding, pooled"):
        model.embed(files, "conv9")


def test_assign_is_the_nearest_mean_of_the_members(
    model: TrainedModel, photos_run: Path, files: list[Path]
) -> None:
    _, features = by_hand(photos_run, files)
    config = OmegaConf.load(photos_run / "config.yaml")
    own = [Path(config.data.root) / name for name in model.run.image_names() or ()]
    _, of_the_run = by_hand(photos_run, own)
    checkpoint = torch.load(photos_run / "checkpoints" / "last.ckpt", weights_only=True)
    labels = checkpoint["callbacks"]["SamplesMemory"]["labels"]
    means = torch.stack([of_the_run[labels == cluster].mean(dim=0) for cluster in range(12)])
    cosines = features @ (means / means.norm(dim=1, keepdim=True)).T
    first, second = cosines.topk(2, dim=1).indices.unbind(dim=1)

    found = model.assign(files)
    sure = found.margin > 1e-4
    assert sure.float().mean() > 0.9
    assert torch.equal(found.labels[sure], first[sure])
    top = cosines.topk(2, dim=1).values
    torch.testing.assert_close(found.margin, top[:, 0] - top[:, 1], atol=1e-4, rtol=1e-3)
    distances = (features - means[found.labels]).norm(dim=1)
    torch.testing.assert_close(found.distances, distances, atol=1e-4, rtol=1e-3)
    clear = sure & (top[:, 1] - cosines.topk(3, dim=1).values[:, 2] > 1e-4)
    assert torch.equal(found.second[clear], second[clear])
    agreement = (model.assign(own).labels == labels).float().mean()
    assert model.reference.agreement == pytest.approx(float(agreement))
    assert agreement > 0.4  # chance is a twelfth


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there are no images"),
        (torch.zeros(3, 16, 16), r"tensor \(3, 16, 16\)"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.uint8), "uint8"),
        ([3], "an image is of type int"),
        ("no/such.png", "cannot read the image no/such.png"),
    ],
)
def test_what_is_no_image(model: TrainedModel, images: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.embed(images)  # type: ignore[arg-type]


def test_what_is_no_run(photos_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run=.*does not exist"):
        load(tmp_path / "nothing")
    alone = tmp_path / "alone.ckpt"
    shutil.copy(photos_run / "checkpoints" / "last.ckpt", alone)
    with pytest.raises(ValueError, match=r"no config.yaml"):
        load(alone)


def test_a_config_that_would_run_something_else_is_refused(
    photos_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    shutil.copy(photos_run / "checkpoints" / "last.ckpt", run / "checkpoints")
    config = OmegaConf.load(photos_run / "config.yaml")
    config.data.eval_transform = {"_target_": "os.system", "command": f"touch {tmp_path}/ran"}
    OmegaConf.save(config, run / "config.yaml")
    with pytest.raises(ValueError, match=r"would run os\.system.*checkpoint_trusted=true"):
        load(run)
    assert not (tmp_path / "ran").exists()


def test_a_run_without_clusters_embeds(compose_config: Compose, tmp_path: Path) -> None:
    train(
        composer(tmp_path, "train")(
            "experiment=rotation_fashion_mnist",
            "data=digits",
            "data.subset={num_images: 100}",
            "data.batch_size=50",
            "model.backbone.width=4",
            "trainer.max_epochs=1",
            "trainer.accelerator=cpu",
            "callbacks=none",
            "+trainer.enable_checkpointing=true",
        )
    )
    (checkpoint,) = (tmp_path / "run").rglob("*.ckpt")
    model = load(checkpoint)
    assert model.layers[0] == "pooled"
    assert model.embed(torch.zeros(1, 3, 16, 16)).shape == (1, 32)
    with pytest.raises(ValueError, match="has no clusters"):
        model.assign(torch.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="no such layer"):
        model.embed(torch.zeros(1, 3, 16, 16), "embedding")


@pytest.mark.parametrize("cache", [None, "none", "ram"])
def test_large_files_are_read_as_in_the_training(
    photos_run: Path, tmp_path: Path, cache: str | None
) -> None:
    """Runs of earlier versions, without the key, had images in full."""
    run = shutil.copytree(photos_run, tmp_path / "run")
    config = OmegaConf.load(run / "config.yaml")
    if cache is None:
        del config.data["cache"]
    else:
        config.data.cache = cache
    OmegaConf.save(config, run / "config.yaml")
    (run / "SHA256SUMS").unlink(missing_ok=True)
    model = load(run)
    assert (model.size_of_copy is not None) == (cache == "ram")
    assert (model.training_images().reading.size_of_copy is not None) == (cache == "ram")
