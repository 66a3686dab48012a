"""Runs that are damaged, or that somebody else made: read safely, or refused in one line."""

import copy
import shutil
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from omegaconf import DictConfig, OmegaConf

from conftest import compose_command
from odc_lightning import evaluate, load
from odc_lightning.config.resolve import resolve
from odc_lightning.hub.card import Facts, card
from odc_lightning.hub.export_folder import _summary
from odc_lightning.hub.library_weights import Published
from odc_lightning.reporting.report_page import build_report, find_runs
from odc_lightning.runs.clustered_images import read_clusters
from odc_lightning.runs.find import find_run, groups_of_run, refuse_untrusted, with_run_config
from odc_lightning.runs.images import as_read_by

Run = Callable[[Path], object]


@pytest.fixture
def run(photos_run: Path, tmp_path: Path) -> Path:
    """A copy of a run that a test may damage."""
    folder = tmp_path / "copy"
    shutil.copytree(photos_run, folder, ignore=shutil.ignore_patterns("reference", "assigned"))
    return folder


def config_of(command: str, run: Path, *overrides: str) -> DictConfig:
    """The config of a command, with what it takes from the run."""
    option = "checkpoint" if command == "evaluate" else "run"
    config = compose_command(command, f"{option}='{run}'", *overrides)
    config.run_dir = str(run / "out")
    found = find_run(run)
    groups = groups_of_run(config, *(["model"] if command == "evaluate" else []), "data")
    config = resolve(with_run_config(config, found, *groups))
    config.data = as_read_by(config.data, found)
    refuse_untrusted(config, str(run), groups, "checkpoint_trusted")
    return config


def loads(run: Path) -> object:
    """The reading of `assign`, `extract` and `odc_lightning.load`."""
    return load(run).training_images()


def evaluates(run: Path) -> object:
    config = config_of("evaluate", run, "trainer.accelerator=cpu")
    backbone = evaluate.build_backbone(config)
    network = evaluate.build_network(config, backbone, find_run(run), True)
    return evaluate.name_of(config, find_run(run)), network.clusters_of(["no such image"])


def clusters(run: Path) -> object:
    return read_clusters(find_run(run), config_of("clusters", run).data)


def reports(run: Path) -> object:
    page = run / "report.html"
    build_report(find_runs([run]), page, None)
    return page.read_text("utf-8")


def exports(run: Path) -> object:
    """The card, which needs the most of the config."""
    model = load(run)
    published = Published("timm", "resnet18", {}, {}, True)
    name, summary = str(model.run.config.name), _summary(model)
    facts = Facts(
        name, model.run.config, summary, published, {}, {}, 8, 16, model.num_clusters, 0.5, 16
    )
    return card(facts)


COMMANDS: tuple[Run, ...] = (loads, evaluates, clusters, reports, exports)


def trouble(command: Run, run: Path) -> str:
    """Empty if the command succeeds or is refused by this package in one line."""
    try:
        command(run)
    except ValueError as error:
        raised_by = [*traceback.walk_tb(error.__traceback__)][-1][0].f_globals["__name__"]
        is_ours = raised_by.startswith("odc_lightning") and "\n" not in str(error)
        return "" if is_ours else f"{raised_by}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def refusal(command: Run, run: Path) -> str:
    try:
        command(run)
    except ValueError as error:
        return str(error)
    return "not refused"


# Keys of the config and its parts, at every depth, that some command uses.
KEYS = (
    *("name", "seed", "data", "model", "algorithm", "trainer", "data.train", "data.root"),
    *("data._target_", "data.train._target_", "data.train.root", "data.image_size"),
    *("data.eval_transform", "data.eval_transform.transforms", "data.batch_size", "data.subset"),
    *("data.eval_transform.transforms.0.size", "data.train_transform.transforms.0.scale"),
    *("model.backbone", "model.backbone._target_", "model.backbone.width", "model.neck"),
    *("model.neck._partial_", "model.neck.out_features", "algorithm.num_clusters"),
    *("algorithm.samples_memory", "data.num_workers", "data.seed", "data.crop"),
)
VALUES = (None, [1], "abc", -3.5, 10**9, {"a": {"b": 1}})


