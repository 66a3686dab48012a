"""timm's weights: where they are found, and what is said where they are not."""

import logging
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from odc_lightning.checkpoints import load_pretrained
from odc_lightning.checkpoints import timm_weights as subject
from odc_lightning.checkpoints.timm_weights import WeightsUnavailable, fetch, timm_name
from odc_lightning.models import ResNet, TimmBackbone

DINOV2 = "vit_small_patch14_dinov2.lvd142m"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, on a machine without a network."""

    class Client:
        asked = 0

        def head(self, address: str, timeout: float) -> None:
            Client.asked += 1
            assert 0 < timeout <= 10
            logging.getLogger("huggingface_hub.utils").warning("a wall of warnings")
            raise ConnectionError("name or service not known")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.utils, "get_session", Client)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", None)  # would try for 25 seconds
    return tmp_path / "hub"


def put(cache: Path, name: str, network: nn.Module) -> Path:
    """Weights in the cache, as the hub's client leaves them."""
    repository = cache / f"models--timm--{name}"
    file = repository / "snapshots" / "abc" / "model.safetensors"
    file.parent.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    save_file(network.state_dict(), file)
    return file


def test_from_the_cache(cache: Path) -> None:
    network = timm.create_model("resnet10t")
    file = put(cache, "resnet10t.c3_in1k", network)
    assert fetch("resnet10t") == fetch("resnet10t.c3_in1k") == file
    backbone = TimmBackbone("resnet10t")
    conversion = load_pretrained(backbone, "timm:resnet10t")
    assert conversion.format == "timm"
    for key, value in backbone.network.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
    assert [row.target for row in conversion.rows] == list(backbone.state_dict())


def test_without_a_network_the_way_to_get_them_is_said_at_once(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(WeightsUnavailable) as raised:
        load_pretrained(TimmBackbone("resnet10t"), "timm:resnet10t")
    said = str(raised.value)
    assert "not in the local cache and cannot be downloaded (name or service not known)" in said
    command = "hf download timm/resnet10t.c3_in1k --local-dir resnet10t.c3_in1k; copy that folder"
    assert command in said
    assert "add model.pretrained=resnet10t.c3_in1k" in said
    assert str(cache / "models--timm--resnet10t.c3_in1k") in said
    assert "\n" not in said
    assert "wall of warnings" not in caplog.text


def test_an_address_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Some networks have an address alone, such as those of NVIDIA."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr("timm.models._hub.download_url_to_file", refuse)
    with pytest.raises(WeightsUnavailable, match=r"gcvit_xtiny .*\(no route\).*gcvit_xtiny_224"):
        fetch("gcvit_xtiny")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet19", "no network 'resnet19'; did you mean resnet18"),
        ("resnet18.mine", r"no weights 'resnet18\.mine'; expected one of: resnet18\."),
        ("coatnet_0_224", "has the network coatnet_0_224, but no weights of it; similar .*coatnet"),
    ],
)
def test_names_without_weights(name: str, said: str) -> None:
    with pytest.raises(WeightsUnavailable, match=said):
        fetch(name)


def test_the_hub_has_no_such_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = SimpleNamespace(head=lambda address, timeout: SimpleNamespace(status_code=404))
    monkeypatch.setattr(huggingface_hub.utils, "get_session", lambda: answers)
    with pytest.raises(WeightsUnavailable, match=r"has none of model\.safetensors, pytorch_model"):
        fetch("resnet10t")


def test_a_damaged_file(cache: Path) -> None:
    put(cache, "resnet10t.c3_in1k", nn.Linear(2, 2)).write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"safetensors cannot be loaded into timm's resnet10t"):
        load_pretrained(TimmBackbone("resnet10t"), "timm:resnet10t")


def test_another_network() -> None:
    with pytest.raises(ValueError, match=r"another network than model\.backbone\.name=resnet10t"):
        load_pretrained(TimmBackbone("resnet10t"), "timm:resnet18")
    with pytest.raises(ValueError, match="but the network is resnet18; add model=timm"):
        load_pretrained(ResNet("resnet18"), "timm:resnet18")
    assert timm_name("timm:a.b") == "a.b"
    assert timm_name(Path("timm/a")) is None


@torch.no_grad()
def test_positions_follow_the_image_size(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=64, num_classes=0)
    nn.init.normal_(network.pos_embed)
    file = tmp_path / "weights.safetensors"
    save_file(network.state_dict(), file)
    monkeypatch.setattr(subject, "fetch", lambda name: file)
    expected = resample_abs_pos_embed(network.pos_embed, [3, 3], num_prefix_tokens=1)
    for source in ("timm:vit_tiny_patch16_224", file):
        backbone = TimmBackbone("vit_tiny_patch16_224", img_size=48)
        conversion = load_pretrained(backbone, source)
        torch.testing.assert_close(backbone.network.pos_embed, expected)
        assert torch.equal(backbone.network.cls_token, network.cls_token)
    assert "network.pos_embed: positions resampled to (1, 10, 192)" in conversion.summary
