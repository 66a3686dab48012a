"""Names from the outside on terminals, in logs, in tables and on other file systems."""

import csv
import io
import logging
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

import odc_lightning
from helpers.made_up_run import groups, write_images, write_run
from odc_lightning.checkpoints import TrainingRun
from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.cli.command import run_command
from odc_lightning.config import CONFIG_DIR
from odc_lightning.data import FileSource, file_list, image_folder, scan_images
from odc_lightning.data.scan import without_problems
from odc_lightning.hub.card import Facts, card
from odc_lightning.hub.library_weights import Published
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.cluster_page.sorting import cluster_folders, plan_sorting, sort_images
from odc_lightning.reporting.report_page.find_runs import WARNING
from odc_lightning.reporting.tables import evaluation_table, print_evaluation
from odc_lightning.runs.csv_files import write_clusters, write_index_table
from odc_lightning.sweeps.jobs import mark_failed
from odc_lightning.utils.log_format import PrintableFormatter
from odc_lightning.utils.tables import as_cell, from_cell, read_table, table_writer

FORGED = "[1999-01-31 12:00:00][odc_lightning.train][WARNING] - all is well"
# An escape sequence, a forged line, text that runs backwards, a control character of 8 bits.
EVIL = f"\x1b[2J\x1b]0;title\x07\n{FORGED}\u202egnp.exe\x9b31m\r.png"
COMMANDS = ("train", "evaluate", "clusters", "assign", "extract", "export", "search")


def assert_safe(text: str) -> None:
    """No character acts on a terminal, and no line begins as a line of a log."""
    lines = text.split("\n")
    assert all(line.isprintable() for line in lines), text
    assert not any(line.startswith("[1999") for line in lines[1:]), text
    text.encode("utf-8")


@pytest.fixture
def photos(tmp_path: Path) -> FileSource:
    names = [EVIL, os.fsdecode(b"caf\xe9\x1b[31m.png"), "good.png"]
    write_images(tmp_path / "photos", names)
    for name in names[:2]:
        (tmp_path / "photos" / name).write_bytes(b"")
    return FileSource(tmp_path / "photos", names)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_logs_with_the_formatter(command: str) -> None:
    given = {"search": ["trials=odc_digits"], "evaluate": ["checkpoint=x"]}.get(command, [])
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        config = compose(command, given, return_hydra_config=True)
    formatters = config.hydra.job_logging.formatters
    assert {each["class"].rpartition(".")[2] for each in formatters.values()} == {
        PrintableFormatter.__name__
    }


def test_names_cannot_forge_lines_of_a_log(photos: FileSource) -> None:
    formatter = PrintableFormatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s")
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    log = logging.getLogger("odc_lightning.data.scan")
    log.addHandler(handler)
    try:
        problems = scan_images([photos.path(index) for index in range(3)])
        assert len(without_problems(photos, problems, "skip")) == 1
        log.warning("cannot read %s", photos.path(0))
        try:
            raise OSError(EVIL)
        except OSError:
            log.exception("failed")
    finally:
        log.removeHandler(handler)
    text = stream.getvalue()
    assert_safe(text)
    assert r"caf\xe9\x1b[31m.png: empty file" in text
    assert r"\x1b[2J\x1b]0;title\x07" in text
    assert len(WARNING.findall(text)) == 2  # as the report reads it
    assert len(re.findall("(?m)^\\[", text)) == 3


@pytest.mark.parametrize("what", ["list", "scan", "load"])
def test_names_in_errors_are_escaped(photos: FileSource, what: str) -> None:
    def task(config: DictConfig) -> None:
        if what == "list":
            file_list(f"/nowhere/{EVIL}")
        elif what == "load":
            photos.load(0)
        else:
            without_problems(photos, scan_images([photos.path(0), photos.path(1)]), "raise")

    GlobalHydra.instance().clear()
    with pytest.raises(SystemExit) as ended:
        run_command(task, OmegaConf.create())
    text = str(ended.value.code)
    assert text.startswith("error: ")
    assert r"\x1b[2J\x1b]0;title\x07" in text
    assert r"\u202egnp.exe\x9b31m\r.png" in text
    assert_safe(text)


