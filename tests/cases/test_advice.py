"""Advice of messages: its figures are accepted, its keys exist, its words are right."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from conftest import Compose, compose_command
from helpers.odc_lines import run_line
from odc_lightning.callbacks.monitors.health_rules import dominant_cluster
from odc_lightning.cli.command import run_command
from odc_lightning.clustering import check_num_clusters
from odc_lightning.config import CONFIG_DIR
from odc_lightning.data.short_name import short_name
from odc_lightning.train import train
from odc_lightning.utils.text import quantity

SOURCE = Path(__file__).parents[2] / "src" / "odc_lightning"
GROUPS = "algorithm|callbacks|data|head_optimizer|model|optimizer|protocol|scheduler|train|trainer"
KEY = re.compile(rf"(?<![\w./@])(?:{GROUPS})(?:\.[a-z_]+[a-z])+(?![\w(])")


@pytest.mark.parametrize("num_samples", [2, 3, 40, 100, 1437, 10_000])
@pytest.mark.parametrize("threshold", [None, 0, 1, 20])
def test_the_advised_numbers_of_clusters_are_accepted(
    num_samples: int, threshold: int | None
) -> None:
    with pytest.raises(ValueError, match="expected at least 2 clusters") as refused:
        check_num_clusters(num_samples, 100_000, threshold)
    message = str(refused.value)
    figures = re.findall(r"(?:num_clusters=(\d+) \(|most (\d+)|up to (\d+))", message)
    advised = [int(figure) for found in figures for figure in found if figure]
    assert advised or message.endswith("threshold.") or "Add images" in message
    for figure in advised:
        check_num_clusters(num_samples, figure, threshold)
    assert ("small_clusters" in message) == (threshold is not None)
    assert "1 images" not in message


@pytest.mark.parametrize(("clusters", "most"), [(10_000, 68), (100, 68), (69, 68)])
def test_the_first_refusal_knows_the_last(
    clusters: int, most: int, compose_config: Compose
) -> None:
    """Whatever C is asked for, the figure is that of all checks together: 1,437 // 21."""
    given = (f"algorithm.num_clusters={clusters}", "algorithm.small_clusters.threshold=20")
    config = compose_config("experiment=odc_digits", *given)
    with pytest.raises(SystemExit, match=rf"at most {most}\. Try algorithm\.num_clusters=11 "):
        run_command(train, config)


def test_deepcluster_is_told_nothing_of_small_clusters(compose_config: Compose) -> None:
    config = compose_config("experiment=dc_quickstart", "algorithm.num_clusters=5000")
    with pytest.raises(SystemExit, match="with 1,437 images: expected at least 2") as refused:
        run_command(train, config)
    assert "small_clusters" not in str(refused.value)
    assert "threshold" not in str(dominant_cluster(900, 1000, 50, is_odc=False))


def test_one_thing_is_no_plural() -> None:
    assert [quantity(number, "group") for number in (0, 1, 2)] == [
        "0 groups",
        "1 group",
        "2 groups",
    ]
    assert quantity(1437, "image") == "1,437 images"


def test_counts_in_code_agree_with_their_noun() -> None:
    """A number in a message before a plural is 2 or more, or comes from `quantity`."""
    printed = re.compile(r"\{(?:len\(|num_)[^{}]*:,\} (?:groups|runs|folders)\b")
    assert [file.name for file in SOURCE.rglob("*.py") if printed.search(file.read_text())] == []


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"root": "/x/new photos", "name": None, "train": {}}, "new photos"),
        ({"root": None, "name": None, "train": {"path": "lists/spring.csv"}}, "spring"),
        ({"root": None, "name": "digits", "train": {}}, "digits"),
        ({"root": "/", "name": None, "train": {}}, "root"),
        ({"root": None, "name": None, "train": {}}, "images"),
    ],
)
def test_data_without_a_root_has_a_name(data: dict[str, object], name: str) -> None:
    assert short_name(OmegaConf.create(data)) == name


def test_extract_and_assign_name_their_folders(photos_run: Path, new_photos: Path) -> None:
    """A list of images is named after the list, not None."""
    listing = photos_run.parent / "spring.txt"
    images = sorted(new_photos.rglob("*.png"))[:3]
    listing.write_text("\n".join(map(str, images)), encoding="utf-8")
    line = ("data=file_list", f"data.train.path={listing}", "num_workers=0", "device=cpu")
    done = run_line("extract", str(photos_run), *line)
    assert done.code == 0, done.err
    assert (photos_run / "features" / "spring-embedding-parquet").is_dir()


