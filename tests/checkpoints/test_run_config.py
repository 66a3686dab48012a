"""A run's config: read as text, with bounds, and with the keys that every command needs."""

import copy
import time
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from omegaconf import OmegaConf

from conftest import Compose
from helpers.run_folders import CONFIG, write_config
from odc_lightning.checkpoints import read_plain_yaml, read_run_config, run_config
from odc_lightning.config import CONFIG_DIR


def test_keys_of_earlier_versions_are_left_out(tmp_path: Path) -> None:
    data: Any = CONFIG["data"]
    write_config(tmp_path / "config.yaml", data={**data, "augment_on": "gpu"})
    assert read_run_config(tmp_path / "config.yaml") == CONFIG


def test_the_smallest_config(tmp_path: Path) -> None:
    write_config(tmp_path / "config.yaml", note="a: ä")
    config = read_run_config(tmp_path / "config.yaml")
    assert config == {**CONFIG, "note": "a: ä"}


@pytest.mark.parametrize("key", run_config.KEYS)
def test_a_wrong_key_is_named_with_what_is_expected(tmp_path: Path, key: str) -> None:
    kind, file = run_config.KEYS[key], tmp_path / "config.yaml"
    *parents, last = key.split(".")
    for value in (None, [1], "", -1, 10**9, True, "missing"):
        content: Any = copy.deepcopy(CONFIG)
        node = run_config.selected(content, ".".join(parents)) if parents else content
        if value == "missing":
            node.pop(last, None)
        else:
            node[last] = value
        file.write_text(yaml.safe_dump(content), "utf-8")
        if kind.accepts(run_config.MISSING if value == "missing" else value):
            assert read_run_config(file)
        else:
            refused = rf"config\.yaml: {key} is .*; expected {kind.text}: a run writes this file"
            with pytest.raises(ValueError, match=refused):
                read_run_config(file)


EXPERIMENTS = sorted(file.stem for file in Path(CONFIG_DIR).glob("experiment/*.yaml"))


@pytest.mark.parametrize("experiment", EXPERIMENTS[::4])
def test_experiments_have_these_keys(compose_config: Compose, experiment: str) -> None:
    plain: Any = OmegaConf.to_container(compose_config(f"experiment={experiment}"))
    for key, kind in run_config.KEYS.items():
        value = run_config.selected(plain, key)
        is_open = value is None or (isinstance(value, str) and ("${" in value or value == "???"))
        assert is_open or kind.accepts(value), (key, value)  # null: chosen automatically


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"it uses the alias \*a, which no run writes"),
        ("a: &a [*a]\n", "it uses the alias"),
        ("[" * 10_000, "it is nested more than 32 levels deep"),
        ("- " * 5_000, "it is nested more than 32 levels deep"),
        ("a: " + "x" * 2**18, "it has more than 256 KiB"),
        ("a: [1,\n", "in line 2"),
        ("a: 1\na: 2\n", "duplicate key a in line 2"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("", "is empty"),
        ("- 1", "holds a list"),
        ("\x00", "cannot be read"),
    ],
)
def test_what_is_no_config_is_refused_at_once(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text, "utf-8")
    started = time.monotonic()
    with pytest.raises(ValueError, match=rf"config\.yaml .*{message}.*restore it from a copy") as e:
        read_plain_yaml(file)
    assert time.monotonic() - started < 10  # the bomb takes minutes to build
    assert "\n" not in str(e.value)