def test_commands_report_errors_by_one_function() -> None:
    package = Path(odc_lightning.__file__).parent
    raw = re.compile(r'(sys\.exit|print)\(\s*f"error|sys\.exit\(\s*str\(')
    assert [path for path in package.rglob("*.py") if raw.search(path.read_text("utf-8"))] == []


def test_a_failed_job_keeps_a_safe_note(tmp_path: Path) -> None:
    mark_failed(tmp_path, ValueError(f"cannot decode {EVIL}"))
    assert_safe((tmp_path / "failed.txt").read_text("utf-8"))


def test_names_of_networks_on_a_terminal_and_in_markdown() -> None:
    evaluation = Evaluation(
        f"{EVIL}| [x](y) <b>`",
        f"{EVIL}.ckpt",
        "convnet",
        "my \x1b[31mdata",
        [Score("knn", "pooled", "top1", 0.5, "k=20")],
        {"svm": f"failed: {EVIL}"},
    )
    stream = io.StringIO()
    print_evaluation([evaluation], Console(file=stream, width=400))
    assert_safe(stream.getvalue())
    text = evaluation_table([evaluation])
    assert_safe(text)
    assert r"\| \[x\](y) \<b>\`" in text


def test_names_on_a_model_card() -> None:
    published = Published("timm", "x\x1b[0m](http://a)", {}, {}, True)
    summary: Any = {"targets": "clusters", "num_samples": 2, "train_loss": None, "knn_top1": None}
    summary |= {
        "untrained": {},
        "nmi": None,
        "wall_seconds": None,
        "versions": {"torch": "1 | <b>"},
    }
    config = OmegaConf.create({"seed": 0, "trainer": {"max_epochs": 1}, "data": {}})
    name = "run\n---\n# other <script>alert(1)</script> [a](b)"
    text = card(Facts(name, config, summary, published, {}, {}, 8, 16, None, None, 4))
    assert_safe(text)
    assert "\n# run --- # other \\<script>alert(1)\\</script> \\[a\\](b)\n" in text
    assert text.count("\n---\n") == 1
    assert "| versions | torch 1 \\| \\<b> |" in text


# --- tables

FORMULAS = ("=SUM(1).png", "+1.png", "-a.png", "@eaDir/x.png", "\tx.png", "\rx.png", "\n=x.png")
OTHERS = ("a=b.png", "./a.png", ".png", "", "1-2.png", os.fsdecode(b"caf\xe9.png"), 'x, "y".png')


@pytest.mark.parametrize(
    "name", [*FORMULAS, *OTHERS, "./=x.png", "././-x.png", ".//=x", "-1", "-1_0"]
)
def test_a_cell_is_the_name_again(name: str) -> None:
    assert from_cell(as_cell(name)) == name
    assert Path("/root") / as_cell(name) == Path("/root") / name


def test_no_cell_of_a_name_starts_as_a_formula(tmp_path: Path) -> None:
    names = [*FORMULAS, *OTHERS]
    write_index_table(tmp_path / "index.csv", names)
    labels = torch.arange(len(names))
    write_clusters(tmp_path / "clusters.csv", names, labels, -0.5 * labels.double())
    for table in ("index.csv", "clusters.csv"):
        with (tmp_path / table).open(newline="", errors="surrogateescape") as file:
            rows = list(csv.DictReader(file))
        cells = [row["path"] for row in rows]
        assert cells == [f"./{name}" for name in FORMULAS] + list(OTHERS)
        assert read_table(tmp_path / table, "path") == [(name,) for name in names]
    assert [float(row["distance"]) for row in rows] == [-0.5 * label for label in range(len(rows))]
    assert TrainingRun(tmp_path, tmp_path).image_names() == names


