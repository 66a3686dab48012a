"""``odc COMMAND``: a short form of ``python -m odc_lightning.COMMAND``.

Nothing heavy is imported here; the command replaces this process.
"""

import difflib
import os
import re
import sys
from collections.abc import Sequence

from odc_lightning.cli.commands import COMMANDS, help_of, overview
from odc_lightning.cli.completion import SHELLS, query, script
from odc_lightning.cli.recipe import AUTO, recipe
from odc_lightning.cli.words import SHOWING, divided, exists, path_value, readable
from odc_lightning.utils.text import error_text


def main(argv: Sequence[str] | None = None) -> int:
    """Command-line entry point; it returns only if no command replaces this process."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if words else 2
    name, *arguments = words
    if name == "completion":
        return _complete(arguments)
    if name not in COMMANDS:
        similar = difflib.get_close_matches(name, COMMANDS, n=1)
        advice = f"did you mean odc {similar[0]}? See" if similar else "see"
        print(f"odc has no command {name!r}; {advice} odc --help", file=sys.stderr)
        return 2
    if "-h" in arguments or "--help" in arguments:
        print(help_of(name))
        return 0
    try:
        arguments = translated(name, arguments)
    except ValueError as error:
        print(error_text(error), file=sys.stderr)
        return 2
    sys.stdout.flush()
    # The command replaces this process: it receives signals directly, and Lightning can start
    # other ranks with the same command line.
    os.execv(sys.executable, [sys.executable, "-m", f"odc_lightning.{name}", *arguments])


def translated(name: str, arguments: Sequence[str]) -> list[str]:
    """Translate the arguments of ``odc NAME`` to those of ``python -m odc_lightning.NAME``.

    Args:
        name: one of `COMMANDS`.
        arguments: flags, overrides and positional paths.

    Raises:
        ValueError: an argument is missing, there are more paths than the command takes, or a
            flag is unknown.
    """
    command = COMMANDS[name]
    if not command.is_hydra:
        return list(arguments)
    flags, others = divided(arguments)
    positions = iter(command.positions)
    words: list[str] = []
    for word in others:
        if not _is_path(word):
            words.append(readable(word))
            continue
        templates = next(positions, None)
        if templates is None:
            raise ValueError(_one_too_many(name, word))
        words += [each.format(path_value(word)) for each in templates]
    if not SHOWING.intersection(flags):
        _refuse_forgotten(name, words)
    if name != "train":
        return [*flags, *words]
    added = recipe(words, flags)
    if added and AUTO not in added:
        print(
            f"odc train: no experiment or algorithm is given, using {' '.join(added)}",
            file=sys.stderr,
        )
    return [*flags, *words, *added]


def _complete(arguments: Sequence[str]) -> int:
    if len(arguments) == 2 and arguments[0] == "query":
        hydra_commands = {name: command.is_hydra for name, command in COMMANDS.items()}
        print("\n".join(query(arguments[1], {**hydra_commands, "completion": False})))
        return 0
    if len(arguments) == 1 and arguments[0] in SHELLS:
        print(script(arguments[0]))
        return 0
    print(
        f"usage: odc completion {'|'.join(SHELLS)}\n\n"
        '  bash, zsh: eval "$(odc completion bash)", in ~/.bashrc to keep it\n'
        "  fish:      odc completion fish | source",
        file=sys.stderr,
    )
    return 0 if set(arguments) & {"-h", "--help"} else 2


def _refuse_forgotten(name: str, words: Sequence[str]) -> None:
    """Refuse a line without a path that the command needs, also given by its key."""
    command = COMMANDS[name]
    given = {word.lstrip("+").partition("=")[0] for word in words}
    for placeholder, templates in zip(command.usage.split(), command.positions, strict=False):
        key = templates[0].partition("=")[0]
        if not placeholder.startswith("[") and key not in given:
            raise ValueError(
                f"{placeholder} is missing; expected odc {name} {command.usage}, for example "
                f"{command.examples[0][1]}"
            )


def _one_too_many(name: str, word: str) -> str:
    """The message for a path, or a word without ``=``, beyond those that a command takes."""
    message = f"{word!r} is one argument too many; expected odc {name} {COMMANDS[name].usage}"
    if name == "assign":
        message += ". For several images, give their folder"
    return message


def _is_path(word: str) -> bool:
    """Whether an argument is a path rather than an override, ``key=value`` or ``~key``."""
    if exists(word):
        return True
    return "=" not in word and (not word.startswith("~") or re.match(r"~(/|$)", word) is not None)


if __name__ == "__main__":
    sys.exit(main())
