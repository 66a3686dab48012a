"""Spaces of a search: what may be written, what is asked of Optuna, what Hydra makes of it."""

import random
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from odc_lightning.sweeps.search_space import Choices, Range, as_override, read_space


def test_keys_with_dots_and_nested_ones_are_the_same() -> None:
    dotted = {"optimizer.lr": {"low": 0.1, "high": 1, "log": True}, "a": {"choices": [1, None]}}
    nested = {
        "optimizer": {"lr": {"low": 0.1, "high": 1, "log": True}},
        "a": {"choices": [1, None]},
    }
    expected = {"optimizer.lr": Range(0.1, 1, None, True), "a": Choices((1, None))}
    assert read_space(dotted) == read_space(nested) == expected


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({}, "space={}; expected for each key"),
        ({"a": 3}, "space.a=3; expected for each key"),
        ({"a": {"low": 1}}, "space.a=.*expected numbers"),
        ({"a": {"low": 1, "high": "x"}}, "space.a=.*expected numbers"),
        ({"a": {"low": 2, "high": 2}}, "space.a: low=2, high=2; expected low to be less"),
        ({"a": {"low": 0, "high": 2, "log": True}}, "space.a.low=0; expected more than 0 with log"),
        ({"a": {"low": 1, "high": 2, "log": "yes"}}, "space.a.log=yes; expected true or false"),
        ({"a": {"low": 1, "high": 2, "step": -1}}, "space.a.step=-1; expected more than 0"),
        ({"a": {"low": 1, "high": 2, "steps": 1}}, "space.a has steps; expected low, high"),
        ({"a": {"choices": []}}, r"space.a.choices=\[\]; expected a list"),
        ({"a": {"choices": "x"}}, "space.a.choices=x; expected a list"),
        ({"a": {"choices": [[1]]}}, r"space.a.choices=\[\[1\]\]; expected a list"),
    ],
)
def test_what_is_no_space(node: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_space(node)


def test_what_trials_choose() -> None:
    space = read_space(
        {
            "whole": {"low": 2, "high": 9},
            "even": {"low": 2, "high": 8, "step": 2},
            "real": {"low": 2, "high": 9.5},
            "log": {"low": 1e-4, "high": 1.0, "log": True},
            "some": {"choices": ["a", 2, None, False]},
        }
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    chosen = []
    for _ in range(60):
        trial = study.ask()
        chosen.append({key: entry.suggest(trial, key) for key, entry in space.items()})
    values = {key: [each[key] for each in chosen] for key in space}
    assert {type(value) for value in values["whole"]} == {int}
    assert set(values["even"]) == {2, 4, 6, 8}
    assert {type(value) for value in values["real"]} == {float}
    assert {str(value) for value in values["some"]} == {"a", "2", "None", "False"}
    logs: list[Any] = values["log"]
    assert 15 < sum(value < 1e-2 for value in logs) < 45  # a half, and not a hundredth


@pytest.mark.parametrize(
    "value",
    [
        *(0.1, 1e-5, -3, 7, True, False, None),
        *("odc_small", "a b", "it's, [so]", "null", "True", "12", "0012", "1e3", "/a/b.c-d", "~x"),
    ],
)
def test_hydra_reads_the_value_that_was_meant(value: Any) -> None:
    (override,) = OverridesParser.create().parse_overrides([as_override("a.b", value)])
    assert override.key_or_group == "a.b"
    read = override.value()
    assert (type(read), read) == (type(value), value)


def test_floats_survive() -> None:
    numbers = random.Random(0)
    for _ in range(50):
        value = 10 ** numbers.uniform(-12, 12)
        (override,) = OverridesParser.create().parse_overrides([as_override("a", value)])
        assert override.value() == value
