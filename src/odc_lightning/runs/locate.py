"""The place of a run's images today: where the run recorded it, or in a folder that is given."""

from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints import TrainingRun, read_plain_yaml
from odc_lightning.utils.home import expanded

# Keys of `data` and its splits that are paths.
_PATHS = ("root", "path")


def locate(data: DictConfig, run: TrainingRun, folder: str | None = None) -> None:
    """Change the paths in the config of a run's data, in place, to where its files are now.

    A relative path starts where the training was started. If nothing is there, it starts in the
    working directory, or else in a folder above the run, for a project that was moved as a whole.

    Args:
        data: of the run's config, resolved or not.
        run: that recorded it.
        folder: the folder that ``data.root`` has become; None if it has not moved.
    """
    for node in _nodes(data):
        for key, value in _strings(node):
            if key in _PATHS:
                node[key] = _found(value, run)
    if folder is not None:
        _move(data, str(expanded(folder)))


def _move(data: DictConfig, folder: str) -> None:
    old = str(data.get("root") or data.train.get("root") or "").rstrip("/")
    data.root = folder
    for node in _nodes(data)[1:]:
        for key, value in _strings(node):
            is_below = bool(old) and (value == old or value.startswith(f"{old}/"))
            # A list of images may have stayed where it was.
            if is_below and not (key == "path" and expanded(value).exists()):
                node[key] = folder + value.removeprefix(old)
        if "root" in node and not OmegaConf.is_interpolation(node, "root") and node.root is None:
            node.root = folder


def _nodes(data: DictConfig) -> list[DictConfig]:
    """The config itself, then the builders of its splits."""
    splits = (data.get(split) for split in ("train", "val"))
    return [data, *(node for node in splits if isinstance(node, DictConfig))]


def _strings(node: DictConfig) -> Iterator[tuple[str, str]]:
    """Keys with a text that does not refer to another key."""
    for key in list(map(str, node)):
        if OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key):
            continue
        value = node[key]
        if isinstance(value, str):
            yield key, value


def _found(value: str, run: TrainingRun) -> str:
    path = expanded(value)
    if path.is_absolute():
        return value
    started = started_in(run)
    if started is not None and (started / path).exists():
        return str(started / path)
    if path.exists():
        return value
    return next((str(at / path) for at in run.folder.parents if (at / path).exists()), value)


def started_in(run: TrainingRun) -> Path | None:
    """The working directory of the training, as Hydra recorded it; None if it is not known."""
    try:
        return Path(
            read_plain_yaml(run.folder / ".hydra" / "hydra.yaml")["hydra"]["runtime"]["cwd"]
        )
    except (ValueError, KeyError, TypeError):
        return None
