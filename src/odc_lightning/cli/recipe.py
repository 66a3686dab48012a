"""The recipe of a training that names neither an experiment nor an algorithm.

Nothing heavy is imported here until weights are looked for.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from odc_lightning.cli.words import SHOWING, divided, exists

# Data sets of any image size, for which the image size and the network are chosen automatically.
_ANY_SIZE = ("image_folder", "file_list")
ADAPT, SMALL = "experiment=odc_adapt", "experiment=odc_small"
# ADAPT where the weights of the network that suits the machine can be had, else SMALL.
AUTO = "experiment=auto"


def recipe(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """The overrides to add to a command line of ``odc train``.

    Args:
        words: overrides.
        flags: of Hydra, with their values.
    """
    keys = _settings(words)
    own_config = {"-cn", "--config-name", "-cp", "--config-path"}.intersection(flags)
    if own_config or {"experiment", "algorithm"} & set(keys):
        return []
    recorded = _recorded(keys)
    if recorded is not None:
        of_run = {"odc_adapt": [ADAPT], "odc_small": _from_scratch(keys)}
        return of_run.get(recorded, [])
    if keys.get("model.pretrained", "null") != "null":
        return [ADAPT]
    from_scratch = "model.pretrained" in keys or _names_a_network(keys)
    return _from_scratch(keys) if from_scratch or not _of_any_size(keys) else [AUTO]


def with_recipe(words: Sequence[str]) -> list[str]:
    """A command line of Hydra's with a recipe in place of ``experiment=auto``.

    Weights are looked for, and downloaded if they are not in timm's cache, unless the command only
    shows something.
    """
    if AUTO not in words:
        return list(words)
    flags, others = divided(words)
    keys = _settings(others)
    chosen = [ADAPT]
    shows = SHOWING.intersection(flag.partition("=")[0] for flag in flags)
    if not shows and _has_images(keys):
        problem = _problem(keys.get("trainer.accelerator", "auto"))
        if problem is not None:
            chosen = _from_scratch(keys)
            _say(
                "training starts from random weights, which takes far longer and gives worse "
                f"clusters than a pretrained network: {problem}"
            )
        _say(f"no experiment or algorithm is given, using {' '.join(chosen)}")
    return [each for word in words for each in (chosen if word == AUTO else [word])]


def _problem(accelerator: str) -> str | None:
    """Why the weights that suit the machine cannot be had; None if they can.

    Args:
        accelerator: of the trainer.
    """
    from odc_lightning.checkpoints import timm_weights
    from odc_lightning.config.automatic import trains_on_gpu
    from odc_lightning.config.heuristics import suited_weights

    try:
        timm_weights.fetch(suited_weights(trains_on_gpu(accelerator)).name)
    except timm_weights.WeightsUnavailable as error:
        return str(error)
    return None


def _say(text: str) -> None:
    """Print a line about the recipe, on the first rank."""
    from pytorch_lightning.utilities import rank_zero_only

    rank_zero_only(print)(f"odc train: {text}", file=sys.stderr)


def _has_images(keys: Mapping[str, str]) -> bool:
    """Whether the folder or list is there; without it the command is refused anyway."""
    given = [keys[key].strip("'\"") for key in ("data.root", "data.path") if key in keys]
    return all(exists(path) for path in given)


def _from_scratch(keys: Mapping[str, str]) -> list[str]:
    added = [SMALL]
    if _of_any_size(keys):
        if not _names_a_network(keys):
            added.append("model.backbone=null")
        if "data.image_size" not in keys:
            added.append("data.image_size=null")
        if "augmentation@data.eval_transform" not in keys:
            # Normalised like the training views of the recipe.
            added.append("augmentation@data.eval_transform=small_images_eval")
        if "train.pages" not in keys:
            added.append("train.pages=true")
    return added


def _recorded(keys: Mapping[str, str]) -> str | None:
    """The experiment of the run that a training resumes, if any; None for a new run."""
    run = keys.get("hydra.run.dir") if keys.get("train.resume") == "auto" else None
    if run is None and "ckpt_path" in keys:
        run = str(Path(keys["ckpt_path"].strip("'\"")).parent.parent)
    folder = Path((run or "").strip("'\""))
    records = folder / ".hydra" / "hydra.yaml"
    if run is None or not (folder / "config.yaml").is_file() or not records.is_file():
        return None
    text = records.read_text(encoding="utf-8")
    lines = (line.strip().partition("experiment: ") for line in text.splitlines())
    return next((name for before, found, name in lines if found and not before), "")


def _of_any_size(keys: Mapping[str, str]) -> bool:
    return keys.get("data") in _ANY_SIZE


def _names_a_network(keys: Mapping[str, str]) -> bool:
    return any(key == "model" or key.startswith("model.backbone") for key in keys)


def _settings(words: Sequence[str]) -> dict[str, str]:
    """The keys of overrides with their values."""
    return {key: value for key, _, value in (word.lstrip("+").partition("=") for word in words)}
