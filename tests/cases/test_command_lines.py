"""Command lines as people type them: flags anywhere, awkward names, forgotten and wrong words."""

import itertools
import random
from pathlib import Path

import pytest
import torch
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf
from PIL import Image
from torch.utils.data import DataLoader

from conftest import Compose, compose_command
from helpers.odc_lines import run_line
from odc_lightning.cli import odc
from odc_lightning.cli.commands import COMMANDS
from odc_lightning.cli.refusals import refusal
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.prepare import prepare, with_chosen_later
from odc_lightning.config.resolve import resolve
from odc_lightning.config.validation import check_arguments
from odc_lightning.data import image_folder
from odc_lightning.data.dataset import IndexedDataset
from odc_lightning.data.sources import ImageError
from odc_lightning.inference.image_table import check_numbers
from odc_lightning.report import main as report
from odc_lightning.utils.devices import usable_device

HYDRA_COMMANDS = [name for name, each in COMMANDS.items() if each.is_hydra]
EXPERIMENTS = sorted(path.stem for path in Path(CONFIG_DIR, "experiment").glob("*.yaml"))
NAMES = (
    *("photos=2024", "a,b", "[x]", "~x", "it's", "#x", " a ", "-dash", "a\\b", "???", "x\ny", "é"),
    *("{a}", "model=resnet18", "null", "~", "$(x)", "*", "a;b", '"q"', "b'\\", "$x", "%", "!"),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_flag_may_follow_the_folder(here: Path) -> None:
    (here / "photos").mkdir()
    for line in (
        ("photos", "algorithm.num_clusters=5", "--cfg", "job"),
        ("--cfg", "job", "photos", "algorithm.num_clusters=5"),
        ("photos", "-c", "job", "algorithm.num_clusters=5"),
        ("algorithm.num_clusters=5", "photos", "--cfg=job"),
    ):
        shown = run_line("train", *line)
        assert shown.code == 0, shown.err
        config = OmegaConf.create(shown.out)
        assert (config.name, config.model.pretrained) == ("odc_adapt", "auto")
        assert (config.data.root, config.algorithm.num_clusters) == ("photos", 5)
    part = run_line("train", "photos", "--cfg", "job", "--package", "optimizer")
    assert "# @package optimizer\n_target_: torch.optim.SGD\n" in part.out
    assert "Defaults List\n" in run_line("train", "photos", "--info", "defaults").out


@pytest.mark.parametrize("name", [name for name, each in COMMANDS.items() if each.is_hydra])
def test_flags_stand_anywhere(name: str) -> None:
    """Hydra's own parser reads all words, wherever the flags are."""
    paths = ["a", "b"][: len(COMMANDS[name].positions)]
    settings = ["seed=1,2", "hydra.sweep.dir=s"]
    flags = [["-m"], ["--multirun"], ["--cfg", "job"], ["-p", "model"], ["--info"], ["-cd", "x"]]
    for flag, more in itertools.product(flags, ([], ["--resolve"])):
        orders = itertools.permutations([paths, settings, flag, more])
        read = []
        for order in orders:
            words = odc.translated(name, [word for group in order for word in group])
            parsed = vars(get_args_parser().parse_args(words))
            read.append({**parsed, "overrides": sorted(parsed["overrides"])})
        assert all(each == read[0] for each in read)
        assert set(settings) < set(read[0]["overrides"])
        assert read[0]["info"] == ("all" if flag == ["--info"] else None)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name(name: str, here: Path) -> None:
    """By position, after a key, and relative or absolute: the config has the folder's path."""
    folder = here / name
    folder.mkdir()
    given = "./~" if name == "~" else name
    words = [
        *odc.translated("assign", ["run", given]),
        *odc.translated("assign", ["r", str(folder)]),
    ]
    if name != "null":  # which a value is already
        words += odc.translated("assign", ["r", f"root={given}"])
    roots = [word for word in words if word.startswith("root=")]
    assert len(roots) == 3 - (name == "null")
    for word in roots:
        value = OverridesParser.create().parse_override(word).value()
        config = OmegaConf.create({"root": value, "data": {"root": "${root}"}})
        found = OmegaConf.to_container(config, resolve=True)["data"]["root"]  # type: ignore
        assert Path(str(found)).absolute() == folder
        assert not str(found).startswith("~")


def test_random_names(here: Path) -> None:
    draw = random.Random(0)
    for _ in range(200):
        name = "".join(draw.choices("a\\$'\"{} =,[]~#()é-", k=draw.randint(1, 8)))
        if "${" in name or name.startswith("-"):
            continue
        (here / name).mkdir(exist_ok=True)
        word = odc.translated("assign", ["run", f"./{name}"])[1]
        found = OverridesParser.create().parse_override(word).value()
        assert Path(str(found)).absolute() == here / name


def test_a_dash_in_front_and_two_dashes(here: Path) -> None:
    (here / "-photos").mkdir()
    assert odc.translated("assign", ["run", "-photos"]) == ["run='run'", "root='-photos'"]
    assert odc.translated("assign", ["run", "--", "-new"]) == ["run='run'", "root='-new'"]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "assign",
            2,
            "RUN is missing; expected odc assign RUN FOLDER [key=value ...], for",
        ),
        ("assign run", 2, "FOLDER is missing; expected odc assign RUN FOLDER"),
        (
            "assign run a.jpg b.jpg",
            2,
            "too many; expected odc assign RUN FOLDER [key=value ...].",
        ),
        ("evaluate", 2, "RUN is missing"),
        ("extract layer=conv1", 2, "RUN is missing"),
        ("export", 2, "RUN is missing"),
        ("clusters title=x", 2, "RUN is missing"),
        ("assign run new", 1, "run=run does not exist; expected a checkpoint file"),
        ("train nowhere", 1, "nowhere is not a folder; expected the folder of the images"),
        ("train file.txt", 1, "file.txt is a file; expected the folder of the images"),
        ("train ${x}", 2, "${ in a path would be read as a reference to a setting; rename"),
        ("train algorithm.num_cluster=5", 1, "did you mean algorithm.num_clusters"),
        ("train num_clusters=5", 1, "did you mean algorithm.num_clusters?"),
        ("train lr=3", 1, "the config of train has no lr; did you mean optimizer.lr?"),
        ("train modle=resnet18", 1, "did you mean model?"),
        ("assign run new nieghbours=3", 1, "did you mean neighbours?"),
        ("train ~callbacks.nothing", 1, "the config of train has no callbacks.nothing;"),
        (
            "train model=resnet19",
            1,
            "model=resnet19: there is no such option; did you mean",
        ),
        ("train experiment=quickstrat", 1, "did you mean quickstart? expected one of "),
        ("train seed=1,2", 1, "seed=1,2 has several values; add -m to run a job for each"),
        ("train seed=range(1,3)", 1, "stands for several values; add -m"),
        ("train +seed=3", 1, "the setting seed exists already; write it without +"),
        ("train =3", 2, "cannot read '=3'; expected key=value"),
        ("train data.subset={num_images:5", 1, "if the value is a text, quote it:"),
        ("train name=${foo}", 1, "hydra.run.dir has no value: Interpolation key 'foo' not found"),
        ("train --multi seed=1,2", 2, "unknown flag --multi; did you mean --multirun"),
        ("train -x", 2, "unknown flag -x; a path is written ./-x"),
        ("train --cfg", 2, "--cfg expects one of job, hydra, all after it; got nothing"),
        ("train --package --cfg job", 2, "--package expects a value after it; got '--cfg'"),
        ("train train=null", 1, "train=None; expected settings, such as train.NAME=VALUE"),
        ("train train=4", 1, "train=4; expected settings, such as train.NAME=VALUE"),
        ("train ckpt_path=[1]", 1, "[1] is not a path; expected the name of a file or a folder"),
        ("train --cfg jobs", 2, "--cfg expects one of job, hydra, all after it; got 'jobs'"),
        ("train --resolve", 1, "--resolve flag can only be used in conjunction with --cfg"),
        ("train -m --cfg job", 1, "Only one of --run, --multirun, --cfg, --info and"),
        ("train --config-name nope", 1, "Cannot find primary config 'nope'"),
        ("report", 2, "the following arguments are required: RUN (see "),
        ("report nowhere", 2, "nowhere is not a folder; expected that of a run"),
        ("report x --out y.txt", 2, "--out y.txt: expected the name of a file that ends in .html"),
        ("doctor a b", 2, "unrecognized arguments: b"),
        ("evaluate untrained", 1, "no model is given, and there is no training run beside"),
        (
            "train experiment=quickstart trainer.accelerator=cuda",
            1,
            "`CUDAAccelerator` can not run on your system",
        ),
        ("evaluate untrained model=convnet data=digits trainer.accelerator=abacus", 1, "abacus"),
        ("export run device=cuda:99", 1, "device=cuda:99 cannot be used here: "),
        (
            "train experiment=quickstart neck@model.neck=none",
            1,
            "model.neck is a NoNeck, which has no setting hidden_features; remove what belongs to "
            "another option of model.neck: ~model.neck.hidden_features",
        ),
        (
            "train experiment=quickstart head@model.head=linear",
            1,
            "~model.head.num_heads ~model.head.contrast",
        ),
    ],
)
def test_a_wrong_line_gets_one_line(line: str, code: int, message: str, here: Path) -> None:
    (here / "file.txt").touch()
    ended = run_line(*line.split(" "))
    assert message in ended.error
    assert ended.code == code


