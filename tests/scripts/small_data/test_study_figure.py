from pathlib import Path

import pytest
from PIL import Image
from scripts.small_data.study_figure import draw_study

SEEDS = [[75.0, 66.0, 81.0, 40.0], [76.0, 67.0, 82.0, 44.0]]


def test_each_change_is_a_row(tmp_path: Path) -> None:
    few, many = tmp_path / "few.png", tmp_path / "many.png"
    draw_study({"same": SEEDS, "more": [[77.0, 68.0, 83.0, 50.0]]}, "same", few)
    changes = {f"change_{number}": [[70.0 + number, 66.0, 80.0, 40.0]] for number in range(20)}
    draw_study({"same": SEEDS, **changes}, "same", many)
    with Image.open(few) as one, Image.open(many) as other:
        assert one.width == other.width
        assert other.height > 2 * one.height
        colours = {colour for _, colour in other.convert("RGB").getcolors(2**20) or []}
    assert {(0, 114, 178), (213, 94, 0)} <= colours  # better, and worse


def test_a_change_is_held_against_what_a_seed_does(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same has 1 evaluations; expected two"):
        draw_study({"same": SEEDS[:1], "more": SEEDS[1:]}, "same", tmp_path / "x.png")
