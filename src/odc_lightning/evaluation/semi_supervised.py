"""Fine-tuning on 1% and 10% of the labels, as in the authors' model zoo."""

import statistics
from collections.abc import Callable, Sequence

import pytorch_lightning as pl
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from odc_lightning.data import IndexedDataset, SubsetSource, take_share
from odc_lightning.data.dataset import Transform
from odc_lightning.evaluation.fine_tuning import (
    FineTuning,
    IntArray,
    listed_images,
)
from odc_lightning.evaluation.linear_probes import Batches, Labelled
from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.evaluation.protocol import Protocol, needs_one_class_each
from odc_lightning.metrics.scores import Score
from odc_lightning.utils.home import expanded


class SemiSupervised(Protocol):
    """The accuracies of fine-tuned networks after the last epoch, see `fine_tuning.FineTuning`.

    Args:
        shares: shares of each class's labels, in (0, 1].
        head_lr_multipliers: for each share, the classifier's learning rate divided by the
            backbone's.
        max_epochs: of training.
        batch_size: over all ranks.
        optimizer: called with the backbone's parameters; the classifier's are added.
        scheduler: called with the optimiser.
        augmentation: of the training images.
        draws: independent draws of each share; their mean counts.
        lists: for each share a file that names its images, such as those published for ImageNet;
            None to draw them.

    Raises:
        ValueError: shares, multipliers, lists or draws are invalid.
    """

    name = "semi_supervised"
    uses_trainer = True

    def __init__(
        self,
        shares: Sequence[float],
        head_lr_multipliers: Sequence[float],
        max_epochs: int,
        batch_size: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        augmentation: Transform,
        draws: int = 1,
        lists: Sequence[str] | None = None,
    ) -> None:
        for name, given in (("head_lr_multipliers", head_lr_multipliers), ("lists", lists)):
            if given is not None and len(given) != len(shares):
                raise ValueError(
                    f"protocol.semi_supervised.{name}={list(given)} for shares={list(shares)}; "
                    "expected one value for each share"
                )
        if not shares or not all(0 < share <= 1 for share in shares):
            raise ValueError(
                f"protocol.semi_supervised.shares={list(shares)}; expected shares of the labels in "
                "(0, 1], such as 0.01"
            )
        missing = [path for path in lists or () if not expanded(path).is_file()]
        if missing:
            raise ValueError(f"protocol.semi_supervised.lists: {missing[0]} is not a file")
        if draws < 1:
            raise ValueError(f"protocol.semi_supervised.draws={draws}; expected 1 or more")
        self.shares = shares
        self.head_lr_multipliers = head_lr_multipliers
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.augmentation = augmentation
        self.draws = draws
        self.lists = lists

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        return needs_one_class_each(network)

    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        scores = []
        for number, share in enumerate(self.shares):
            results = [
                self._fine_tune(network, indices, self.head_lr_multipliers[number], draw)
                for draw, indices in enumerate(self._draws(network, number))
            ]
            setting = f"{100 * share:g}%"
            for metric in results[0]:
                values = [result[metric] for result in results]
                spread = statistics.stdev(values) if len(values) > 1 else None
                mean = statistics.mean(values)
                scores.append(Score(self.name, "network", metric, mean, setting, spread))
        return scores

    def _draws(self, network: EvaluatedNetwork, number: int) -> list[IntArray]:
        """The indices of the images to train on, for each draw."""
        train = network.images["train"]
        if self.lists is not None:
            return [listed_images(train.source, expanded(self.lists[number]))]
        return [
            take_share(train.classes, self.shares[number], network.seed + draw)
            for draw in range(self.draws)
        ]

    def _fine_tune(
        self, network: EvaluatedNetwork, indices: IntArray, multiplier: float, draw: int
    ) -> dict[str, float]:
        """Top-1 and, with more than five classes, top-5 after training on some images."""
        train, val = network.images["train"], network.images["val"]
        source = SubsetSource(train.source, indices)
        batches = Batches(
            Labelled(
                IndexedDataset(source, self.augmentation, network.seed + draw),
                train.classes[indices],
            ),
            Labelled(val.dataset, val.classes),
            self.batch_size,
            network.num_workers(source),
            network.seed + draw,
        )
        pl.seed_everything(network.seed + draw, workers=True, verbose=False)
        model = FineTuning(
            network.backbone, train.num_classes, self.optimizer, self.scheduler, multiplier
        )
        trainer = network.make_trainer(max_epochs=self.max_epochs, limit_val_batches=0)
        trainer.fit(model, batches)
        (results,) = network.make_trainer().validate(model, batches, verbose=False)
        return {name: results[f"{self.name}/{name}"] for name in model.accuracies}