@pytest.mark.parametrize("seed", range(10))
def test_random_lines_end_without_a_traceback(seed: int, here: Path) -> None:
    """Only composed: a line is shown, or refused in one line."""
    draw = random.Random(seed)
    (here / "photos").mkdir()
    words = ["photos", "x=", "=", "a.b=1", "+a.b.c={x: 1}", "~data", "++seed=3", "seed=[1,2", "~"]
    words += ["data=nope", "data.root=a,b", "model=", "experiment=[]", "?", "'", "a b", "-", "-9"]
    words += ["data@x=digits", "seed=${seed}", "name=#", "name=\\", "hydra.x=1", "/", "--package"]
    words += ["hydra/launcher=nope", "name=f(x)", "out=é", "trainer.max_epochs.x=1", "name='", "\n"]
    name = draw.choice(HYDRA_COMMANDS)
    line = draw.sample(words, draw.randint(2, 5))
    ended = run_line(name, *line, "--cfg", "job")
    if ended.code:
        assert ended.error, line


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_only_settings_that_exist(name: str) -> None:
    config = compose_command("train", f"experiment={name}")
    OmegaConf.set_struct(config, False)
    config.run_dir = "."
    if OmegaConf.is_missing(config.data, "root"):
        config.data.root = "photos"
    for key in OmegaConf.missing_keys(config):
        OmegaConf.update(config, key, "given")
    check_arguments(resolve(with_chosen_later(config)))


