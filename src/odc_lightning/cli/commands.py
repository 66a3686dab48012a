"""The commands of ``odc``, their arguments and their help.

Nothing heavy is imported here.
"""

from typing import NamedTuple

from odc_lightning.cli.completion import SHELLS


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


_RUN = "outputs/odc_adapt/2026-01-31_12-00-00"
_FOLDER = ("data=image_folder", "data.root={}")
COMMANDS = {
    "train": Command(
        "train a network and cluster images, without labels",
        "[FOLDER] [key=value ...]",
        (_FOLDER,),
        (
            ("a folder of images; other settings are chosen automatically", "odc train ~/photos"),
            ("the same, with explicit keys", "odc train data=image_folder data.root=~/photos"),
            ("its first clusters, without training", "odc train ~/photos train.only_start=true"),
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
            ("the page, with names saved in the run's folder", f"odc clusters {_RUN} serve=true"),
            (
                "a dry run of sorting the images into folders",
                f"odc clusters {_RUN} sort_into=sorted",
            ),
        ),
    ),
    "label": Command(
        "name all images of a run by the names that were given on its page",
        "RUN [LABELS] [key=value ...]",
        (("run={}",), ("labels={}",)),
        (
            ("tables, and a page of the images to name next", f"odc label {_RUN} labels.json"),
            (
                "a dry run of sorting the images into a folder for each name",
                f"odc label {_RUN} labels.json sort_into=named",
            ),
        ),
    ),
    "assign": Command(
        "assign new images to clusters, with outlier scores and nearest neighbours",
        "RUN FOLDER [key=value ...]",
        (("run={}",), ("root={}",)),
        (
            ("a folder of images, as CSV and Parquet", f"odc assign {_RUN} ~/new"),
            ("with names", f"odc assign {_RUN} ~/new labels=labels.json"),
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