def test_names_written_by_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("index,path\r\n0,=SUM(1).png\r\n1,-a.png\r\n")
    assert TrainingRun(tmp_path, tmp_path).image_names() == ["=SUM(1).png", "-a.png"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index;path\r\n0;a.png\r\n", "has no column path, but 'index;path'"),
        ("index,path\r\n0,a.png\r\n1\r\n", "line 3: 1 cells, expected 2"),
        ("", "has no column path"),
    ],
)
def test_a_table_that_a_spreadsheet_changed_is_named(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "index.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"index\.csv.*{message}"):
        TrainingRun(tmp_path, tmp_path).image_names()


def test_keys_of_a_checkpoint_and_numbers_as_text(tmp_path: Path) -> None:
    rows = [Row("=cmd|' /C calc'!A0", None, None, "dropped")]
    Conversion("other", {}, rows).write_csv(tmp_path / "pretrained.csv")
    assert_safe(Conversion("other", {}, [Row(EVIL, None, None, "dropped")]).table())
    assert "\r\n./=cmd|" in (tmp_path / "pretrained.csv").read_bytes().decode()
    with table_writer(tmp_path / "numbers.csv", ("a", "b", "c")) as write:
        write([("-0.25", "+1e-3", "-nan"), (-1, -0.5, None)])
    text = (tmp_path / "numbers.csv").read_bytes().decode()
    assert text == "a,b,c\r\n-0.25,+1e-3,-nan\r\n-1,-0.5,\r\n"


# --- folders


def test_names_that_some_file_system_takes_for_one(tmp_path: Path) -> None:
    accents = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    names = ["same.png", "a/SAME.png", "b/Same.PNG", *accents, "c/SAME~2.png", "x.", "d/x"]
    write_images(tmp_path / "photos", names)
    source = FileSource(tmp_path / "photos", names)
    plan = plan_sorting(source, len(names) * ["cluster_0"], tmp_path / "out", "copy")
    targets = [target.name for _, target in plan.entries]
    expected = ["same.png", "SAME~2.png", "Same~3.PNG", accents[0], "", "SAME~2~2.png", "x.", "x~2"]
    expected[4] = f"{unicodedata.normalize('NFD', 'é')}~2.png"
    assert targets == expected
    sort_images(plan)
    for original, target in plan.entries:
        assert (plan.folder / target).read_bytes() == original.read_bytes()


def test_no_file_is_ever_overwritten(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", ["a.png", "b.png"])
    source = FileSource(tmp_path / "photos", ["a.png", "b.png"])
    plan = plan_sorting(source, 2 * ["cluster_0"], tmp_path / "out", "copy")
    plan.entries[1] = (plan.entries[1][0], plan.entries[0][1])  # as if the disk took both for one
    with pytest.raises(ValueError, match="exists already"):
        sort_images(plan)
    made = tmp_path / "out" / "cluster_0" / "a.png"
    assert made.read_bytes() == (tmp_path / "photos" / "a.png").read_bytes()


def test_odd_names_go_through_a_run(tmp_path: Path) -> None:
    names = ["line\nbreak.png", 'semi;colon,"q".png', "=SUM(1).png", "<b>x&y.png", "trail .PNG"]
    names = sorted([*names, os.fsdecode(b"caf\xe9.png"), "sub/plain.png"])
    root = tmp_path / "photos"
    write_images(root, names)
    (root / "sub" / "loop").symlink_to(root)
    (root / "._plain.png").write_bytes(b"\0\5\x16\7")
    source = image_folder(str(root))
    assert source.names == names
    features, labels = groups(len(names), 2)
    folder = write_run(tmp_path / "run", root, names, features, labels)
    write_index_table(folder / "index.csv", names)
    run = TrainingRun(folder, folder / "checkpoints" / "last.ckpt")
    assert run.image_names() == names
    plan = plan_sorting(source, cluster_folders(labels), tmp_path / "sorted", "copy")
    sort_images(plan)
    originals = read_table(plan.folder / "sorted.csv", "original")
    assert [Path(original) for (original,) in originals] == [
        (root / name).resolve() for name in names
    ]
    # The run's table is itself a list of its images.
    assert file_list(str(folder / "index.csv"), str(root)).names == names