def test_without_the_setting_of_another_option_it_works(compose_config: Compose) -> None:
    changes = ("neck@model.neck=none", "~model.neck.hidden_features")
    config = compose_config("experiment=quickstart", *changes)
    assert instantiate(prepare(config).config.model.neck)(in_features=8)(torch.ones(2, 8)).shape


def test_a_folder_whose_name_is_a_number(here: Path, compose_config: Compose) -> None:
    (here / "2024").mkdir()
    Image.new("RGB", (4, 4)).save("2024/a.png")
    data = instantiate(compose_config("data=image_folder", "data.root=2024", "algorithm=odc").data)
    assert data.build_train().names == ["a.png"]


@pytest.mark.parametrize("device", ["cuda:99", "meta", "gpu", "cpu:x", "1,2", -5])
def test_a_device_that_is_not_there(device: str | int) -> None:
    with pytest.raises(ValueError, match=rf"device={device} cannot be used here: .*; expected cpu"):
        usable_device(device)
    assert usable_device("cpu") == torch.device("cpu")


def test_a_damaged_image_in_a_worker(here: Path) -> None:
    """The worker's traceback, which torch sends as the message, does not reach the user."""
    Image.new("RGB", (4, 4)).save("a.png")
    Path("b.png").write_bytes(Path("a.png").read_bytes()[:40])
    dataset = IndexedDataset(image_folder("."), lambda image: torch.zeros(1))
    with pytest.raises(ImageError) as caught:
        list(DataLoader(dataset, 2, num_workers=1))
    message = str(refusal(caught.value))
    assert message.startswith("cannot decode b.png: ")
    assert message.endswith("and data.on_error=skip leaves these out")
    assert "\n" not in message


def test_a_damaged_contact_sheet_in_a_report(
    photos_run: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "page").mkdir()
    (here / "page" / "contact_sheet.png").write_bytes(b"\x89PNG no image")
    report([str(photos_run), str(here / "page"), "--out", "report.html"])
    shown = capsys.readouterr().out
    assert "not read: " in shown
    assert "contact_sheet.png: cannot identify image file" in shown
    assert (here / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("value", ["abc", -1, True, 1.5])
def test_a_wrong_number_of_workers(value: object) -> None:
    config = OmegaConf.create({"batch_size": 1, "num_workers": value})
    with pytest.raises(ValueError, match=f"num_workers={value}; expected an integer, 0 or more"):
        check_numbers(config, "batch_size")
