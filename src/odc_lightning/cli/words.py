"""The words of a command line: Hydra's flags, settings ``key=value``, and paths.

Nothing heavy is imported here until a word needs Hydra's parser.
"""

import difflib
import os
import re
import shlex
from collections.abc import Sequence

# Hydra's flags, each with the values that it expects; None: any value, (): no value.
FLAGS: dict[str, tuple[str, ...] | None] = {
    **dict.fromkeys(("-h", "--help", "--hydra-help", "--version", "--resolve"), ()),
    **dict.fromkeys(("-r", "--run", "-m", "--multirun", "-sc", "--shell-completion"), ()),
    **dict.fromkeys(("-c", "--cfg"), ("job", "hydra", "all")),
    **dict.fromkeys(("-p", "--package", "-cp", "--config-path"), None),
    **dict.fromkeys(("-cn", "--config-name", "-cd", "--config-dir"), None),
    "--experimental-rerun": None,
    **dict.fromkeys(
        ("-i", "--info"), ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
    ),
}
_VALUE_IS_OPTIONAL = ("-i", "--info")
# With these flags a command shows something and runs nothing.
SHOWING = {"-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "-i", "--info"}
SHOWING |= {"-sc", "--shell-completion"}
# Values of these characters mean the same to Hydra's parser and to a reader.
_PLAIN = re.compile(r"[\w./%+@|:-]*", re.ASCII)
# A folder 2024_01 is not the number 202401.
_NUMBER_AS_PATH = re.compile(
    r"(.*\.)?(root|path|run|out|images|labels|checkpoint|ckpt_path|pretrained|sort_into|dir)=\d[\w.+-]*",
    re.ASCII,
)


def divided(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags with their values, and all other words, each in their order.

    Hydra accepts flags only before the other words. All words after ``--`` are not flags.

    Raises:
        ValueError: a flag is unknown, or its value is missing or wrong.
    """
    flags: list[str] = []
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return flags, others + rest
        name, equals, _ = word.partition("=")
        if not word.startswith("-") or (name not in FLAGS and os.path.lexists(word)):
            others.append(word)
            continue
        if name not in FLAGS:
            similar = difflib.get_close_matches(name, FLAGS, n=1)
            advice = f"did you mean {similar[0]}" if similar else f"a path is written ./{word}"
            raise ValueError(f"unknown flag {word}; {advice}")
        expected = FLAGS[name]
        flags.append(word)
        if expected == () or equals:
            continue
        if name in _VALUE_IS_OPTIONAL and (not rest or rest[0] not in (expected or ())):
            rest.insert(0, "all")  # Hydra would take the next word for the value
        if not rest or rest[0] in FLAGS or (expected and rest[0] not in expected):
            found = f"got {rest[0]!r}" if rest else "got nothing"
            allowed = f"one of {', '.join(expected)}" if expected else "a value"
            raise ValueError(f"{name} expects {allowed} after it; {found}")
        flags.append(rest.pop(0))
    return flags, others


def for_hydra(words: Sequence[str]) -> list[str]:
    """The words in an order and a form that Hydra reads as they are meant.

    Raises:
        ValueError: see `divided` and `readable`.
    """
    flags, others = divided(words)
    return [*flags, *map(readable, others)]


def quoted(value: str) -> str:
    """A value, quoted for Hydra's parser, whatever characters it has."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(value, Quote.single).with_quotes()


def path_value(path: str) -> str:
    """A path, quoted, with ``~`` and ``~/`` as the home folder.

    A relative path that would be taken for another user's home, or for a missing value, is made
    absolute.

    Raises:
        ValueError: the path has ``${``, which configs cannot hold as text.
    """
    path = home(path)
    if "${" in path:
        raise ValueError(
            f"{path}: ${{ in a path would be read as a reference to a setting; rename the folder, "
            "or give a link to it (ln -s)"
        )
    if os.path.normpath(path).startswith(("~", "???")):
        path = os.path.abspath(path)  # noqa: PTH100  # pathlib drops the ./ before a ~
    return quoted(path)


def home(path: str) -> str:
    """The path with a leading ``~`` or ``~/`` replaced by the home folder."""
    return os.path.expanduser(path) if re.match(r"~(/|$)", path) else path  # noqa: PTH111


def exists(path: str) -> bool:
    """Whether a file or folder exists; False for text that cannot be a path."""
    return os.path.lexists(home(path))


def for_shell(word: str) -> str:
    """A word as it is written in a shell."""
    return f'"{word}"' if not re.search(r'["$`\\!]', word) else shlex.quote(word)


def readable(word: str) -> str:
    """``key=value`` with the value quoted if Hydra's parser would refuse or split a path or text.

    A value with brackets, braces or quotes is an expression of Hydra's, unless a path of that name
    exists. Shells do not expand ``~`` after ``=``, so it is done here.

    Raises:
        ValueError: there is no key, or a path has ``${``.
    """
    key, equals, value = word.partition("=")
    if equals and not key:
        raise ValueError(f"cannot read {word!r}; expected key=value")
    if _NUMBER_AS_PATH.fullmatch(word):
        return f"{key}={path_value(value)}"
    if not equals or _PLAIN.fullmatch(value):
        return word
    if exists(value):
        return f"{key}={path_value(value)}"
    value = home(value)
    if re.match(r"""[\[{'"]""", value) or "${" in value or _is_understood(f"{key}={value}"):
        return f"{key}={value}"
    return f"{key}={quoted(value)}" if _is_understood(f"{key}={quoted(value)}") else word


def _is_understood(override: str) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        OverridesParser.create().parse_override(override)
    except HydraException:
        return False
    return True
