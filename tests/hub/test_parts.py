"""The pieces of an export by themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.transforms import InterpolationMode, v2

from odc_lightning.clustering import Assignment
from odc_lightning.data import resize_and_center_crop
from odc_lightning.hub.library_weights import check_published, publish
from odc_lightning.hub.network import ClusterNetwork
from odc_lightning.hub.onnx_export import write_onnx
from odc_lightning.hub.preprocessing import describe
from odc_lightning.inference import RunClusters
from odc_lightning.models import VGG16, Backbone, ConvNet, ResNet


@pytest.mark.parametrize("metric", ["l2", "dot", "cosine"])
def test_the_cluster_head_is_the_metric(metric: Assignment) -> None:
    torch.manual_seed(0)
    backbone = ConvNet(width=2)
    features = nn.functional.normalize(torch.randn(20, 16), dim=1)
    labels = torch.arange(20) % 4  # of five: one is empty
    clusters = RunClusters.of_members(features, labels, 5, metric)
    network = ClusterNetwork(backbone, nn.Identity(), clusters)
    images = torch.randn(6, 3, 16, 16)
    out = network(images)
    torch.testing.assert_close(out.scores[:, :4], clusters.scores(out.embedding)[:, :4])
    assert torch.equal(out.cluster, clusters.assign(out.embedding).labels)
    assert (out.scores[:, 4] < -100).all()


def test_a_resnet_is_torchvisions() -> None:
    torch.manual_seed(0)
    backbone = ResNet("resnet18").eval()
    published = publish(backbone, {"_target_": "x", "name": "resnet18", "sobel": False})
    assert (published.library, published.architecture) == ("timm", "resnet18")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = backbone(images)
    check_published(published, images, expected)
    published.weights["conv1.weight"] += 1
    with pytest.raises(ValueError, match="timm's network gives numbers that differ"):
        check_published(published, images, expected)
    del published.weights["conv1.weight"]
    with pytest.raises(ValueError, match=r"missing \['conv1.weight'\]"):
        check_published(published, images, expected)


def test_vgg_has_torchvisions_names() -> None:
    backbone = VGG16()
    with torch.device("meta"):
        theirs = torchvision.models.vgg16_bn().state_dict()
    published = publish(backbone, {"sobel": False})
    assert (published.library, published.architecture) == ("torchvision", "vgg16_bn")
    left = {name: value.shape for name, value in theirs.items() if "classifier.6" not in name}
    assert left == {name: value.shape for name, value in backbone.state_dict().items()}


@pytest.mark.parametrize(
    ("build", "config"),
    [
        (lambda: ConvNet(width=2), {"width": 2}),
        (lambda: ResNet("resnet18", sobel=True), {"name": "resnet18", "sobel": True}),
        (lambda: ResNet("resnet18", small_images=True), {"small_images": True}),
    ],
    ids=["convnet", "sobel", "small_images"],
)
def test_others_keep_their_own_names(
    build: Callable[[], Backbone], config: dict[str, object]
) -> None:
    backbone = build()
    published = publish(backbone, config)
    assert (published.library, published.standard) == ("odc_lightning", False)
    assert published.weights.keys() == backbone.state_dict().keys()


def test_a_view_in_words() -> None:
    ending = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    normal = v2.Normalize([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    usual = describe(v2.Compose([resize_and_center_crop(224), *ending, normal]))
    assert usual["size"] == {"shortest_edge": 256}
    assert usual["crop_size"] == {"height": 224, "width": 224}
    assert (usual["resample"], usual["rescale_factor"]) == (2, 1 / 255)
    assert (usual["image_mean"], usual["image_std"]) == ([0.1, 0.2, 0.3], [0.4, 0.5, 0.6])
    whole = describe(
        v2.Compose([v2.Resize([32, 48], interpolation=InterpolationMode.BICUBIC), *ending])
    )
    assert whole["size"] == {"height": 32, "width": 48}
    assert (whole["resample"], whole["do_center_crop"], whole["do_normalize"]) == (3, False, False)
    with pytest.raises(ValueError, match=r"RandomHorizontalFlip.* cannot be described"):
        describe(v2.Compose([v2.RandomHorizontalFlip(), *ending]))


class Drops(nn.Module):
    """Gives other numbers each time that it is called."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + torch.rand(1)


def test_a_file_that_gives_other_numbers_is_found(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="onnxruntime, for features, gives numbers that differ"):
        write_onnx(tmp_path / "x.onnx", Drops(), torch.randn(2, 3, 8, 8), ("features",))
