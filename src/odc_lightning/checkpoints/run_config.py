"""Reader of a run's ``config.yaml``, from any source: as text, of limited size, and checked."""

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints.references import scalars
from odc_lightning.utils.text import first_line

# A run's config has about 8 KiB and six levels. YAML is read at about 100 KiB a second.
MAX_BYTES, MAX_DEPTH = 2**18, 32
RESTORE = "a run writes this file itself, so restore it from a copy of the run"
MISSING = object()


class Kind(NamedTuple):
    """The type that a key of the config must have, in words and as a check."""

    text: str
    types: tuple[type, ...]
    least: float = -math.inf
    most: float = math.inf
    needed: bool = True

    def accepts(self, value: Any) -> bool:
        """Whether the value is of this kind."""
        if value is MISSING:
            return not self.needed
        if type(value) not in self.types:  # a bool is not an integer
            return False
        return not isinstance(value, int) or self.least <= value <= self.most


_MAPPING = Kind("a mapping", (dict,))
_TARGET = Kind("the name of a class or a function", (str,))
_COUNT = Kind("an integer, 1 or more", (int,), least=1)
# The keys that the commands read from a run, outer ones first.
KEYS: Mapping[str, Kind] = {
    "name": Kind("a name", (str, int, float, bool)),
    "seed": Kind("an integer, 0 or more", (int,), least=0),
    "model": _MAPPING,
    "model.backbone": _MAPPING,
    "model.backbone._target_": _TARGET,
    "model.neck": _MAPPING,
    "model.neck._target_": _TARGET,
    "model.dense": Kind("true or false", (bool,), needed=False),
    "data": _MAPPING,
    "data._target_": _TARGET,
    "data.train": _MAPPING,
    "data.train._target_": _TARGET,
    "data.eval_transform": _MAPPING,
    "data.eval_transform._target_": _TARGET,
    "data.root": Kind("a path or null", (str, int, type(None))),
    "data.image_size": Kind("an integer, 1 to 4096", (int,), least=1, most=4096),
    "data.num_workers": Kind(
        "an integer, 0 to 256, or null", (int, type(None)), least=0, most=256, needed=False
    ),
    "algorithm": _MAPPING,
    "algorithm.num_clusters": _COUNT,
    "algorithm.samples_memory": Kind("a mapping", (dict,), needed=False),
    "trainer": _MAPPING,
    "trainer.max_epochs": Kind("an integer or null", (int, type(None))),
}


def read_plain_yaml(file: Path) -> dict[str, Any]:
    """The content of a YAML file that holds a mapping; nothing in it is looked up or built.

    Raises:
        ValueError: the file is missing, too large, nested too deeply, not YAML, not a mapping, or
            uses aliases, by which a small file can become a huge one.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES // 1024} KiB")
        text = content.decode("utf-8")
        _check_shape(text)
        plain = OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)
    except Exception as error:  # YAML and OmegaConf raise errors of many types
        raise ValueError(f"{file} cannot be read: {_line(error)}; {RESTORE}") from error
    if not isinstance(plain, dict) or not plain:
        found = "is empty" if not plain else f"holds a {type(plain).__name__}"
        raise ValueError(f"{file} {found}; expected a mapping of settings: {RESTORE}")
    return {str(key): value for key, value in plain.items()}


def read_values(file: Path) -> dict[str, Any]:
    """The values that a run recorded.

    A reference such as ``${oc.env:HOME}`` would be looked up on this machine, so it is refused,
    even if its text is escaped.

    Raises:
        ValueError: see `read_plain_yaml`; or a value is a reference.
    """
    plain = read_plain_yaml(file)
    for key, value in scalars(plain):
        reference = value if isinstance(value, str) and "${" in value else key
        if "${" in reference:
            raise ValueError(
                f"{file}: {key} would look up {reference[:80]} on this machine, but a run records "
                "values, not references. If you know this run, write the value in its place"
            )
    return plain


def read_run_config(file: Path) -> DictConfig:
    """The config that a run recorded, with the keys that every command relies on.

    Raises:
        ValueError: see `read_values`; or a key is missing or has another type.
    """
    plain = read_values(file)
    for name, kind in KEYS.items():
        value = selected(plain, name)
        if not kind.accepts(value):
            found = "is missing" if value is MISSING else f"is {_shown(value)}"
            raise ValueError(f"{file}: {name} {found}; expected {kind.text}: {RESTORE}")
    # By this key version 0.1.0 downloaded timm's weights; those of the checkpoint follow anyway.
    plain["model"]["backbone"].pop("pretrained", None)
    plain["data"].pop("augment_on", None)  # by this one it could augment on the GPU
    config: DictConfig = OmegaConf.create(plain)
    return config


def selected(plain: Mapping[str, Any], name: str) -> Any:
    """The value of a key such as ``data.root``; `MISSING` if there is none."""
    value: Any = plain
    for key in name.split("."):
        try:
            value = value[key]
        except (KeyError, TypeError):
            return MISSING
    return value


def _check_shape(text: str) -> None:
    """Refuse aliases and deep nesting, before anything is composed."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"it uses the alias *{event.anchor}, which no run writes")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def _line(error: Exception) -> str:
    """An error in one line; YAML's place in the file is in its second line."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return first_line(error)


def _shown(value: Any) -> str:
    return "null" if value is None else f"{str(value)[:60]!r} ({type(value).__name__})"
