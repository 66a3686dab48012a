"""Results of an evaluation: a `Score` is one number, an `Evaluation` all of one network."""

from dataclasses import dataclass, field

UNTRAINED = "untrained"  # in place of a checkpoint


@dataclass(frozen=True)
class Score:
    """One number that a protocol measured.

    Attributes:
        protocol: ``linear``, ``svm``, ``low_shot``, ``knn``, ``clustering`` or
            ``semi_supervised``.
        layer: of the features: ``conv1`` ... ``conv5``, ``pooled`` (the backbone's output),
            ``network`` (all of it, fine-tuned), ``run`` (no features, but the clusters of the
            training run), or ``best``.
        metric: ``top1``, ``top5``, ``map`` (the VOC definition of average precision),
            ``map_sklearn`` (scikit-learn's), ``nmi``, ``ami``, ``ari``, ``purity``, ``accuracy``.
        value: in [0, 1]; the adjusted scores may fall below 0.
        setting: value that the protocol varies: ``k=20``, ``16 shots``, ``mean``, ``1%`` or
            ``10 clusters``; empty without one.
        spread: standard deviation over independent draws, if there are several.
    """

    protocol: str
    layer: str
    metric: str
    value: float
    setting: str = ""
    spread: float | None = None


@dataclass
class Evaluation:
    """All scores of one network on one data set.

    Attributes:
        name: of the network in tables, such as ``odc_fashion_mnist`` or ``untrained``.
        checkpoint: its file, or ``untrained``.
        backbone: ``alexnet``, ``resnet50``, ...
        data: name of the data set: ``imagenet``, ``places205``, ``voc07``, ``digits``, ...
        scores: in the order in which they were measured.
        skipped: protocol -> the reason why it does not apply to these data, or failed.
        published: whether data and settings are those of the published results of this name.
    """

    name: str
    checkpoint: str
    backbone: str
    data: str
    scores: list[Score] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    published: bool = False

    @property
    def is_untrained(self) -> bool:
        """Whether the network is untrained."""
        return self.checkpoint == UNTRAINED

    def benchmark(self, protocol: str) -> str:
        """Key among published results, such as ``imagenet_linear``; empty without one."""
        return f"{self.data}_{protocol}" if self.published else ""
