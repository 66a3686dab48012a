"""The program's own output is never among the images, wherever it is written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from conftest import compose_command, composer
from helpers.made_up_run import groups, write_images, write_run
from helpers.odc_lines import run_line
from odc_lightning.assign import assign
from odc_lightning.clusters import clusters
from odc_lightning.data import image_folder
from odc_lightning.data.files.outputs import is_output
from odc_lightning.export import export
from odc_lightning.extract import extract

NAMES = [f"img_{number:03d}.png" for number in range(40)]
SMALL = (
    *("trainer.accelerator=cpu", "data.num_workers=0", "model.backbone.width=4"),
    *("callbacks=cluster_media", "data.image_size=16"),
)


def odc_train(folder: Path, *words: str) -> str:
    """`odc train` in a folder, as a user types it; returns what it printed."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        done = run_line("train", *words, *SMALL)
    assert done.code == 0, done.err
    return done.out + done.err


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photographs in which `odc train .` was run."""
    folder = tmp_path_factory.mktemp("home") / "photos"
    folder.mkdir()
    for name in NAMES:
        pixels = np.random.default_rng(NAMES.index(name)).integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    printed = odc_train(folder, ".", "trainer.max_epochs=1", "hydra.run.dir=outputs/mine")
    assert "40 images in 13 clusters" in printed
    run = folder / "outputs" / "mine"
    assert (run / "curves.png").is_file()
    assert list((run / "contact_sheets").glob("*.png"))
    return folder


def test_every_command_works_on_the_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder than that of the training, to which its data.root is relative."""
    run = photos / "outputs" / "mine"
    monkeypatch.chdir(tmp_path)
    (photos / "new").mkdir()
    for name in NAMES[:3]:
        shutil.copy(photos / name, photos / "new")
    assigned = assign(compose_command("assign", f"run={run}", f"root={photos / 'new'}"))
    shutil.rmtree(photos / "new")
    assert len((assigned / "assigned.csv").read_text().splitlines()) == 4
    # Tables, an export and a page in the folder of the photographs.
    features = extract(compose_command("extract", f"run={run}", f"out={photos / 'features'}"))
    network = export(
        compose_command("export", f"run={run}", f"out={photos / 'network'}", "onnx=false")
    )
    page = composer(photos, "clusters")(f"run={run}", run="page")
    clusters(page)
    assert (photos / "page" / "contact_sheet.png").is_file()
    source = image_folder(str(photos))
    assert source.names == NAMES
    assert str(source.passed_over) == "4 folders with output of odc_lightning left out"
    for folder in (features, network, photos / "page"):
        shutil.rmtree(folder)


def test_it_resumes_with_the_photographs_only(photos: Path) -> None:
    again = ("trainer.max_epochs=2", "hydra.run.dir=outputs/mine", "train.resume=auto")
    assert "40 images in 13 clusters" in odc_train(photos, ".", *again)
    index = (photos / "outputs" / "mine" / "index.csv").read_text().splitlines()
    assert [line.partition(",")[2] for line in index[1:]] == NAMES


def test_a_run_in_the_very_folder_of_the_photographs(photos: Path, tmp_path: Path) -> None:
    """What `hydra.run.dir=.` gives."""
    folder = tmp_path / "photos"
    shutil.copytree(photos / "outputs" / "mine", folder)
    assert (folder / "curves.png").is_file()
    for name in NAMES:
        shutil.copy(photos / name, folder)
    assert image_folder(str(folder)).names == NAMES


def test_sorted_images_are_copies_unless_they_are_asked_for(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    features, labels = groups(12, 3)
    write_images(tmp_path / "photos", names)
    run = write_run(tmp_path / "trained", tmp_path / "photos", names, features, labels)
    out = tmp_path / "sorted"
    clusters(composer(tmp_path, "clusters")(f"run={run}", f"sort_into={out}", "dry_run=false"))
    above = image_folder(str(tmp_path))
    assert above.names == sorted(f"photos/{name}" for name in names)
    assert image_folder(str(out), labels_from_folder=True).class_names == [
        "cluster_0",
        "cluster_1",
        "cluster_2",
    ]
    assert len(image_folder(str(out / "cluster_0"))) == (labels == 0).sum()


def test_what_hydra_records_of_our_commands_is_recognised(photos: Path, tmp_path: Path) -> None:
    """A run that was refused has nothing but Hydra's record; so has a sweep at its start."""
    for name in ("refused", "sweep"):
        (tmp_path / name).mkdir()
    hydra = photos / "outputs" / "mine" / ".hydra"
    shutil.copytree(hydra, tmp_path / "refused" / ".hydra")
    shutil.copy(hydra / "hydra.yaml", tmp_path / "sweep" / "multirun.yaml")
    assert is_output(tmp_path / "refused", {".hydra"})
    assert is_output(tmp_path / "sweep", {"multirun.yaml"})


def test_output_of_other_programs_is_not_ours(tmp_path: Path) -> None:
    """Pictures that another program with Hydra made, a user's config, facts and tables."""
    made = OmegaConf.create({"hydra": {"runtime": {"cwd": "/home/me/odc_lightning"}}})
    (tmp_path / "made" / ".hydra").mkdir(parents=True)
    OmegaConf.save(made, tmp_path / "made" / ".hydra" / "hydra.yaml")
    OmegaConf.save(made, tmp_path / "made" / "multirun.yaml")
    OmegaConf.save(OmegaConf.create({"run_dir": "x"}), tmp_path / "made" / "config.yaml")
    for name in ("facts.json", "config.json"):
        (tmp_path / "made" / name).write_text(json.dumps({"model": "other"}))
    (tmp_path / "made" / "sorted.csv").write_text("name,size\n")
    (tmp_path / "made" / "page").mkdir()
    write_images(tmp_path / "made", ["1.png", "page/2.png", "curves.png"])
    names = image_folder(str(tmp_path)).names
    assert names == ["made/1.png", "made/curves.png", "made/page/2.png"]
