"""Pretrained weights of timm: from the local cache, else downloaded."""

import difflib
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.checkpoints.kinds import WEIGHT_FILES
from odc_lightning.models import TimmBackbone
from odc_lightning.models.timm_backbone import PREFIX, check_name
from odc_lightning.utils.text import first_line

log = logging.getLogger(__name__)

# In front of a name where a file could be given: model.pretrained=timm:NAME.
SCHEME = "timm:"
# Seconds in which a server must answer; a machine without a network is noticed at once.
TIMEOUT = 5.0


class WeightsUnavailable(ValueError):
    """Pretrained weights that cannot be had; the message says why and how to get them."""


def timm_name(pretrained: object) -> str | None:
    """NAME of ``timm:NAME``; None for a file or a folder."""
    text = str(pretrained)
    return text.removeprefix(SCHEME) if text.startswith(SCHEME) else None


def fetch(name: str) -> Path:
    """The file with timm's weights of a network, downloaded if it is not in the local cache.

    Args:
        name: timm's name of the network, without or with a tag of weights.

    Returns:
        A file of safetensors or of `torch.save`, in timm's format.

    Raises:
        WeightsUnavailable: timm has no such network or no weights of it, they are not in the cache
            and there is no network connection, or the server refuses them.
    """
    cfg = weights_config(name)
    if cfg.hf_hub_id:
        return _from_hub(name, cfg)
    return _from_address(name, cfg.url)


def weights_config(name: str) -> Any:
    """timm's description of a network's weights (`timm.models.PretrainedCfg`).

    Raises:
        WeightsUnavailable: timm has no such network, or no weights of it.
    """
    import timm

    try:
        check_name(name)
    except ValueError as error:
        raise WeightsUnavailable(str(error)) from error
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        known = timm.list_pretrained()
        similar = difflib.get_close_matches(name, known, n=3)
        advice = f"; similar networks with weights: {', '.join(similar)}" if similar else ""
        raise WeightsUnavailable(f"timm has the network {name}, but no weights of it{advice}")
    return cfg


def load_timm(backbone: TimmBackbone, name: str) -> Conversion:
    """timm's weights of a network, under the backbone's names, without the classifier.

    timm adapts them to the backbone's arguments. For another image size it resamples the positions
    of a vision transformer.

    Args:
        backbone: is not changed.
        name: of the same network, perhaps with a tag of weights.

    Raises:
        ValueError: the backbone is another network, or the weights do not suit its arguments.
        WeightsUnavailable: see `fetch`.
    """
    import timm

    if not same_network(backbone.name, name):
        raise ValueError(
            f"model.pretrained={SCHEME}{name} has weights of another network than "
            f"model.backbone.name={backbone.name}; leave out model.backbone.name, or give both the "
            "same name"
        )
    file = fetch(name)
    try:
        network = timm.create_model(
            name,
            pretrained=True,
            # timm reads it with weights_only=True, or as safetensors.
            pretrained_cfg_overlay={"file": str(file)},
            num_classes=0,
            **backbone.arguments,
        )
    except Exception as error:  # torch raises errors of many types for damaged or unsuited files
        raise ValueError(
            f"{file} cannot be loaded into timm's {name}: {' '.join(str(error).split())[:300]}; "
            "delete the file if it is damaged, so that it is downloaded again"
        ) from error
    weights: dict[str, Tensor] = {f"{PREFIX}{key}": v for key, v in network.state_dict().items()}
    rows = [Row(key.removeprefix(PREFIX), key, tuple(v.shape)) for key, v in weights.items()]
    return Conversion("timm", weights, rows)


def same_network(first: str, second: str) -> bool:
    """Whether two names of timm mean the same network, whatever their tags of weights."""
    return first.partition(".")[0] == second.partition(".")[0]


def _from_hub(name: str, cfg: Any) -> Path:
    """The file in the cache of the Hugging Face hub, downloaded if it is missing."""
    import huggingface_hub as hub

    repository, _, revision = str(cfg.hf_hub_id).partition("@")
    files = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else WEIGHT_FILES
    for file in files:
        cached = hub.try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    reason = "the server has none of " + ", ".join(files)
    for file in files:
        try:
            # The hub's own client tries a server that does not answer six times, for 25 seconds.
            with _quiet():
                answer = hub.utils.get_session().head(
                    hub.hf_hub_url(repository, file, revision=revision or None), timeout=TIMEOUT
                )
                if answer.status_code == 404:
                    continue
                log.info("downloading timm's weights of %s", name)
                return Path(hub.hf_hub_download(repository, file, revision=revision or None))
        except Exception as error:  # of the client, of the disk, of the network
            reason = first_line(error)
            break
    folder = f"{hub.constants.HF_HUB_CACHE}/models--{repository.replace('/', '--')}"
    short = repository.rpartition("/")[2]
    how = (
        f"On a machine with a network: hf download {repository} --local-dir {short}; copy that "
        f"folder here and add model.pretrained={short}"
    )
    raise _unavailable(name, reason, how, folder)


def _from_address(name: str, address: str) -> Path:
    """The file in torch's cache, downloaded from an address if it is missing."""
    from timm.models._hub import download_cached_file, get_cache_dir

    before = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(TIMEOUT)  # torch's downloads have no timeout of their own
        with _quiet():
            return Path(download_cached_file(address, check_hash=True, progress=False))
    except Exception as error:  # of the network, of the disk, a wrong hash
        how = (
            f"Download them on another machine ({address}) and give the file: "
            f"model.pretrained=FILE model=timm model.backbone.name={name}"
        )
        raise _unavailable(name, first_line(error), how, get_cache_dir()) from error
    finally:
        socket.setdefaulttimeout(before)


def _unavailable(name: str, reason: str, how: str, folder: object) -> WeightsUnavailable:
    return WeightsUnavailable(
        f"timm's weights of {name} are not in the local cache and cannot be downloaded "
        f"({reason.rstrip('.')}). {how}; or copy {folder} from a machine that has it"
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of the hub's client, which repeat what the error says."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
