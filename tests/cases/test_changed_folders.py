"""A run's folder of images that has changed since: photographs came, went, or moved."""

import csv
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from conftest import compose_command, composer
from helpers.made_up_run import groups, write_images, write_run
from odc_lightning import load
from odc_lightning.assign import assign
from odc_lightning.clusters import clusters
from odc_lightning.evaluate import evaluate
from odc_lightning.export import export
from odc_lightning.extract import extract

CLASSES = "+data.train.labels_from_folder=true"


@pytest.fixture
def run(photos_run: Path, tmp_path: Path) -> Path:
    """A copy of the run, with a copy of its 200 photographs in a folder of its own."""
    made = shutil.ignore_patterns("reference", "assigned", "features", "export")
    shutil.copytree(photos_run, tmp_path / "trained", ignore=made)
    photos = tmp_path / "photos"
    shutil.copytree(photos_run.parent / "my photos", photos)
    for file in (tmp_path / "trained").rglob("config.yaml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(str(photos_run.parent / "my photos"), str(photos)), "utf-8")
    return tmp_path / "trained"


def names_of(run: Path) -> list[str]:
    with (run / "index.csv").open(newline="", encoding="utf-8") as file:
        return [row["path"] for row in csv.DictReader(file)]


def neighbours(run: Path, images: Path, *settings: str) -> list[str]:
    """The nearest training image of each of the images."""
    words = (f"run='{run}'", f"root='{images}'", "neighbours=1", "num_workers=0", *settings)
    table = pq.read_table(assign(compose_command("assign", *words)) / "assigned.parquet")
    found: list[str] = table["neighbour_1"].to_pylist()
    return found


def evaluated(run: Path, tmp_path: Path, *settings: str) -> dict[str, float]:
    config = composer(tmp_path, "evaluate", features_dir=str(tmp_path / "features"))(
        f"checkpoint='{run}'", "protocol=clustering", "protocol.clustering.restarts=1", *settings
    )
    return {
        f"{score.layer}/{score.metric}": score.value
        for score in evaluate(config).scores
        if score.layer == "run"
    }


def test_photographs_came(
    run: Path, photos_run: Path, new_photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One like the others, one that is damaged, one in no class folder."""
    names, photos = names_of(run), tmp_path / "photos"
    before = evaluated(run, tmp_path, CLASSES)
    assert set(before) == {
        f"run/{metric}" for metric in ("nmi", "ami", "ari", "purity", "accuracy")
    }
    Image.new("RGB", (16, 16), "red").save(photos / "0 first.png")
    (photos / Path(names[0]).parent / "0 damaged.png").write_bytes(b"no image")
    assert load(run).reference.names == names
    assert neighbours(run, new_photos) == neighbours(photos_run, new_photos)
    out = extract(compose_command("extract", f"run='{run}'", "num_workers=0"))
    assert pq.read_table(out / "features.parquet")["path"].to_pylist() == names
    assert evaluated(run, tmp_path, CLASSES) == before
    export(compose_command("export", f"run='{run}'", "onnx=false"))
    assert (run / "export" / "model.safetensors").is_file()
    assert "left out" not in caplog.text


def test_photographs_went(
    run: Path, new_photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names, photos = names_of(run), tmp_path / "photos"
    for row in (3, 17):
        (photos / names[row]).unlink()
    rest = [name for row, name in enumerate(names) if row not in (3, 17)]
    out = extract(compose_command("extract", f"run='{run}'", "num_workers=0"))
    assert pq.read_table(out / "features.parquet")["path"].to_pylist() == rest
    assert f"left out: {names[3]} (missing), {names[17]} (missing). If they have" in caplog.text
    assert set(neighbours(run, new_photos)) <= set(rest)
    assert evaluated(run, tmp_path, CLASSES)["run/nmi"] > 0
    for row in (3, 17):
        Image.new("RGB", (16, 16)).save(photos / names[row])
    with pytest.raises(ValueError, match="differs in training_images; choose"):
        neighbours(run, new_photos)


def test_photographs_moved(
    run: Path,
    new_photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every command takes `images=`, and says so."""
    names, moved = names_of(run), tmp_path / "elsewhere"
    (tmp_path / "photos").rename(moved)
    commands = {
        "extract": lambda *more: extract(
            compose_command("extract", f"run='{run}'", "num_workers=0", *more)
        ),
        "evaluate": lambda *more: evaluated(run, tmp_path, CLASSES, *more),
        "clusters": lambda *more: clusters(
            composer(tmp_path, "clusters")(f"run='{run}'", *more, run="page")
        ),
        "load": lambda *more: load(run, images=moved if more else None).reference,
    }
    for name, command in commands.items():
        with pytest.raises(ValueError, match="add images=FOLDER"):
            command()
        command(f"images='{moved}'")
        shutil.rmtree(run / "reference", ignore_errors=True)
        assert name
    capsys.readouterr()
    assert load(run, images=moved).reference.names == names
    # Another folder has none of them.
    with pytest.raises(ValueError, match=r"none of the run's 200 images was found.*images=FOLDER"):
        commands["clusters"](f"images='{new_photos.parent}'")


def test_a_list_that_lost_its_place(tmp_path: Path) -> None:
    """The names of `data=file_list` are in index.csv, whatever became of the list."""
    names = [f"{number}.jpg" for number in range(12)]
    features, labels = groups(12, 3)
    write_images(tmp_path / "photos", names)
    listing = tmp_path / "photos" / "list.txt"
    listing.write_text("".join(f"{name}\n" for name in names))
    run = write_run(tmp_path / "trained", tmp_path / "photos", names, features, labels)
    config = composer(tmp_path, "clusters")
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(
        text.replace("odc_lightning.data.image_folder", "odc_lightning.data.file_list")
        .replace(f"root: {tmp_path / 'photos'}", "root: null")
        .replace("labels_from_folder: false", f"path: {listing}")
    )
    listing.write_text("".join(f"{name}\n" for name in ["new.jpg", *reversed(names)]))
    clusters(config(f"run={run}", run="page"))
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    clusters(config(f"run={run}", f"images={tmp_path / 'elsewhere'}", run="moved"))
    for page in ("page", "moved"):
        overview = (tmp_path / page / "page" / "data" / "overview.js").read_text()
        assert '"problems":0' in overview
