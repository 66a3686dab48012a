"""The study of names from images to tables, with tiny networks, in this process."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scripts.named.data import write_labels
from scripts.named.scores import FILE
from scripts.named.study import FROZEN, NONE, Run, all_runs, main
from scripts.named.table import main as print_tables
from scripts.named.table import read_scores

from conftest import compose_command
from odc_lightning.data import digits
from odc_lightning.models import ConvNet
from odc_lightning.naming.label_table import read_label_table
from odc_lightning.train import train
from scripts.named import scores


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """26 training images and 10 test images of four digits each, and names of 3 and 5."""
    source = digits("train")
    assert source.labels is not None
    for label in range(4):
        rows = np.flatnonzero(source.labels == label)[:36].tolist()
        for split, part in (("train", rows[:26]), ("test", rows[26:])):
            folder = tmp_path / "images" / "digits" / split / str(label)
            folder.mkdir(parents=True)
            for index in part:
                source.load(index).resize((16, 16)).save(folder / f"{index:04}.png")
    write_labels(tmp_path / "images" / "digits", (3, 5), (0, 1))
    return tmp_path / "images"


def test_more_names_include_those_of_fewer(images: Path) -> None:
    tables = [
        read_label_table(images / "digits" / "labels" / f"{number}_{seed}.csv").images
        for number in (3, 5)
        for seed in (0, 1)
    ]
    assert [len(table) for table in tables] == [12, 12, 20, 20]
    assert tables[0].items() < tables[2].items()
    assert tables[0] != tables[1]
    assert all(image.startswith(f"{name}/") for image, name in tables[0].items())
    with pytest.raises(ValueError, match="has 26 images; expected 27"):
        write_labels(images / "digits", (27,), (0,))


def test_runs_are_trained_scored_and_tabulated(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    weights = tmp_path / "start.pth"
    torch.save(ConvNet(width=4).state_dict(), weights)
    done = []

    def in_process(words: Sequence[str], log: Path, threads: int) -> None:
        name, *given = words
        done.append(name)
        if name == "scripts.named.scores":
            scores.main(given)
            return
        (place,) = (each.partition("=")[2] for each in given if each.startswith("hydra.run.dir="))
        config = compose_command("train", *given)
        config.run_dir = place.strip("'")
        train(config)

    study = tmp_path / "study"
    words = [
        *(str(study), "--images", str(images), "--data", "digits", "--named", "3", "5"),
        *("--seeds", "0", "1", "--jobs", "1", "--settings", f"model.pretrained={weights}"),
        *("model=convnet", "model.backbone.width=4", "data.image_size=16", "trainer.max_epochs=1"),
        *("algorithm.num_clusters=10", "data.batch_size=16"),
    ]
    main(words, in_process)
    assert len(done) == 14
    main(words, in_process)
    assert len(done) == 14  # nothing is repeated
    found = read_scores(study)
    assert set(found) == set(all_runs(["digits"], (3, 5), (0, 1)))
    assert found[Run("digits", FROZEN, 0)]["start"].keys() == {"3_0", "5_0", "3_1", "5_1"}
    assert found[Run("digits", NONE, 1)]["kept"].keys() == {"3_1", "5_1"}
    named = found[Run("digits", "5", 1)]["last"]["5_1"]
    assert (named["num_named"], named["num_unnamed"]) == (20, 84)
    assert 0.25 < named["accuracy"] <= 1
    assert (study / "runs" / "digits" / "3" / "0" / FILE).is_file()
    capsys.readouterr()
    print_tables([str(study)])
    text = capsys.readouterr().out
    assert text.count(" ± ") == 32
    assert "| accuracy: adapted with names |" in text
