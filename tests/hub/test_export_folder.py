"""What is taken away, read again by those that it is for."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
import torchvision
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from conftest import compose_command
from helpers.paths import ROOT
from odc_lightning import load
from odc_lightning.config.build import build_module
from odc_lightning.export import export
from odc_lightning.hub import export_folder
from odc_lightning.hub.network import Outputs
from odc_lightning.inference import TrainedModel


def with_backbone(
    photos_run: Path, folder: Path, backbone: Mapping[str, object], size: int
) -> Path:
    """The run of the photos as if it had trained another network, of random weights."""
    config = OmegaConf.load(photos_run / "config.yaml")
    assert isinstance(config, DictConfig)
    config.model.backbone = dict(backbone)
    config.data.image_size = size
    for step in config.data.eval_transform.transforms[:2]:
        step.size = size
    torch.manual_seed(0)
    module = build_module(config)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 2)
    checkpoint = torch.load(photos_run / "checkpoints" / "last.ckpt", weights_only=True)
    checkpoint["state_dict"] = module.state_dict()
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(checkpoint, folder / "checkpoints" / "last.ckpt")
    OmegaConf.save(config, folder / "config.yaml")
    shutil.copy(photos_run / "index.csv", folder)
    return folder


def some(model: TrainedModel, new_photos: Path) -> tuple[list[Image.Image], Tensor]:
    """Images that nothing was checked on, and their views (7, 3, S, S)."""
    opened = [Image.open(path).convert("RGB") for path in sorted(new_photos.rglob("*.png"))[:7]]
    return opened, torch.stack([model.transform(image) for image in opened])


@pytest.fixture(scope="module")
def exported(photos_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the photos, by the command."""
    out = tmp_path_factory.mktemp("exported") / "my model"
    return export(compose_command("export", f"run='{photos_run}'", f"out='{out}'"))


