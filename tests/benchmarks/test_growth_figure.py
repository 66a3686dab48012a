from pathlib import Path
from typing import Any

from benchmarks.axes import FLOOR_MS, OBVIOUS_MS, STEP_MS, axis_title
from benchmarks.growth_figure import draw_growth
from PIL import Image

LINES = {(0, 114, 178): STEP_MS, (213, 94, 0): OBVIOUS_MS, (107, 107, 107): FLOOR_MS}


def report(*columns: str, axes: tuple[str, ...] = ("samples",)) -> dict[str, Any]:
    rows = [[10, *(2.0 + n for n in range(len(columns)))], [1000, *[9.0] * len(columns)]]
    lacking = [10_000_000, "not measured: needs 99.0 GB", *[None] * (len(columns) - 1)]
    return {
        "tables": [
            {"title": axis_title(name, "CPU"), "columns": ["x", *columns], "rows": [*rows, lacking]}
            for name in axes
        ]
    }


def colours(path: Path) -> set[object]:
    with Image.open(path) as image:
        found = image.convert("RGB").getcolors(2**20) or []
    return {colour for number, colour in found if number > 100}  # fewer are edges of letters


def test_every_line_that_was_measured_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "growth.png"
    for columns in ([STEP_MS], [STEP_MS, FLOOR_MS], [STEP_MS, FLOOR_MS, OBVIOUS_MS]):
        assert draw_growth(report(*columns), "CPU", path)
        drawn = {name for colour, name in LINES.items() if colour in colours(path)}
        assert drawn == set(columns)


def test_each_axis_is_a_panel(tmp_path: Path) -> None:
    one, five = tmp_path / "one.png", tmp_path / "five.png"
    draw_growth(report(STEP_MS), "CPU", one)
    draw_growth(report(STEP_MS, axes=("samples", "clusters", "dim", "batch", "ranks")), "CPU", five)
    with Image.open(one) as few, Image.open(five) as many:
        assert many.width == 3 * few.width
        assert many.height > 1.5 * few.height


def test_nothing_is_drawn_of_a_device_that_was_not_measured(tmp_path: Path) -> None:
    assert not draw_growth(report(STEP_MS), "GPU", tmp_path / "growth.png")
    assert not (tmp_path / "growth.png").exists()
