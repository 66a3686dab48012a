"""``odc COMMAND``: short commands for people, each ``python -m odc_lightning.COMMAND`` behind it.

Nothing heavy is imported here; the command itself takes this process's place.
"""

import difflib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from odc_lightning.cli.completion import SHELLS, query, script


class Command(NamedTuple):
    """One command.

    Attributes:
        summary: what it does, in a line.
        usage: its arguments.
        positions: for each argument without a name, the overrides that it stands for.
        examples: a comment and a command each.
        is_hydra: whether it takes overrides and has a config of its name.
    """

    summary: str
    usage: str
    positions: tuple[tuple[str, ...], ...]
    examples: tuple[tuple[str, str], ...]
    is_hydra: bool = True


_RUN = "outputs/odc_small/2026-01-31_12-00-00"
_FOLDER = ("data=image_folder", "data.root={}")
COMMANDS = {
    "train": Command(
        "train a network and cluster images, without labels",
        "[FOLDER] [key=value ...]",
        (_FOLDER,),
        (
            ("a folder of images; everything else is chosen, and said", "odc train ~/photos"),
            ("the same, longer", "odc train data=image_folder data.root=~/photos"),
            ("what you choose yourself is kept", "odc train ~/photos algorithm.num_clusters=50"),
            ("an experiment as it is", "odc train experiment=quickstart"),
        ),
    ),
    "evaluate": Command(
        "measure a network by the protocols of the paper",
        "RUN [key=value ...]",
        (("checkpoint={}",),),
        (
            ("all protocols that apply", f"odc evaluate {_RUN}"),
            ("one of them", f"odc evaluate {_RUN} protocol=knn"),
        ),
    ),
    "extract": Command(
        "write the features of any layer",
        "RUN [FOLDER] [key=value ...]",
        (("run={}",), _FOLDER),
        (
            ("of the run's own images, as Parquet", f"odc extract {_RUN}"),
            ("of others, as an array of NumPy", f"odc extract {_RUN} ~/new layer=conv4 format=npy"),
        ),
    ),
    "clusters": Command(
        "look at the clusters of a run",
        "RUN [key=value ...]",
        (("run={}",),),
        (("of a run", f"odc clusters {_RUN}"),),
    ),
    "assign": Command(
        "say to which clusters new images belong, and what they are like",
        "RUN FOLDER [key=value ...]",
        (("run={}",), ("root={}",)),
        (
            ("a folder, as CSV and Parquet", f"odc assign {_RUN} ~/new"),
            ("with more neighbours, elsewhere", f"odc assign {_RUN} ~/new neighbours=20 out=there"),
        ),
    ),
    "export": Command(
        "take the network away: safetensors, torch.export, ONNX, a model card",
        "RUN [key=value ...]",
        (("run={}",),),
        (
            ("a folder ready for the Hugging Face hub", f"odc export {_RUN} out=my-model"),
            ("without ONNX, which needs the extra `export`", f"odc export {_RUN} onnx=false"),
        ),
    ),
    "report": Command(
        "write a page of runs, sweeps and evaluations: curves, tables, settings that differ",
        "RUN [RUN ...]",
        (),
        (
            ("of a run", f"odc report {_RUN}"),
            ("of a sweep", "odc report multirun/update_interval/*/*/"),
        ),
        is_hydra=False,
    ),
    "doctor": Command(
        "look at this machine: versions, devices, disk",
        "[FOLDER]",
        (),
        (("before a first run", "odc doctor"), ("where runs will be written", "odc doctor ~/runs")),
        is_hydra=False,
    ),
}
# Hydra's flags that are followed by a value.
_WITH_VALUE = {
    *("-c", "--cfg", "-p", "--package", "-cp", "--config-path", "-cn", "--config-name"),
    *("-cd", "--config-dir", "-sc", "--shell-completion", "-i", "--info"),
}
# Sources of images whose size, and thus whose network, nobody has chosen.
_ANY_SIZE = ("image_folder", "file_list")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry; it only returns where no other program takes over."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if words else 2
    name, *arguments = words
    if name == "completion":
        return _complete(arguments)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        meant = f"did you mean odc {near[0]}? See" if near else "see"
        print(f"odc has no command {name!r}; {meant} odc --help", file=sys.stderr)
        return 2
    if "-h" in arguments or "--help" in arguments:
        print(help_of(name))
        return 0
    try:
        arguments = translated(name, arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    sys.stdout.flush()
    # Not called but put in this one's place, so that signals, and the ranks that Lightning starts
    # with the same command, find what they would find without it.
    os.execv(sys.executable, [sys.executable, "-m", f"odc_lightning.{name}", *arguments])


def translated(name: str, arguments: Sequence[str]) -> list[str]:
    """Arguments of ``odc NAME`` as those of ``python -m odc_lightning.NAME``.

    Args:
        name: of one of the `COMMANDS`.
        arguments: flags, overrides, and paths without a name.

    Raises:
        ValueError: more paths than the command takes.
    """
    command = COMMANDS[name]
    if not command.is_hydra:
        return list(arguments)
    positions = iter(command.positions)
    words: list[str] = []
    is_value = False
    for word in arguments:
        if is_value or word.startswith("-"):
            words.append(word)
        elif _is_path(word):
            templates = next(positions, None)
            if templates is None:
                raise ValueError(
                    f"{word!r} is one argument too many; expected odc {name} {command.usage}"
                )
            words += [each.format(_quoted(Path(word).expanduser())) for each in templates]
        else:
            words.append(_with_home(word))
        is_value = not is_value and word in _WITH_VALUE
    return words + (_recipe(words) if name == "train" else [])


def overview() -> str:
    """The help of all commands."""
    width = max(map(len, (*COMMANDS, "completion")))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    lines.append(f"  {'completion':{width}}  print a completion script for {', '.join(SHELLS)}")
    return "\n".join(
        [
            "usage: odc COMMAND [arguments] [key=value ...]",
            "",
            *lines,
            "",
            "odc COMMAND --help shows examples. Each command is python -m odc_lightning.COMMAND,",
            "with the same settings key=value.",
        ]
    )


def help_of(name: str) -> str:
    """The help of one command, with examples."""
    command = COMMANDS[name]
    lines = [f"usage: odc {name} {command.usage}", "", command.summary, "", "examples:"]
    for comment, line in command.examples:
        lines += [f"  # {comment}", f"  {line}"]
    if command.is_hydra:
        lines += [
            "",
            f"All settings and their values: odc {name} ... --cfg job",
            f"Groups of settings: python -m odc_lightning.{name} --help",
        ]
    return "\n".join(lines)


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


def _recipe(words: Sequence[str]) -> list[str]:
    """What a training gets that names neither experiment nor algorithm."""
    keys = {key: value for key, _, value in (word.lstrip("+").partition("=") for word in words)}
    own_config = {"-cn", "--config-name", "-cp", "--config-path"} & set(words)
    if own_config or {"experiment", "algorithm"} & set(keys):
        return []
    added = ["experiment=odc_small"]
    if keys.get("data") in _ANY_SIZE:
        if not any(key == "model" or key.startswith("model.backbone") for key in keys):
            added.append("model.backbone=null")
        if "data.image_size" not in keys:
            added.append("data.image_size=null")
        if "augmentation@data.eval_transform" not in keys:
            # Of the same brightness as the views of the recipe.
            added.append("augmentation@data.eval_transform=small_images_eval")
    print(
        f"odc train: neither experiment nor algorithm is given, so {' '.join(added)}",
        file=sys.stderr,
    )
    return added


def _is_path(word: str) -> bool:
    """Whether an argument is no override: ``~key`` and ``key=value`` are."""
    if word.startswith("~") and not re.match(r"~(/|$)", word):
        return False
    return "=" not in word or Path(word).expanduser().exists()


def _with_home(word: str) -> str:
    """``key=~/path`` with the home folder, which a shell leaves as it is behind ``=``."""
    key, _, value = word.partition("=")
    return f"{key}={Path(value).expanduser()}" if re.match(r"~(/|$)", value) else word


def _quoted(path: Path) -> str:
    """A path as Hydra reads it, whatever characters it has."""
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(str(path), Quote.single).with_quotes()


if __name__ == "__main__":
    sys.exit(main())
