"""Where a checkpoint keeps the weights of a network: an entry of the file, and a prefix of names.

Projects put the weights under many keys, and wrappers (DataParallel, torch.compile, Lightning) put
prefixes before their names. All combinations are candidates; `odc_lightning.checkpoints.formats`
takes the one whose names the network has.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

Place = tuple[str, ...]

# Entries for the weights, as paths of keys, in the order in which they are preferred.
PLACES: tuple[Place, ...] = (
    ("classy_state_dict", "base_model", "model", "trunk"),  # VISSL
    ("teacher",),  # DINO
    ("model_state_dict",),  # VISSL
    ("state_dict",),
    ("model",),  # timm
    ("blobs",),  # Caffe2
)
# Prefixes of DataParallel and DistributedDataParallel at the start, of torch.compile, FSDP and
# activation checkpointing before any part of a name.
_PARALLEL = re.compile(r"^(module\.)+")
_WRAPPER = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# Entries and prefixes of a moving average of the weights.
_AVERAGE = re.compile(r"(?<![a-z])(ema|swa|averaged?)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Candidate:
    """Weights of one network in a checkpoint.

    Attributes:
        place: path of their entry; empty for the top level.
        prefix: in front of their names, after the prefixes of wrappers are removed.
        names: the name of each weight without any prefix -> its key in the entry.
        values: of the whole entry by its keys; some may not be tensors.
        is_known: whether the place and the prefix are those of a known project.
    """

    place: Place
    prefix: str
    names: dict[str, str]
    values: dict[str, Any]
    is_known: bool

    @property
    def title(self) -> str:
        """The place and the prefix as text."""
        return ".".join([*self.place, *([self.prefix] if self.prefix else [])])

    @property
    def is_average(self) -> bool:
        """Whether these are a moving average of the weights."""
        return _AVERAGE.search(self.title) is not None


def candidates(content: Mapping[str, Any], expected: Collection[str]) -> list[Candidate]:
    """All sets of weights in a checkpoint, those of known projects first.

    Args:
        content: the checkpoint's content.
        expected: the names of the network's weights.

    Raises:
        ValueError: if there are no weights by name, or two networks in one entry.
    """
    asked = [place for place in PLACES if place[0] in content]
    known = [place for place in asked or [()] if _holds_weights(_entry(content, place))]
    places = [*known, *(place for place in _entries(content) if place not in known)]
    if not places:
        where = f" under {'.'.join(asked[0])}" if asked else ""
        raise ValueError(
            f"the checkpoint holds {sorted(map(str, content))[:8]} and no weights by "
            f"name{where}; expected weights under one of "
            f"{', '.join('.'.join(place) for place in PLACES)}, or at the top level"
        )
    found = []
    for place in places:
        values = {k: v for k, v in _entry(content, place).items() if isinstance(k, str)}
        is_known = place in known
        try:
            names = _unwrapped(values)
        except ValueError:
            if is_known:
                raise
            continue
        for prefix in _prefixes(names, expected):
            under = {
                name.removeprefix(prefix): key
                for name, key in names.items()
                if name.startswith(prefix)
            }
            found.append(Candidate(place, prefix, under, values, is_known and not prefix))
    return found


def tensor_of(value: Any) -> Tensor | None:
    """A tensor, or an array of numbers as one; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return torch.from_numpy(np.array(value))
    return value.detach() if isinstance(value, Tensor) else None


def beside(content: Any, place: Place) -> Iterator[str]:
    """Dotted paths of all entries beside the network, at every level of its path."""
    for depth, key in enumerate(place):
        for other in content:
            if other != key:
                yield ".".join([*place[:depth], str(other)])
        content = content[key]


def _entry(content: Any, place: Place) -> Any:
    for key in place:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _holds_weights(entry: Any, least_dimensions: int = 0) -> bool:
    """Whether an entry has a tensor by name."""
    if not isinstance(entry, Mapping):
        return False
    tensors = (tensor_of(value) for key, value in entry.items() if isinstance(key, str))
    return any(tensor is not None and tensor.ndim >= least_dimensions for tensor in tensors)


def _entries(content: Mapping[str, Any]) -> Iterator[Place]:
    """The entries with weight matrices, up to two levels deep; not the optimiser's, by numbers."""
    for first, outer in content.items():
        if not (isinstance(first, str) and isinstance(outer, Mapping)):
            continue
        inner = [(first, key) for key in outer if isinstance(key, str)]
        for place in ((first,), *inner):
            if _holds_weights(_entry(content, place), least_dimensions=2):
                yield place


def _unwrapped(keys: Iterable[str]) -> dict[str, str]:
    """Each key without the prefixes of wrappers -> the key as it is in the file.

    Raises:
        ValueError: if two keys are the same without them.
    """
    named: dict[str, str] = {}
    for key in keys:
        name = _PARALLEL.sub("", _WRAPPER.sub("", key), count=1)
        if name in named:
            raise ValueError(
                f"the checkpoint holds two networks, {named[name]!r} and {key!r}; save one of them"
            )
        named[name] = key
    return named


def _prefixes(names: Collection[str], expected: Collection[str]) -> list[str]:
    """No prefix, those that all names share, and those under which most names are expected."""
    shared = [""]
    while True:
        firsts = {name.removeprefix(shared[-1]).partition(".")[0] for name in names}
        if len(firsts) != 1 or f"{shared[-1]}{next(iter(firsts))}" in names:
            break
        shared.append(f"{shared[-1]}{next(iter(firsts))}.")
    fits: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for end in range(len(parts)):
            if ".".join(parts[end:]) in expected:
                fits["".join(f"{part}." for part in parts[:end])] += 1
    most = max(fits.values(), default=0)
    return list(dict.fromkeys([*shared, *(each for each, count in fits.items() if count == most)]))
