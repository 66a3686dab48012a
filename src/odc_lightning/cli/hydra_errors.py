"""One-line messages for Hydra's errors: unknown settings and options, words it cannot parse."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from odc_lightning.cli.words import divided, for_shell, quoted
from odc_lightning.config import CONFIG_DIR
from odc_lightning.utils.text import first_line


def in_one_line(error: Exception, name: str, words: Sequence[str]) -> str:
    """The message for an error of Hydra.

    Args:
        error: raised while the command's config was composed.
        name: of the command and its config.
        words: its arguments.
    """
    text = str(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override))
    if match := re.match(r"Could not (?:override|delete from config\.) '(.+?)'", text):
        return _unknown(match[1], name, words)
    if match := re.search(r"Could not find '(.+?)'\n\nAvailable options", text):
        return _no_option(match[1], re.findall(r"^\t(\w+)$", text, re.M))
    if match := re.match(r"Ambiguous value for argument '(.+?)'\n1\. ", text, re.S):
        key, _, value = match[1].partition("=")
        one = for_shell(f"{key}={quoted(value)}")
        return (
            f"{match[1]} has several values; add -m to run a job for each, or write {one} for one "
            f"value with a comma, or {for_shell(f'{key}=[{value}]')} for a list"
        )
    if match := re.match(r"Sweep parameters '(.+)' requires --multirun", text, re.S):
        return f"{match[1]} stands for several values; add -m to run a job for each"
    if match := re.match(r"Could not append to config\. An item is already at '(.+?)'", text):
        return f"the setting {match[1]} exists already; write it without +"
    return first_line(error)


def _unreadable(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals:
        return f"cannot read {word!r}; expected key=value"
    if not re.fullmatch(r"[+~]*[\w.@:/$-]+", key):
        return f"cannot read {word!r}: {key!r} is not the name of a setting"
    written = for_shell(f"{key}={quoted(value)}")
    return f"cannot read {word!r}; if the value is a text, quote it: {written}"


def _unknown(key: str, name: str, words: Sequence[str]) -> str:
    known = list(dict.fromkeys(_keys(name, words, key)))
    leaf = key.rpartition(".")[2]
    similar = [each for each in known if each.rpartition(".")[2] == leaf]
    similar = similar or difflib.get_close_matches(key, known, n=2, cutoff=0.8)
    if not similar:
        leaves = {each.rpartition(".")[2]: each for each in reversed(known)}
        similar = [leaves[each] for each in difflib.get_close_matches(leaf, leaves, 2, 0.7)]
    meant = f"; did you mean {' or '.join(similar[:3])}?" if similar else ";"
    return (
        f"the config of {name} has no {key}{meant} --cfg job shows all settings, and a + before "
        "the key adds one"
    )


def _no_option(asked: str, options: Sequence[str]) -> str:
    group, _, option = asked.rpartition("/")
    similar = difflib.get_close_matches(option, options, n=1)
    meant = f"; did you mean {similar[0]}?" if similar else ";"
    return f"{group}={option}: there is no such option{meant} expected one of {', '.join(options)}"


def _keys(name: str, words: Sequence[str], unknown: str) -> Iterator[str]:
    """All keys and groups of a command's config, composed without the unknown key."""
    others = [word for word in divided(words)[1] if word.lstrip("+~").split("=")[0] != unknown]
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        for overrides in (others, []):
            try:
                config = compose(name, list(overrides), return_hydra_config=True)
            except (HydraException, OmegaConfBaseException):
                continue
            yield from map(str, config.hydra.runtime.choices)
            yield from _flat(config, "")
            return


def _flat(node: Any, prefix: str) -> Iterator[str]:
    for key in map(str, node):
        if not prefix and key == "hydra":
            continue
        yield f"{prefix}{key}"
        if not (OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)):
            child = node[key]
            if isinstance(child, DictConfig):
                yield from _flat(child, f"{prefix}{key}.")
