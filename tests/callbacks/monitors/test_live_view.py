"""The pictures of the live view, and a terminal's screen of it."""

import io
import math

import numpy as np
import pytest
from rich.console import Console

from odc_lightning.callbacks.monitors.live_view import History, LiveView, size_histogram, sparkline

SCREEN = """\
╭──────────────────────────────────────────────────────────╮
│ loss     █▇▆▅▅▄▃▂                          4.00 -> 0.50  │
│ switch   ▇▆▅▅▄▃▂▂                          0.80 -> 0.10  │
│ clusters ▆▆▃ ▃█▃       ▃                   0-40, 1 empty │
│ health   One cluster holds 34.1% of the samples, where … │
╰──────────────────────────────────────────────────────────╯
"""


class TestSparkline:
    def test_one_block_a_value(self) -> None:
        assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 20, 0, 7) == "▁▂▃▄▅▆▇█"
        assert sparkline([-5, 0.5, 99], 20, 0, 1, ".:*") == ".:*"
        assert sparkline([2, 2], 20, 2, 2) == "▁▁"
        assert sparkline([], 20, 0, 1) == ""

    def test_many_values_are_means_of_neighbours(self) -> None:
        assert sparkline([0, 0, 7, 7, 3, 5], 3, 0, 7) == "▁█▅"
        values = np.linspace(0, 1, 1000).tolist()
        line = sparkline(values, 60, 0, 1)
        assert (len(line), list(line)) == (60, sorted(line))

    def test_what_is_no_number_is_a_gap(self) -> None:
        assert sparkline([1, math.nan, 0, math.inf], 4, 0, 1) == "█ ▁ "


class TestHistogram:
    def test_beside_counting(self) -> None:
        """Sizes of one digit, at least a bar each."""
        sizes = [1, 1, 1, 1, 2, 2, 4]
        assert size_histogram(sizes, 20, "123456789") == "95 3"

    def test_bars_are_even_on_a_log_scale(self) -> None:
        sizes = [2**power for power in range(10)]
        assert size_histogram(sizes, 10) == "█" * 10

    def test_every_cluster_is_in_it(self) -> None:
        sizes = np.random.default_rng(0).integers(1, 500, 300).tolist()
        bars = size_histogram(sizes, 12)
        assert len(bars) == 12
        assert (bars[0] != " ", bars[-1] != " ") == (True, True)

    def test_equal_and_empty(self) -> None:
        assert size_histogram([19] * 76, 16) == "█"
        assert size_histogram([0, 0], 16) == ""


def test_a_history_is_of_the_whole_run() -> None:
    history = History(most=8)
    for value in range(101):
        history.add(float(value))
    assert (history.first, history.last) == (0, 100)
    assert history.values == [7.5, 23.5, 39.5, 55.5, 71.5, 87.5]  # of 16 each


def view(warning: str | None) -> LiveView:
    shown = LiveView()
    for step in range(8):
        metrics = {"train/loss": 4.0 - step / 2, "odc/label_switch_ratio": 0.8 - step / 10}
        shown.update(metrics, [0, 5, 5, 6, 6, 7, 10, 11, 11, 12, 13, 40], warning)
    return shown


def screen(shown: LiveView, width: int, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    console.print(shown)
    file.seek(0)
    return file.read()


def test_a_screen() -> None:
    warning = "One cluster holds 34.1% of the samples, where equal clusters would hold 8.33% each"
    assert screen(view(warning), 60) == SCREEN


@pytest.mark.parametrize("width", [40, 60, 100])
def test_it_fits(width: int) -> None:
    lines = screen(view("A warning that is longer than any terminal is wide. " * 9), width)
    (shown,) = {len(line) for line in lines.splitlines()}
    assert shown == min(width, 87)
    assert len(lines.splitlines()) == 6


def test_a_terminal_that_knows_no_unicode() -> None:
    text = screen(view(None), 60, "ascii")
    assert text.isascii()
    assert "no warnings" in text


def test_only_what_is_known_is_shown() -> None:
    assert screen(LiveView(), 60).strip() == ""
    shown = LiveView()
    shown.update({"train/loss": 1.0, "train/accuracy": 0.25})
    lines = screen(shown, 60).splitlines()
    assert [line.split()[1] for line in lines[1:-1]] == ["loss", "accuracy", "health"]
