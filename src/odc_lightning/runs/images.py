"""The images that a run was trained on."""

from typing import TYPE_CHECKING

from hydra.utils import instantiate
from omegaconf import DictConfig

from odc_lightning.checkpoints import TrainingRun, refuse_unknown_targets
from odc_lightning.data import ImageDataModule, ImageSource

if TYPE_CHECKING:
    from odc_lightning.inference.model import TrainedModel


def own_images(model: "TrainedModel") -> ImageSource:
    """The run's training images, in its order.

    Raises:
        ValueError: they are not there, or others are in their place.
    """
    config = _data(model.run, model.images)
    if not model.trusted:
        refuse_unknown_targets(config, str(model.run.checkpoint))
    data: ImageDataModule = instantiate(config)
    try:
        data.setup("predict")
    except ValueError as error:
        raise ValueError(
            f"the images that {model.run.folder} was trained on are needed once: {error}. Say "
            "where they are now with images=FOLDER, or start from the folder where the training "
            "was started"
        ) from error
    source = data.train_dataset.source
    _check_names(source, model.run)
    return source


def _data(run: TrainingRun, root: str | None) -> DictConfig:
    """The config of the run's training images, with ``root`` in the place of its own."""
    data: DictConfig = run.config.data
    data.val = None
    if root is not None:
        old = str(data.root)
        for key, value in data.train.items():
            if value == old or str(value).startswith(f"{old}/"):
                data.train[key] = root + str(value).removeprefix(old)
        data.root = root
    return data


def _check_names(source: ImageSource, run: TrainingRun) -> None:
    """Whether the images are those of the run's own list, if it kept one."""
    known = run.image_names()
    if known is None:
        return
    here = [source.name(index) for index in range(len(source))]
    if here == known:
        return
    differ = [pair for pair in zip(known, here, strict=False) if pair[0] != pair[1]]
    first = f", the first that differ are {differ[0][0]!r} and {differ[0][1]!r}" if differ else ""
    raise ValueError(
        f"{run.folder} was trained on {len(known):,} images, and there are {len(here):,} "
        f"now{first}; restore them, or say where they are with images=FOLDER"
    )
