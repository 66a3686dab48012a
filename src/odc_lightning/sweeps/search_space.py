"""The space of a search: ranges and choices for keys of a training's config."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

Value = str | float | int | bool | None


class Asked(Protocol):
    """The part of Optuna's trial that is used here."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number from a range."""

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """An integer from a range."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of several values."""


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included; integers if all given numbers are."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def first(self) -> float:
        """One of its values."""
        return self.low

    def suggest(self, trial: Asked, key: str) -> Value:
        """The value that the trial chooses."""
        given = [self.low, self.high, *([] if self.step is None else [self.step])]
        if all(isinstance(number, int) for number in given):
            low, high, step = int(self.low), int(self.high), int(self.step or 1)
            return trial.suggest_int(key, low, high, step=step, log=self.log)
        return trial.suggest_float(key, self.low, self.high, step=self.step, log=self.log)


class Choices(NamedTuple):
    """A list of values."""

    choices: tuple[Value, ...]

    @property
    def first(self) -> Value:
        """One of them."""
        return self.choices[0]

    def suggest(self, trial: Asked, key: str) -> Value:
        """The value that the trial chooses."""
        value: Value = trial.suggest_categorical(key, self.choices)
        return value


def read_space(node: Mapping[str, Any], key: str = "") -> dict[str, Range | Choices]:
    """Read a search space: config key -> range or choices.

    Args:
        node: a dict with ``low`` and ``high``, and optionally ``step`` or ``log``, is a `Range`; a
            dict with ``choices`` is `Choices`; any other dict holds entries. Keys may have dots:
            ``{"optimizer.lr": {...}}`` is ``{"optimizer": {"lr": {...}}}``.
        key: key of the node itself.

    Raises:
        ValueError: a node is none of these, or a range or the choices are empty.
    """
    if not isinstance(node, Mapping) or not node:
        raise ValueError(
            f"space{f'.{key}' if key else ''}={node}; expected for each key of a training "
            "{low: ..., high: ...}, optionally with step or log, or {choices: [...]}"
        )
    if {"low", "high"} & set(node):
        return {key: _range(node, key)}
    if "choices" in node:
        return {key: _choices(node, key)}
    entries: dict[str, Range | Choices] = {}
    for name, child in node.items():
        entries |= read_space(child, f"{key}.{name}" if key else str(name))
    return entries


def as_override(key: str, value: Value) -> str:
    """``key=value`` in the syntax of Hydra's command line."""
    if value is None:
        return f"{key}=null"
    if isinstance(value, bool):
        return f"{key}={str(value).lower()}"
    plain = re.compile(r"(?!(null|true|false|nan|inf)$)[a-z][\w./-]*", re.IGNORECASE)
    if isinstance(value, str) and not plain.fullmatch(value):
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"{key}='{quoted}'"
    return f"{key}={value}"


def _range(node: Mapping[str, Any], key: str) -> Range:
    _refuse_others(node, key, Range._fields)
    low, high, step, log = (node.get(name) for name in Range._fields)
    numbers = [low, high, *([] if step is None else [step])]
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise ValueError(f"space.{key}={dict(node)}; expected numbers for low, high and step")
    if log not in (None, True, False):
        raise ValueError(f"space.{key}.log={log}; expected true or false")
    if not low < high:  # type: ignore[operator]
        raise ValueError(f"space.{key}: low={low}, high={high}; expected low to be less than high")
    if step is not None and (log or step <= 0):
        raise ValueError(f"space.{key}.step={step}; expected more than 0, and no log with it")
    if log and low <= 0:  # type: ignore[operator]
        raise ValueError(f"space.{key}.low={low}; expected more than 0 with log=true")
    return Range(low, high, step, bool(log))  # type: ignore[arg-type]


def _choices(node: Mapping[str, Any], key: str) -> Choices:
    _refuse_others(node, key, Choices._fields)
    choices = node["choices"]
    plain = isinstance(choices, list) and all(
        each is None or isinstance(each, str | float | int | bool) for each in choices
    )
    if not plain or not choices:
        raise ValueError(f"space.{key}.choices={choices}; expected a list of values")
    return Choices(tuple(choices))


def _refuse_others(node: Mapping[str, Any], key: str, known: tuple[str, ...]) -> None:
    others = [str(name) for name in node if name not in known]
    if others:
        raise ValueError(
            f"space.{key} has {', '.join(others)}; expected low, high, step and log, or choices"
        )
