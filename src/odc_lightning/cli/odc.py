"""``odc COMMAND``: a short form of ``python -m odc_lightning.COMMAND``.

Nothing heavy is imported here; the command replaces this process.
"""

import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from odc_lightning.cli.completion import SHELLS, query, script
from odc_lightning.cli.words import SHOWING, divided, exists, path_value, readable
from odc_lightning.utils.text import error_text


class Command(NamedTuple):
    """One command.

    Attributes:
        summary: one line about the command.
        usage: its arguments.
        positions: for each positional argument, the overrides that it stands for.
        examples: pairs of a comment and a command.
        is_hydra: whether the command takes overrides and has a config of the same name.
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
            ("a folder of images; other settings are chosen automatically", "odc train ~/photos"),
            ("the same, with explicit keys", "odc train data=image_folder data.root=~/photos"),
            ("settings that you give are kept", "odc train ~/photos algorithm.num_clusters=50"),
            ("a predefined experiment", "odc train experiment=quickstart"),
        ),
    ),
    "evaluate": Command(
        "evaluate a network by the paper's protocols",
        "RUN [key=value ...]",
        (("checkpoint={}",),),
        (
            ("all protocols that apply to the data", f"odc evaluate {_RUN}"),
            ("one protocol", f"odc evaluate {_RUN} protocol=knn"),
        ),
    ),
    "extract": Command(
        "write image features of any layer to files",
        "RUN [FOLDER] [key=value ...]",
        (("run={}",), _FOLDER),
        (
            ("features of the training images, as Parquet", f"odc extract {_RUN}"),
            (
                "features of other images, as a NumPy array",
                f"odc extract {_RUN} ~/new layer=conv4 format=npy",
            ),
        ),
    ),
    "clusters": Command(
        "show the clusters of a run on a page, or sort its images by cluster",
        "RUN [key=value ...]",
        (("run={}",),),
        (
            ("an HTML page and tables", f"odc clusters {_RUN}"),
            (
                "a dry run of sorting the images into folders",
                f"odc clusters {_RUN} sort_into=sorted",
            ),
        ),
    ),
    "assign": Command(
        "assign new images to clusters, with outlier scores and nearest neighbours",
        "RUN FOLDER [key=value ...]",
        (("run={}",), ("root={}",)),
        (
            ("a folder of images, as CSV and Parquet", f"odc assign {_RUN} ~/new"),
            (
                "more neighbours, another output folder",
                f"odc assign {_RUN} ~/new neighbours=20 out=assigned",
            ),
        ),
    ),
    "export": Command(
        "export the network: safetensors, torch.export, ONNX, model card",
        "RUN [key=value ...]",
        (("run={}",),),
        (
            ("a folder ready for the Hugging Face hub", f"odc export {_RUN} out=my-model"),
            ("without ONNX, which needs the extra `export`", f"odc export {_RUN} onnx=false"),
        ),
    ),
    "report": Command(
        "write an HTML report of runs, sweeps and evaluations",
        "RUN [RUN ...]",
        (),
        (
            ("one run", f"odc report {_RUN}"),
            ("all runs of a sweep", "odc report multirun/update_interval/*/*/"),
        ),
        is_hydra=False,
    ),
    "doctor": Command(
        "check this machine: versions, devices, disk",
        "[FOLDER]",
        (),
        (
            ("before the first run", "odc doctor"),
            ("if runs are written to another folder", "odc doctor ~/runs"),
        ),
        is_hydra=False,
    ),
}
# Data sets of any image size, for which the image size and the network are chosen automatically.
_ANY_SIZE = ("image_folder", "file_list")


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
    return [*flags, *words, *(_recipe(words, flags) if name == "train" else [])]


def overview() -> str:
    """The help of all commands."""
    width = max(map(len, (*COMMANDS, "completion")))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    lines.append(f"  {'completion':{width}}  print a completion script for {', '.join(SHELLS)}")
    return "\n".join(
        [
            "usage: odc COMMAND [arguments] [key=value ...]",
            "",
            "Online Deep Clustering: learn features and clusters of images without labels.",
            "",
            *lines,
            "",
            "odc COMMAND --help shows the arguments and examples. Each command is a short form of",
            "python -m odc_lightning.COMMAND and takes the same key=value settings.",
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


def _recipe(words: Sequence[str], flags: Sequence[str]) -> list[str]:
    """The overrides for a training that names neither an experiment nor an algorithm."""
    keys = {key: value for key, _, value in (word.lstrip("+").partition("=") for word in words)}
    own_config = {"-cn", "--config-name", "-cp", "--config-path"}.intersection(flags)
    if own_config or {"experiment", "algorithm"} & set(keys) or _resumes_another_recipe(keys):
        return []
    added = ["experiment=odc_small"]
    if keys.get("data") in _ANY_SIZE:
        if not any(key == "model" or key.startswith("model.backbone") for key in keys):
            added.append("model.backbone=null")
        if "data.image_size" not in keys:
            added.append("data.image_size=null")
        if "augmentation@data.eval_transform" not in keys:
            # Normalised like the training views of the recipe.
            added.append("augmentation@data.eval_transform=small_images_eval")
    print(
        f"odc train: no experiment or algorithm is given, using {' '.join(added)}",
        file=sys.stderr,
    )
    return added


def _resumes_another_recipe(keys: Mapping[str, str]) -> bool:
    """Whether a training resumes a run that was started without the recipe."""
    run = keys.get("hydra.run.dir") if keys.get("train.resume") == "auto" else None
    if run is None and "ckpt_path" in keys:
        run = str(Path(keys["ckpt_path"].strip("'\"")).parent.parent)
    folder = Path((run or "").strip("'\""))
    records = folder / ".hydra" / "hydra.yaml"
    is_run = run is not None and (folder / "config.yaml").is_file() and records.is_file()
    return is_run and "experiment: odc_small\n" not in records.read_text(encoding="utf-8")


def _is_path(word: str) -> bool:
    """Whether an argument is a path rather than an override, ``key=value`` or ``~key``."""
    if exists(word):
        return True
    return "=" not in word and (not word.startswith("~") or re.match(r"~(/|$)", word) is not None)


if __name__ == "__main__":
    sys.exit(main())