def test_assign_speaks_of_its_own_keys(photos_run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"no image")
    options = ("num_workers=0", "device=cpu", "data.scan=full")
    for folder in ("nowhere", "bad"):
        done = run_line("assign", str(photos_run), str(tmp_path / folder), *options)
        assert done.code == 1
        assert "Traceback" not in done.err
        assert "train" not in done.err.replace(str(photos_run), "").replace(str(tmp_path), "")
        assert "data.root" not in done.err


def test_every_key_in_a_message_exists() -> None:
    keys = dict(known_keys())
    open_keys = [key for key, is_leaf in keys.items() if is_leaf]
    unknown = {
        (file.name, key)
        for file in SOURCE.rglob("*.py")
        for key in keys_in_messages(ast.parse(file.read_text(encoding="utf-8")))
        if key not in keys and not any(key.startswith(f"{each}.") for each in open_keys)
    }
    assert unknown == set()


def keys_in_messages(tree: ast.AST) -> Iterator[str]:
    """Config keys in the texts of errors and warnings."""
    for node in ast.walk(tree):
        is_warning = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "warning"
        if isinstance(node, ast.Raise) or is_warning:
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield from KEY.findall(part.value)


def known_keys() -> Iterator[tuple[str, bool]]:
    """Of all algorithms, all monitors, and some networks, data sets and loggers: null nodes too."""
    options = [path.stem for path in Path(CONFIG_DIR, "algorithm").glob("*.yaml")]
    lines: list[tuple[str, ...]] = []
    lines += [("train", f"algorithm={option}", "callbacks=online_probe") for option in options]
    lines += [("train", "model=timm", "data=file_list"), ("train", "model=resnet18")]
    lines += [("evaluate", "model=convnet", "data=image_folder")]
    for name, *overrides in lines:
        yield from flat(compose_command(name, *overrides), "")


def flat(node: DictConfig, prefix: str) -> Iterator[tuple[str, bool]]:
    """All keys, and whether each is a value: the parts of a null value are not known."""
    for key in map(str, node):
        plain = OmegaConf.is_missing(node, key) or OmegaConf.is_interpolation(node, key)
        child = None if plain else node[key]
        yield f"{prefix}{key}", not isinstance(child, DictConfig)
        if isinstance(child, DictConfig):
            yield from flat(child, f"{prefix}{key}.")


# Every value that must be given: command or experiment, what else it needs, the key.
REQUIRED = [
    ("train", ("experiment=finetune_odc", "data.root=x"), "model.pretrained"),
    ("train", ("experiment=finetune_dc", "data.root=x"), "model.pretrained"),
    ("train", ("experiment=finetune_odc_fashion_mnist",), "model.pretrained"),
    ("train", ("experiment=finetune_dc_fashion_mnist",), "model.pretrained"),
    ("train", ("model=timm",), "model.backbone.name"),
    ("train", ("algorithm=supervised",), "algorithm.num_clusters"),
    ("train", ("data=image_folder",), "data.root"),
    ("train", ("data=file_list",), "data.train.path"),
    (
        "train",
        (
            "algorithm=odc",
            "data=base",
        ),
        "data.root",
    ),
    ("train", ("algorithm=odc", "data=base", "data.root=x"), "data.batch_size"),
    (
        "train",
        ("algorithm=odc", "data=base", "data.root=x", "data.batch_size=2"),
        "data.image_size",
    ),
    ("assign", ("root=x", "--"), "run"),
    ("assign", ("run=x", "--"), "root"),
    ("extract", ("--",), "run"),
    ("export", ("--",), "run"),
    ("clusters", ("--",), "run"),
    ("evaluate", ("--",), "checkpoint"),
]


@pytest.mark.parametrize(("name", "line", "key"), REQUIRED)
def test_a_required_value_is_asked_for_by_name(
    name: str, line: tuple[str, ...], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("odc_lightning.cli.odc._refuse_forgotten", lambda name, words: None)
    message = run_line(name, *line).error
    assert re.match(rf"no value for {re.escape(key)}; add {re.escape(key)}=\.\.\.", message)


def test_every_required_value_of_the_configs_is_tried() -> None:
    """The table above has each key with ??? in any file, and ??? is not laid over a value."""
    tried = {key for _, _, key in REQUIRED}
    for file in Path(CONFIG_DIR).rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r"^ *(\w+): \?\?\?", text, re.M):
            assert any(key.rpartition(".")[2] == name for key in tried), (file, name)
            is_group = file.parent.name in ("pretrained", "model", "algorithm", "data")
            assert is_group or file.parent == Path(CONFIG_DIR), (file, name)
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        for _, line, key in [each for each in REQUIRED if each[0] == "train"]:
            assert OmegaConf.is_missing(*_node(compose("train", [*line]), key))


def _node(config: DictConfig, key: str) -> tuple[DictConfig, str]:
    group, _, name = key.rpartition(".")
    return OmegaConf.select(config, group), name
