"""Settings in which runs differ, and groups of runs that differ in the seed alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

ABSENT = "–"
# The folder of a run is not a setting.
PLACES = ("run_dir",)
MAX_LABEL_SETTINGS = 3
# Many keys that change together with one choice.
INNER = ("_transform.", "_target_", "_partial_", "data.train.", "data.val")
CHOSEN_FIRST = ("name", "seed", "algorithm", "optimizer", "trainer", "data", "model")


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all R runs.

    Attributes:
        keys: of the config; several if they have the same values in every run.
        values: R plain values, `ABSENT` where a run has no such key.
    """

    keys: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def key(self) -> str:
        """The key to show."""
        return self.keys[0]

    @property
    def is_seed(self) -> bool:
        """Whether the key only numbers equal runs."""
        return all(_last(key) == "seed" for key in self.keys)

    @property
    def is_choice(self) -> bool:
        """Whether every run has the key, and it does not just follow another choice."""
        return ABSENT not in self.values and not any(word in self.key for word in INNER)


@dataclass(frozen=True)
class Group:
    """Runs that differ in the seed alone.

    Attributes:
        label: the difference from other groups.
        runs: positions in the list of runs.
    """

    label: str
    runs: tuple[int, ...]


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` as ``{"a.b": 1}``; a list of plain values is one value."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
            flat |= flatten({str(i): item for i, item in enumerate(value)}, f"{name}.")
        elif isinstance(value, list | Mapping):
            flat[name] = json.dumps(value, ensure_ascii=False, default=str)
        else:
            flat[name] = value
    return flat


def differences(configs: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """The settings that differ, in the order of the configs, without the runs' folders.

    Args:
        configs: of R runs.
    """
    flats = [_without_places(config) for config in configs]
    found: dict[str, tuple[list[str], tuple[Any, ...]]] = {}
    for key in dict.fromkeys(key for flat in flats for key in flat):
        values = tuple(flat.get(key, ABSENT) for flat in flats)
        if len({repr(value) for value in values}) > 1:
            # A seed and a number of clusters may happen to be equal.
            same = f"{_last(key) == 'seed'} {values!r}"
            found.setdefault(same, ([], values))[0].append(key)
    return [Difference(tuple(sorted(keys, key=_rank)), vs) for keys, vs in found.values()]


def group_seeds(names: Sequence[str], found: Sequence[Difference]) -> list[Group]:
    """Group runs that differ in the seed alone.

    Args:
        names: of R runs, such as their folders; used if settings give no short label.
        found: their `differences`.
    """
    others = [difference for difference in found if not difference.is_seed]
    runs: dict[tuple[str, ...], list[int]] = {}
    for run in range(len(names)):
        runs.setdefault(tuple(repr(each.values[run]) for each in others), []).append(run)
    labels = _labels(list(runs.values()), names, others)
    return [Group(label, tuple(m)) for label, m in zip(labels, runs.values(), strict=True)]


def short_keys(keys: Sequence[str]) -> list[str]:
    """The shortest endings of keys that are still different."""
    short = []
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
        alone = (e for e in ends if sum(o == e or o.endswith(f".{e}") for o in keys) == 1)
        short.append(next(alone, key))
    return short


def value_text(value: Any) -> str:
    """A setting as it is written in a config."""
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _without_places(config: Mapping[str, Any]) -> dict[str, Any]:
    own = str(config.get("run_dir") or "")
    flat = flatten(config)
    return {
        key: value
        for key, value in flat.items()
        if key not in PLACES and not (own and isinstance(value, str) and value.startswith(own))
    }


def _rank(key: str) -> int:
    """Sort key: of settings that change together, the chosen one comes first."""
    first = key.partition(".")[0]
    return CHOSEN_FIRST.index(first) if first in CHOSEN_FIRST else len(CHOSEN_FIRST)


def _last(key: str) -> str:
    return key.rpartition(".")[2]


def _labels(
    groups: Sequence[Sequence[int]], names: Sequence[str], others: Sequence[Difference]
) -> list[str]:
    """The runs' names if all differ, else up to three settings, else the folders."""
    if len(groups) == 1:
        return ["all runs" if len(names) > 1 else names[0]]
    firsts = [members[0] for members in groups]
    by_name = next((each for each in others if "name" in each.keys), None)
    if by_name is not None:
        labels = [value_text(by_name.values[run]) for run in firsts]
        if len(set(labels)) == len(labels):
            return labels
    short = short_keys([each.key for each in others])
    pairs = list(zip(short, others, strict=True))
    if 0 < len(pairs) <= MAX_LABEL_SETTINGS:
        return [", ".join(f"{k}={value_text(d.values[run])}" for k, d in pairs) for run in firsts]
    shared = [_shared_folder([names[run] for run in members]) for members in groups]
    return shared if len(set(shared)) == len(shared) else [names[run] for run in firsts]


def _shared_folder(names: Sequence[str]) -> str:
    """The common parent of folders of seeds: ``size_5`` of ``size_5/seed_0`` and others."""
    parts = zip(*(name.split("/") for name in names), strict=False)
    same = takewhile(lambda each: len(set(each)) == 1, parts)
    return "/".join(each[0] for each in same) or names[0]
