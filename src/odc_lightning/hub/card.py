"""The model card: description of the network, measured scores, files and their use."""

from collections.abc import Mapping
from typing import NamedTuple

from omegaconf import DictConfig

from odc_lightning.data.decoding.images import reading_of
from odc_lightning.hub.library_weights import Published
from odc_lightning.runs.summary import Summary
from odc_lightning.utils.text import escape_markdown

PAPER = "https://arxiv.org/abs/2006.10645"
# `Summary["targets"]` -> a sentence for the card.
_TARGETS = {
    "clusters": "It learned to tell clusters of its training images apart, without labels.",
    "classes": "It learned from labels.",
}


class Facts(NamedTuple):
    """The facts on a model card.

    Attributes:
        name: the run's name.
        config: the run's config.
        summary: the run's summary; None if the run wrote none.
        published: the weights under a library's names.
        files: file name -> description.
        checks: compared result -> the largest difference.
        num_features: F.
        image_size: S, in pixels.
        num_clusters: C; None for a network without clusters.
        agreement: see `odc_lightning.inference.Reference`.
        num_images: number of images in the checks.
    """

    name: str
    config: DictConfig
    summary: Summary | None
    published: Published
    files: Mapping[str, str]
    checks: Mapping[str, float]
    num_features: int
    image_size: int
    num_clusters: int | None
    agreement: float | None
    num_images: int


def card(facts: Facts) -> str:
    """The text of ``README.md``, with the metadata that the Hugging Face hub reads."""
    parts = [
        _head(facts),
        f"# {escape_markdown(facts.name)}",
        f"{escape_markdown(facts.published.architecture)} with {facts.num_features:,} features, "
        f"for images of {facts.image_size} x {facts.image_size} pixels, trained with "
        f"`odc_lightning`, an implementation of [Online Deep Clustering]({PAPER}) and its "
        f"relatives. "
        f"{_TARGETS.get(facts.summary['targets'] if facts.summary else '', '')}".strip(),
        "## Measured",
        _table({"": "this run", **_measured(facts)}),
        "## Files",
        _table({"file": "what it is", **{f"`{k}`": v for k, v in facts.files.items()}}),
        f"Before they were written, they were compared with the network itself on "
        f"{facts.num_images} of its training images; the largest differences:",
        _table({"": "largest difference", **{k: f"{v:.1e}" for k, v in facts.checks.items()}}),
        "## Use",
        _use(facts),
        "## Limits",
        "Nothing was measured beyond the table above. Clusters group images that the network finds "
        "similar; they need not match the categories that people use, and they inherit the biases "
        "of the training images. No licence is stated here: the publisher of the network chooses "
        "it.",
    ]
    return "\n\n".join(parts) + "\n"


def _head(facts: Facts) -> str:
    lines = ["---", "pipeline_tag: image-feature-extraction"]
    if facts.published.library == "timm" and facts.published.standard:
        lines.append("library_name: timm")
    lines += ["tags:", "- self-supervised", "- clustering", "- odc-lightning", "---"]
    return "\n".join(lines)


def _measured(facts: Facts) -> dict[str, str]:
    """Rows of the table of scores; unknown values have no row."""
    config, summary = facts.config, facts.summary
    rows = {"seed": escape_markdown(str(config.seed))}
    if facts.num_clusters is not None:
        rows["clusters"] = f"{facts.num_clusters:,}"
    if facts.agreement is not None:
        rows["training images nearest to the centroid of their own cluster"] = (
            f"{facts.agreement:.1%}"
        )
    if summary is None:
        return rows
    rows["training images"] = f"{summary['num_samples']:,}"
    if config.trainer.max_epochs is not None:
        rows["epochs"] = f"{config.trainer.max_epochs:,}"
    if summary["train_loss"] is not None:
        rows["loss"] = f"{summary['train_loss']:.3f} (chance: {summary['chance_loss']:.3f})"
    untrained = summary["untrained"]
    if summary["knn_top1"] is not None:
        rows["kNN top-1"] = _beside(summary["knn_top1"], untrained["knn_top1"], ".1%")
    if summary["nmi"] is not None:
        rows["NMI with the labels"] = _beside(summary["nmi"], untrained["nmi"], ".3f")
    if summary["wall_seconds"] is not None:
        rows["wall time"] = f"{summary['wall_seconds']:,.0f} s"
    versions = summary["versions"]
    rows["versions"] = escape_markdown(
        ", ".join(f"{name} {each}" for name, each in versions.items())
    )
    return rows


def _beside(value: float, untrained: float | None, form: str) -> str:
    beside = "" if untrained is None else f" (untrained network: {untrained:{form}})"
    return f"{value:{form}}{beside}"


def _table(rows: Mapping[str, str]) -> str:
    """A Markdown table with two columns; the first row is the header."""
    (first, second), *rest = rows.items()
    lines = [f"| {first} | {second} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {key} | {value} |" for key, value in rest)])


def _use(facts: Facts) -> str:
    published = facts.published
    if published.library == "timm" and published.standard:
        code = (
            "import timm\n\n"
            'network = timm.create_model("local-dir:FOLDER", pretrained=True, num_classes=0)\n'
            "# from the hub: hf-hub:USER/NAME"
        )
    elif published.standard:
        code = (
            "import torchvision\nfrom safetensors.torch import load_file\n\n"
            f"network = torchvision.models.{published.architecture}(weights=None)\n"
            'network.load_state_dict(load_file("FOLDER/model.safetensors"), strict=False)\n'
            "network.classifier[6] = torch.nn.Identity()"
        )
    else:
        code = (
            "import torch\n\n"
            'network = torch.export.load("FOLDER/backbone.pt2").module()  # images to features'
        )
    blocks = [f"```python\n{code}\n```"]
    if "model.onnx" in facts.files:
        outputs = "features, embedding, scores, cluster" if facts.num_clusters else "features"
        code = (
            "import onnxruntime\n\n"
            'session = onnxruntime.InferenceSession("FOLDER/model.onnx")\n'
            f'{outputs} = session.run(None, {{"images": images}})'
        )
        blocks.append(f"```python\n{code}\n```")
    text = "`images` are float32 (B, 3, S, S), prepared as `preprocessor_config.json` says."
    value_range = reading_of(facts.config.data).value_range
    if isinstance(value_range, tuple):
        low, high = value_range
        text += (
            f" Images of more than 8 bits first become grey levels of 0 to 255: 256 equal steps "
            f"from {low:.7g} (black) to {high:.7g} (white); values beyond are clipped."
        )
    return "\n\n".join([*blocks, text])