def damaged_configs(text: str) -> Iterator[tuple[str, bytes]]:
    """Each key deleted, and with one of the other values in turn; the file cut or not YAML."""
    content = yaml.safe_load(text)
    for place, key in enumerate(KEYS):
        *parents, last = [int(name) if name.isdecimal() else name for name in key.split(".")]
        for kind in ("deleted", VALUES[place % len(VALUES)]):
            changed = copy.deepcopy(content)
            parent: Any = changed
            for name in parents:
                parent = parent[name]
            if kind == "deleted":
                del parent[last]
            else:
                parent[last] = kind
            yield f"{key}: {kind}", yaml.safe_dump(changed, sort_keys=False).encode()
    whole = text.encode()
    for share in range(1, 10):
        yield f"{share} of 10", whole[: share * len(whole) // 10]
    for place in range(7, len(whole), len(whole) // 12):
        yield f"byte {place}", whole[:place] + bytes([whole[place] ^ 0x14]) + whole[place + 1 :]
    for body in (b"", b"null", b"text", b"- 1\n- 2\n", b"\xff\xfe\x00", b"[" * 4000, b"a: [*b]"):
        yield repr(body[:9]), body
    yield "utf-16", text.encode("utf-16")


def test_every_damage_to_the_config_is_harmless_or_refused_in_one_line(run: Path) -> None:
    file = run / "config.yaml"
    troubles = {}
    for number, (name, body) in enumerate(damaged_configs(file.read_text("utf-8"))):
        file.write_bytes(body)
        command = COMMANDS[number % 5]
        if found := trouble(command, run):
            troubles[name, command.__name__] = found
    assert troubles == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_looked_up_that_a_strange_config_refers_to(
    run: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    OmegaConf.register_new_resolver("a_secret", asked.append, replace=True)
    file = run / "config.yaml"
    content = OmegaConf.load(file)
    texts = ("${a_secret:1}", r"\${a_secret:1}", "x ${a_secret:2}", "${data.image_size}")
    keys = ("name", "data.root", "model.backbone.sobel", "algorithm.note")
    for key, text in zip(keys, texts, strict=True):
        changed = copy.deepcopy(content)
        OmegaConf.update(changed, key, text, force_add=True)
        file.write_text(OmegaConf.to_yaml(changed), "utf-8")
        if command is reports:  # it shows the text as it is
            assert trouble(reports, run) == ""
        else:
            assert f"config.yaml: {key} would look up {text}" in refusal(command, run)
    OmegaConf.clear_resolver("a_secret")
    assert asked == []


def test_hydras_file_adds_references_that_lead_to_the_recorded_values_and_nothing_else(
    run: Path,
) -> None:
    """A folder that moved is given once, and its data set follows."""
    asked: list[str] = []
    OmegaConf.register_new_resolver("a_secret", asked.append, replace=True)
    recorded = OmegaConf.load(run / "config.yaml")
    written = copy.deepcopy(recorded)
    written.data.train.root = "${data.root}"
    written.data.name = "${a_secret:1}"
    written.data.crop = "${oc.decode:'[1,2]'}"
    written.data.seed = "${seed}"
    written.data.flip = "${data.image_size}"  # not what was recorded
    written.model.backbone["_target_"] = "os.system"
    (run / ".hydra").mkdir()
    (run / ".hydra" / "config.yaml").write_text(OmegaConf.to_yaml(written), "utf-8")
    config = config_of("evaluate", run, "+data.root=elsewhere", "seed=3", "+data.name=mine")
    assert (config.data.root, config.data.train.root) == ("elsewhere", "elsewhere")
    assert config.data.seed == 3
    for key in ("flip", "crop", "image_size", "batch_size"):
        assert config.data[key] == recorded.data[key]
    assert config.model.backbone == {**recorded.model.backbone}
    assert asked == []
    OmegaConf.clear_resolver("a_secret")
    (run / ".hydra" / "config.yaml").write_text("a: [", "utf-8")
    with pytest.raises(ValueError, match=r"\.hydra/config\.yaml cannot be read: .* in line 1"):
        config_of("evaluate", run, "+data.root=elsewhere")


FILES = {
    "index.csv": (loads, clusters, evaluates),
    "summary.json": (exports, reports),
}


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_in_what_a_run_keeps_is_not_passed_over(run: Path, name: str) -> None:
    file = run / name
    whole = file.read_bytes()
    digit = next(i for i in range(len(whole) - 1, 0, -1) if chr(whole[i]).isdigit())
    file.write_bytes(whole[:digit] + b"%d" % (9 - int(chr(whole[digit]))) + whole[digit + 1 :])
    for command in FILES[name]:
        assert f"{name} has changed since it was written" in refusal(command, run)
    (run / "SHA256SUMS").unlink()  # a run of an earlier version has none
    assert trouble(FILES[name][0], run) == ""


def test_one_changed_byte_in_a_checkpoint_is_not_passed_over(run: Path) -> None:
    file = run / "checkpoints" / "last.ckpt"
    with zipfile.ZipFile(file) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        content = archive.read(largest)
    whole = file.read_bytes()
    place = whole.index(content) + largest.file_size // 2
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    for command in (loads, clusters, evaluates):
        assert "the checksum of its part" in refusal(command, run)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.csv", b""),
        ("index.csv", b"index,path\n0\n"),
        ("index.csv", b"index,path\n0," + b"x" * 200_000),
        ("index.csv", b"\0\0\xff"),
        ("summary.json", b"[" * 100_000),
        ("summary.json", b"[1]"),
        ("summary.json", b'{"train_loss": "0.1"}'),
        ("summary.json", b"\xff"),
        ("metrics.csv", b"epoch,step,train/loss\n0,x,1\n"),
        ("metrics.csv", b"epoch,step,train/loss\n0\n,,3"),
        ("metrics.csv", b"\xff\xfe"),
    ],
)
def test_damaged_tables_of_a_run(run: Path, name: str, content: bytes) -> None:
    (run / "SHA256SUMS").unlink()
    (run / name).write_bytes(content)
    commands = (loads, clusters) if name == "index.csv" else (exports, reports)
    assert [trouble(command, run) for command in commands] == ["", ""]
