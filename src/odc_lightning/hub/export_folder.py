"""Export of a trained network as one folder, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file
from torch import Tensor

import odc_lightning
from odc_lightning.data.transforms import RESAMPLING
from odc_lightning.hub.card import Facts, card
from odc_lightning.hub.compare import check_close
from odc_lightning.hub.library_weights import Published, check_published, publish
from odc_lightning.hub.network import BackboneNetwork, ClusterNetwork, Outputs, on_cpu
from odc_lightning.hub.onnx_export import write_onnx
from odc_lightning.hub.preprocessing import describe
from odc_lightning.hub.torch_export import write_program
from odc_lightning.inference import RunClusters, TrainedModel
from odc_lightning.runs.summary import read_summary
from odc_lightning.utils.json_file import write_json
from odc_lightning.utils.whole_files import whole_folder

# Number of the run's images whose features are compared.
NUM_CHECKED = 16


def export_folder(model: TrainedModel, out: Path, *, onnx: bool = True) -> dict[str, float]:
    """Write and check all files in a temporary folder, and then rename it.

    Args:
        model: of a run whose images are available.
        out: a folder that does not exist yet.
        onnx: whether to write the ONNX file too; see `require_onnx`.

    Returns:
        The largest difference from the network, by the name of what was compared.

    Raises:
        ValueError: the folder exists or cannot be written, the run's images are not available, or
            a check failed; nothing is left behind then.
    """
    if out.exists():
        raise ValueError(f"out={out} exists already; choose another folder")
    # On the model's device, since a run without a reference reads all its images for it.
    clusters = None if model.labels is None else model.reference.clusters
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_folder(out) as folder, on_cpu(model):
            checks = _write(model, clusters, folder, onnx)
            for file in folder.iterdir():  # safetensors makes files for their owner alone
                file.chmod(0o644)
    except OSError as error:
        raise ValueError(
            f"{out} cannot be written ({error.strerror or error}); choose another folder with "
            "out=..."
        ) from error
    return checks


@torch.no_grad()
def _write(
    model: TrainedModel, clusters: RunClusters | None, folder: Path, onnx: bool
) -> dict[str, float]:
    export = _Export(model, clusters, folder)
    export.write_weights()
    export.write_program()
    if export.cluster_network is not None:
        export.write_clusters(export.cluster_network)
    if onnx:
        export.write_onnx()
    export.write_configs()
    export.write_card()
    return export.checks


class _Export:
    """The files of an export, a method for each.

    Attributes:
        files: name of a file -> its description.
        checks: what was compared with the network -> the largest difference.
        cluster_network: None if the run has no clusters.
    """

    def __init__(self, model: TrainedModel, clusters: RunClusters | None, folder: Path) -> None:
        """Compute the features that are compared."""
        self.model = model
        self.folder = folder
        self.images = _images_to_check(model)
        self.expected = model.backbone(self.images)
        self.published = publish(model.backbone, _plain(model.run.config.model.backbone))
        self.network = BackboneNetwork(model.backbone)
        self.clusters = clusters
        self.cluster_network = (
            None
            if self.clusters is None
            else ClusterNetwork(model.backbone, model.neck, self.clusters)
        )
        self.files = {"README.md": "this page", "config.json": "the network's architecture"}
        self.checks: dict[str, float] = {}

    def write_weights(self) -> None:
        """Write ``model.safetensors``, and load it into the library's own network."""
        published, file = self.published, self.folder / "model.safetensors"
        save_file(published.weights, file, {"format": "pt"})
        self.files[file.name] = f"the backbone's weights, by the names of {published.library}"
        if published.standard:
            what = f"{published.library}'s own {published.architecture}"
            written = published._replace(weights=load_file(file))
            self.checks[what] = check_published(written, self.images, self.expected)

    def write_program(self) -> None:
        """Write ``backbone.pt2``."""
        file = self.folder / "backbone.pt2"
        self.checks["torch.export"] = write_program(file, self.network, self.images, self.expected)
        self.files[file.name] = "the backbone as a program of `torch.export`, images to features"

    def write_clusters(self, network: ClusterNetwork) -> None:
        """Write ``clusters.safetensors``."""
        assert self.clusters is not None
        filled = self.clusters.counts > 0
        found = network(self.images).scores[:, filled]
        scores = self.clusters.scores(self.model(self.images))[:, filled]
        self.checks["the cluster head"] = check_close("the cluster head", found, scores)
        file = self.folder / "clusters.safetensors"
        save_file(_head(network, self.clusters), file, {"format": "pt"})
        self.files[file.name] = "neck, centroids, and the linear map to the cluster scores"

    def write_onnx(self) -> None:
        """Write ``model.onnx``, with clusters if the run has them."""
        network = self.network if self.cluster_network is None else self.cluster_network
        names = ("features",) if self.cluster_network is None else Outputs._fields
        file = self.folder / "model.onnx"
        self.checks["onnxruntime"] = write_onnx(file, network, self.images, names)
        self.files[file.name] = f"images to {', '.join(names)}; any batch"

    def write_configs(self) -> None:
        """Write ``preprocessor_config.json`` and ``config.json``."""
        view = describe(self.model.transform)
        if isinstance(self.model.reading.value_range, tuple):
            view["value_range"] = list(self.model.reading.value_range)
        write_json(self.folder / "preprocessor_config.json", view)
        self.files["preprocessor_config.json"] = "how images are prepared"
        write_json(self.folder / "config.json", config_of(self.model, self.published, view))

    def write_card(self) -> None:
        """Write ``README.md``."""
        model = self.model
        facts = Facts(
            str(model.run.config.name),
            model.run.config,
            _summary(model),
            self.published,
            self.files,
            self.checks,
            model.backbone.num_features,
            model.image_size,
            None if self.clusters is None else model.num_clusters,
            None if self.clusters is None else model.reference.agreement,
            len(self.images),
        )
        (self.folder / "README.md").write_text(card(facts), encoding="utf-8")


def config_of(model: TrainedModel, published: Published, view: dict[str, Any]) -> dict[str, Any]:
    """``config.json``, which timm reads if the network is one of timm's."""
    size = model.image_size
    resized = view.get("size", {}).get("shortest_edge", size)
    about: dict[str, Any] = {
        "architecture": published.architecture,
        "num_classes": 0,
        "num_features": model.backbone.num_features,
        "model_args": published.arguments,
        "pretrained_cfg": {
            "input_size": [3, size, size],
            "interpolation": _filter(view),
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


def _filter(view: dict[str, Any]) -> str:
    """Name of the filter for resizing in a ``preprocessor_config.json``."""
    names = {number: name for name, number in RESAMPLING.items()}
    return names.get(view.get("resample", -1), "bilinear")


def _images_to_check(model: TrainedModel) -> Tensor:
    """Some of the run's images (B, 3, S, S), evenly spread."""
    source = model.training_images()
    count = min(NUM_CHECKED, len(source))
    rows = np.linspace(0, len(source) - 1, count).astype(int).tolist()
    images = torch.stack([model.transform(source.load(row)) for row in rows])
    return images if count > 1 else images.repeat(2, 1, 1, 1)


def _head(network: ClusterNetwork, clusters: RunClusters) -> dict[str, Tensor]:
    """Weights of the way from the backbone's features to clusters, by name."""
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
