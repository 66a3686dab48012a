"""``odc``: what each short command stands for."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from odc_lightning.cli import commands, odc, words
from odc_lightning.config import CONFIG_DIR


def run_odc(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "odc_lightning.cli.odc", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("evaluate runs/mine protocol=knn", ["checkpoint='runs/mine'", "protocol=knn"]),
        ("assign runs/mine photos", ["run='runs/mine'", "root='photos'"]),
        ("assign 'my runs/1' ~/x out=~/y", ["run='my runs/1'", "root='HOME/x'", "out=HOME/y"]),
        ("extract runs/mine -m layer=a,b", ["-m", "run='runs/mine'", "layer=a,b"]),
        ("export --cfg job runs/mine", ["--cfg", "job", "run='runs/mine'"]),
        ("clusters runs/mine", ["run='runs/mine'"]),
        (
            "extract runs/mine photos layer=conv4",
            ["run='runs/mine'", "data=image_folder", "data.root='photos'", "layer=conv4"],
        ),
        ("train experiment=quickstart seed=1", ["experiment=quickstart", "seed=1"]),
        ("train algorithm=odc ~callbacks.x", ["algorithm=odc", "~callbacks.x"]),
        ("train -cn config.yaml", ["-cn", "config.yaml"]),
        ("train data=digits", ["data=digits", "experiment=odc_small"]),
        (
            "train data=image_folder data.root=~/photos",
            [
                "data=image_folder",
                "data.root=HOME/photos",
                "experiment=auto",
            ],
        ),
        (
            "train photos model.pretrained=null data.image_size=96",
            [
                "data=image_folder",
                "data.root='photos'",
                "model.pretrained=null",
                "data.image_size=96",
                "experiment=odc_small",
                "model.backbone=null",
                "augmentation@data.eval_transform=small_images_eval",
                "train.pages=true",
            ],
        ),
        (
            "train photos model=resnet50 model.pretrained=swav.pth",
            [
                "data=image_folder",
                "data.root='photos'",
                "model=resnet50",
                "model.pretrained=swav.pth",
                "experiment=odc_adapt",
            ],
        ),
        (
            "train data=digits model.pretrained=timm:vit",
            ["data=digits", "model.pretrained=timm:vit", "experiment=odc_adapt"],
        ),
        (
            "train photos model=resnet18 data.image_size=96",
            [
                "data=image_folder",
                "data.root='photos'",
                "model=resnet18",
                "data.image_size=96",
                "experiment=odc_small",
                "augmentation@data.eval_transform=small_images_eval",
                "train.pages=true",
            ],
        ),
        ("doctor photos", ["photos"]),
    ],
)
def test_what_a_line_stands_for(line: str, expected: list[str]) -> None:
    name, *arguments = shlex.split(line)
    home = str(Path.home())
    assert odc.translated(name, arguments) == [word.replace("HOME", home) for word in expected]


@pytest.mark.parametrize(
    "name", ["a b", "a,b", "it's", "lr=0.1", "五月", "(1)", "a\\", "{x: 1}", "~key", 'q"q', "null"]
)
def test_any_path_reaches_hydra_as_it_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / name)
    _, override = odc.translated("assign", ["run", path])
    assert OverridesParser.create().parse_override(override).value() == path


def test_help_and_refusals(tmp_path: Path) -> None:
    shown = run_odc("--help", cwd=tmp_path)
    assert shown.returncode == 0
    for name, command in commands.COMMANDS.items():
        assert f"  {name:10}  {command.summary}" in shown.stdout
        text = commands.help_of(name)
        assert text.startswith(f"usage: odc {name} ")
        assert all(line in text for _, line in command.examples)
    wrong = run_odc("evalaute", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    meant = "did you mean odc evaluate? See odc --help"
    assert wrong.stderr == f"odc has no command 'evalaute'; {meant}\n"
    many = run_odc("assign", "a", "b", "c", cwd=tmp_path)
    assert many.returncode == 2
    assert "'c' is one argument too many; expected odc assign RUN FOLDER" in many.stderr
    assert run_odc(cwd=tmp_path).returncode == 2
    assert run_odc("assign", "-h", cwd=tmp_path).stdout == f"{commands.help_of('assign')}\n"


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_has_a_module_and_its_config(name: str) -> None:
    here = Path(odc.__file__).parents[1]
    assert (here / f"{name}.py").is_file() or (here / name / "__main__.py").is_file()
    assert Path(CONFIG_DIR, f"{name}.yaml").is_file() == commands.COMMANDS[name].is_hydra


def test_the_examples_of_all_commands_are_understood() -> None:
    for name, command in commands.COMMANDS.items():
        for _, line in command.examples:
            tool, named, *arguments = shlex.split(line)
            assert (tool, named) == ("odc", name)
            if command.is_hydra:
                OverridesParser.create().parse_overrides(odc.translated(name, arguments))


def test_a_command_takes_the_place_of_odc(tmp_path: Path) -> None:
    """Its exit code and its refusals are those of the command."""
    refused = run_odc("assign", "nowhere", "no folder", cwd=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: run=nowhere does not exist")
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind


def test_the_name_of_a_folder_is_not_a_number() -> None:
    assert words.readable("root=2024_01") == "root='2024_01'"
    assert words.readable("hydra.run.dir=1e5") == "hydra.run.dir='1e5'"
    assert words.readable("trainer.max_epochs=20") == "trainer.max_epochs=20"