def test_what_is_in_the_folder(exported: Path, photos_run: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    assert names == {
        *("README.md", "config.json", "preprocessor_config.json"),
        *("model.safetensors", "clusters.safetensors", "backbone.pt2", "model.onnx"),
    }
    summary = json.loads((photos_run / "summary.json").read_text())
    card = (exported / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\npipeline_tag: image-feature-extraction\n")
    assert f"| loss | {summary['train_loss']:.3f} (chance: {summary['chance_loss']:.3f}) |" in card
    assert "| training images | 200 |" in card
    assert "| clusters | 12 |" in card
    for name in names:
        assert f"| `{name}` |" in card
        content = (exported / name).read_bytes()
        for place in (str(photos_run.parent), "site-packages", str(ROOT)):
            assert place.encode() not in content, name  # it is passed on to others
    assert list(exported.parent.iterdir()) == [exported]


def test_onnx_is_the_network(exported: Path, photos_run: Path, new_photos: Path) -> None:
    model = load(photos_run)
    _, images = some(model, new_photos)
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    found = Outputs(*map(torch.from_numpy, session.run(None, {"images": images.numpy()})))
    assigned = model.assign(images)
    torch.testing.assert_close(found.features, model.embed(images, "pooled"), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.embedding, model.embed(images), atol=1e-4, rtol=1e-4)
    sure = assigned.margin > 1e-3
    assert sure.any()
    assert torch.equal(found.cluster[sure], assigned.labels[sure])
    best = found.scores.topk(2, dim=1).values
    torch.testing.assert_close(best[:, 0] - best[:, 1], assigned.margin, atol=1e-4, rtol=1e-3)


def test_the_program_and_the_weights(exported: Path, photos_run: Path, new_photos: Path) -> None:
    model = load(photos_run)
    _, images = some(model, new_photos)
    program = torch.export.load(exported / "backbone.pt2").module()
    torch.testing.assert_close(program(images), model.embed(images, "pooled"))
    about = json.loads((exported / "config.json").read_text())["odc_lightning"]
    backbone = instantiate(about["backbone"])
    backbone.load_state_dict(load_file(exported / "model.safetensors"))
    torch.testing.assert_close(backbone.eval()(images), model.embed(images, "pooled"))
    head = load_file(exported / "clusters.safetensors")
    scores = model.embed(images) @ head["head.weight"].T + head["head.bias"]
    assert torch.equal(scores.argmax(dim=1), model.assign(images).labels)


def test_images_are_prepared_as_it_says(exported: Path, photos_run: Path, tmp_path: Path) -> None:
    view = json.loads((exported / "preprocessor_config.json").read_text())
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    short = view["size"]["shortest_edge"]
    scaled = image.resize((round(60 * short / 40), short), view["resample"])
    left = (scaled.width - view["crop_size"]["width"]) // 2
    array = np.asarray(scaled)[:, left : left + view["crop_size"]["width"]]
    by_hand = (array * view["rescale_factor"] - view["image_mean"]) / view["image_std"]
    expected = load(photos_run).transform(image).permute(1, 2, 0)
    assert np.allclose(by_hand, expected, atol=1e-5)


def test_timm_reads_a_resnet(photos_run: Path, new_photos: Path, tmp_path: Path) -> None:
    backbone = {"_target_": "odc_lightning.models.ResNet", "name": "resnet18"}
    run = with_backbone(photos_run, tmp_path / "run", backbone, 32)
    model = load(run, device="cpu")
    checks = export_folder(model, tmp_path / "out", onnx=False)
    assert "timm's own resnet18" in checks
    opened, images = some(model, new_photos)
    expected = model.embed(images, "pooled")
    by_timm = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True, num_classes=0)
    torch.testing.assert_close(by_timm.eval()(images), expected, atol=1e-4, rtol=1e-4)
    prepare = timm.data.create_transform(**timm.data.resolve_data_config({}, model=by_timm))
    views = torch.stack([prepare(image) for image in opened])
    torch.testing.assert_close(views, images, atol=1e-5, rtol=1e-5)
    by_torchvision = torchvision.models.resnet18(weights=None)
    missing, unknown = by_torchvision.load_state_dict(
        load_file(tmp_path / "out" / "model.safetensors"), strict=False
    )
    assert (set(missing), unknown) == ({"fc.weight", "fc.bias"}, [])
    assert "library_name: timm" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_timm_reads_its_own(photos_run: Path, new_photos: Path, tmp_path: Path) -> None:
    """With an argument, which has to be passed on."""
    backbone = {
        "_target_": "odc_lightning.models.TimmBackbone",
        "name": "test_convnext",
        "pretrained": False,
        "act_layer": "relu",
    }
    run = with_backbone(photos_run, tmp_path / "run", backbone, 32)
    model = load(run, device="cpu")
    export_folder(model, tmp_path / "out", onnx=False)
    _, images = some(model, new_photos)
    by_timm = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True, num_classes=0)
    expected = model.embed(images, "pooled")
    torch.testing.assert_close(by_timm.eval()(images), expected, atol=1e-4, rtol=1e-4)


def test_nothing_is_overwritten_or_left_behind(
    exported: Path, photos_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(photos_run, device="cpu")
    before = (exported / "README.md").stat().st_mtime_ns
    with pytest.raises(ValueError, match="exists already"):
        export_folder(model, exported)
    assert (exported / "README.md").stat().st_mtime_ns == before
    monkeypatch.setattr("odc_lightning.hub.compare.TOLERANCE", -1.0)  # nothing is near enough
    with pytest.raises(ValueError, match=r"differ by .* nothing was exported"):
        export_folder(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_images_of_a_run_without_a_reference_are_read_on_its_device(
    photos_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = load(photos_run, device="cpu"), []

    @contextmanager
    def moved(network: TrainedModel) -> Iterator[None]:
        seen.append("reference" in vars(network))
        yield

    monkeypatch.setattr(sys.modules["odc_lightning.hub.export_folder"], "on_cpu", moved)
    export_folder(model, tmp_path / "out", onnx=False)
    assert seen == [True]


def test_without_the_extra(
    photos_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    command = ("export", f"run='{photos_run}'", f"out='{tmp_path / 'out'}'")
    with pytest.raises(ValueError, match=r"pip install odc-lightning\[export\].*onnx=false"):
        export(compose_command(*command))
    export(compose_command(*command, "onnx=false"))
    assert not (tmp_path / "out" / "model.onnx").exists()
