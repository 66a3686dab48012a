"""One folder with everything, written whole or not at all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor

import odc_lightning
from odc_lightning.hub.card import Facts, card
from odc_lightning.hub.compare import check_close
from odc_lightning.hub.library_weights import Published, check_published, publish
from odc_lightning.hub.network import BackboneNetwork, ClusterNetwork, Outputs, on_cpu
from odc_lightning.hub.onnx_export import write_onnx
from odc_lightning.hub.preprocessing import describe
from odc_lightning.hub.torch_export import write_program
from odc_lightning.inference import RunClusters, TrainedModel
from odc_lightning.runs.summary import read_summary
from odc_lightning.utils.whole_files import whole_folder

# So many of the run's images are compared.
NUM_CHECKED = 16


def export_folder(model: TrainedModel, out: Path, *, onnx: bool = True) -> dict[str, float]:
    """Write and check everything, and then give it its place.

    Args:
        model: of a run, whose images are there.
        out: a folder that is not there yet.
        onnx: whether to write the ONNX file too, for which `require_onnx` asks.

    Returns:
        What was compared with the network, and the largest difference.

    Raises:
        ValueError: the folder is there or cannot be written, the run's images are not there, or
            something is not what it should be; nothing is left behind then.
    """
    if out.exists():
        raise ValueError(f"out={out} is there already; choose another folder")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out) as folder, on_cpu(model):
            checks = _write(model, folder, onnx)
            for file in folder.iterdir():  # safetensors makes files for their owner alone
                file.chmod(0o644)
    except OSError as error:
        raise ValueError(
            f"{out} cannot be written ({error.strerror or error}); choose another folder with "
            "out=..."
        ) from error
    return checks


@torch.no_grad()
def _write(model: TrainedModel, folder: Path, onnx: bool) -> dict[str, float]:
    images = _images_to_check(model)
    published = publish(model.backbone, _plain(model.run.config.model.backbone))
    clusters = None if model.labels is None else model.reference.clusters
    expected = model.backbone(images)
    checks: dict[str, float] = {}
    files = {"README.md": "this page", "config.json": "what network it is"}

    save_file(published.weights, folder / "model.safetensors", {"format": "pt"})
    files["model.safetensors"] = f"the backbone's weights, by the names of {published.library}"
    weights = load_file(folder / "model.safetensors")
    if published.standard:
        what = f"{published.library}'s own {published.architecture}"
        checks[what] = check_published(published._replace(weights=weights), images, expected)

    network = BackboneNetwork(model.backbone)
    checks["torch.export"] = write_program(folder / "backbone.pt2", network, images, expected)
    files["backbone.pt2"] = "the backbone as a program of `torch.export`, images to features"

    whole = None if clusters is None else ClusterNetwork(model.backbone, model.neck, clusters)
    if whole is not None and clusters is not None:
        filled = clusters.counts > 0
        found, scores = (
            each[:, filled] for each in (whole(images).scores, clusters.scores(model(images)))
        )
        checks["the cluster head"] = check_close("the cluster head", found, scores)
        save_file(_head(whole, clusters), folder / "clusters.safetensors", {"format": "pt"})
        files["clusters.safetensors"] = (
            "neck, centroids, and the linear map that compares with them"
        )
    if onnx:
        names = ("features",) if whole is None else Outputs._fields
        checks["onnxruntime"] = write_onnx(
            folder / "model.onnx", network if whole is None else whole, images, names
        )
        files["model.onnx"] = f"images to {', '.join(names)}; any batch"

    view = describe(model.transform)
    _write_json(folder / "preprocessor_config.json", view)
    files["preprocessor_config.json"] = "how images are prepared"
    _write_json(folder / "config.json", config_of(model, published, view))
    facts = Facts(
        str(model.run.config.name),
        model.run.config,
        _summary(model),
        published,
        files,
        checks,
        model.backbone.num_features,
        model.image_size,
        None if clusters is None else model.num_clusters,
        None if clusters is None else model.reference.agreement,
        len(images),
    )
    (folder / "README.md").write_text(card(facts), encoding="utf-8")
    return checks


def config_of(model: TrainedModel, published: Published, view: dict[str, Any]) -> dict[str, Any]:
    """``config.json``, which timm reads where the network is one of its own."""
    size = model.image_size
    resized = view.get("size", {}).get("shortest_edge", size)
    about: dict[str, Any] = {
        "architecture": published.architecture,
        "num_classes": 0,
        "num_features": model.backbone.num_features,
        "model_args": published.arguments,
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "interpolation": "bilinear",
            "crop_pct": size / resized,
            "crop_mode": "center",
            "mean": view.get("image_mean", [0.0, 0.0, 0.0]),
            "std": view.get("image_std", [1.0, 1.0, 1.0]),
            "num_classes": 0,
        },
        "odc_lightning": {
            "version": odc_lightning.__version__,
            "backbone": _plain(model.run.config.model.backbone),
            "neck": _plain(model.run.config.model.neck),
        },
    }
    if model.labels is not None:
        about["odc_lightning"] |= {
            "num_clusters": model.num_clusters,
            "metric": model.reference.clusters.metric,
        }
    return about


def _images_to_check(model: TrainedModel) -> Tensor:
    """Some of the run's images (B, 3, S, S), evenly spread."""
    source = model.training_images()
    count = min(NUM_CHECKED, len(source))
    rows = np.linspace(0, len(source) - 1, count).astype(int).tolist()
    images = torch.stack([model.transform(source.load(row)) for row in rows])
    return images if count > 1 else images.repeat(2, 1, 1, 1)


def _head(network: ClusterNetwork, clusters: RunClusters) -> dict[str, Tensor]:
    """What leads from the backbone's features to clusters, by name."""
    named: Mapping[str, Tensor] = {
        **{f"neck.{name}": value for name, value in network.neck.state_dict().items()},
        **{f"head.{name}": value for name, value in network.head.state_dict().items()},
        "centroids": clusters.centroids,
        "counts": clusters.counts,
    }
    return {name: value.contiguous().clone() for name, value in named.items()}


def _summary(model: TrainedModel) -> Any:
    file = model.run.folder / "summary.json"
    return read_summary(file) if file.is_file() else None


def _plain(config: Any) -> dict[str, Any]:
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
