"""Which clusters and members are shown, beside a slow search, and what the pictures hold."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import ArraySource
from odc_lightning.reporting.figures import (
    ClusterRow,
    choose_rows,
    draw_sheet,
    draw_strips,
    read_rows,
)
from odc_lightning.reporting.figures.cluster_rows import Order
from odc_lightning.reporting.figures.cluster_sheet import GAP, MARGIN, MARK, _font, broken
from odc_lightning.reporting.figures.curves import GREEN, ORANGE
from odc_lightning.reporting.figures.thumbnails import placeholder

SIDE = 32
LONG = (
    "a breed of dog that somebody has described at length, and then some more, and more",
    "Donaudampfschifffahrtsgesellschaftskapitän" * 3,
    "line\nbreaks\tand \udcff what is no text",
)


def slow_rows(
    labels: np.ndarray[Any, Any],
    distances: np.ndarray[Any, Any],
    order: Order,
    rows: int,
    columns: int,
    classes: np.ndarray[Any, Any] | None,
    least: int,
) -> list[tuple[Any, ...]]:
    """As `choose_rows` says it."""
    members = {c: [i for i in range(len(labels)) if labels[i] == c] for c in sorted(set(labels))}
    mean = {c: sum(distances[i] for i in of_it) / len(of_it) for c, of_it in members.items()}
    large = [c for c in members if len(members[c]) >= least] or list(members)
    ordered = sorted(large, key=lambda c: -len(members[c]) if order == "size" else mean[c])
    places = [int(k * (len(ordered) - 1) / max(1, rows - 1)) for k in range(rows)]
    chosen = ordered if len(ordered) <= rows else [ordered[place] for place in places]
    found = []
    for c in chosen:
        nearest = sorted(members[c], key=lambda i: distances[i])[:columns]
        known = [] if classes is None else sorted(classes[i] for i in members[c] if classes[i] >= 0)
        shares = [(k, count / len(known)) for k, count in Counter(known).most_common(2)]
        found.append((c, len(members[c]), pytest.approx(mean[c]), nearest, shares))
    return found


def as_tuples(rows: list[ClusterRow]) -> list[tuple[Any, ...]]:
    return [(*row[:3], row.members.tolist(), list(row.classes)) for row in rows]


class TestRows:
    @pytest.mark.parametrize("order", ["size", "tightness"])
    @pytest.mark.parametrize("least", [1, 5, 1000])
    @pytest.mark.parametrize("rows", [1, 3, 7, 100])
    def test_beside_a_slow_search(self, order: Order, least: int, rows: int) -> None:
        rng = np.random.default_rng(rows)
        labels = rng.integers(0, 40, 300) ** 2 // 40  # unequal, some numbers without images
        distances = rng.random(300).round(1)  # some are equal
        classes = rng.integers(-1, 4, 300)
        for given in (classes, None):
            found = choose_rows(labels, distances, order, rows, 6, given, least)
            expected = slow_rows(labels, distances, order, rows, 6, given, least)
            assert as_tuples(found) == expected

    def test_what_is_chosen_is_bounded(self) -> None:
        rows = choose_rows(np.arange(5000) % 1000, np.zeros(5000), "size", 12, 3)
        assert len(rows) == 12
        assert {len(row.members) for row in rows} == {3}

    def test_from_tight_to_loose(self) -> None:
        labels = np.array([0, 0, 2, 3, 4, 5])
        rows = choose_rows(labels, np.array([0.3, 0.3, 0.1, 0.5, 0.2, 0.4]), "tightness", 3, 9)
        assert [row.cluster for row in rows] == [2, 0, 3]

    def test_words(self) -> None:
        one, two = choose_rows(np.array([1, 0, 1]), np.array([0.5, 0.25, 0.125]), "size", 9, 9)[
            ::-1
        ]
        assert one.caption == "cluster 0: 1 image, mean distance 0.25"
        assert two.caption == "cluster 1: 2 images, mean distance 0.31"

    def test_a_cluster_is_pure_from_nine_in_ten_on(self) -> None:
        classes = np.array([*[1] * 9, 0, *[1] * 8, 0, 0])
        rows = choose_rows(np.repeat([0, 1], 10), np.arange(20.0), "tightness", 9, 9, classes)
        assert [row.is_pure for row in rows] == [True, False]
        assert not rows[0]._replace(classes=()).is_pure


class TestTable:
    CELLS = (
        # index, cluster, distance
        *((i, 0, 0.1 * (5 - i)) for i in range(5)),  # class 0 but for one
        *((i, 1, 0.9) for i in range(5, 8)),  # too few
        *((i, 2, 0.05) for i in range(8, 13)),
    )
    CLASSES = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, -1])

    def table(self, folder: Path, cells: Any = CELLS) -> Path:
        lines = [f"{i},digits/{i},{cluster},{distance}" for i, cluster, distance in cells]
        path = folder / "clusters.csv"
        path.write_text("\n".join(["index,path,cluster,distance", *lines]))
        return path

    @pytest.mark.parametrize("backwards", [False, True])
    def test_rows_of_a_run(self, tmp_path: Path, backwards: bool) -> None:
        table = self.table(tmp_path, self.CELLS[::-1] if backwards else self.CELLS)
        tight, loose = read_rows(table, self.CLASSES, rows=2, columns=4)
        assert (tight.cluster, tight.size, tight.classes) == (2, 5, ((2, 1.0),))
        assert (loose.cluster, loose.members.tolist()) == (0, [4, 3, 2, 1])
        assert loose.classes == ((0, 0.8), (1, 0.2))

    def test_without_classes_and_with_small_clusters_alone(self, tmp_path: Path) -> None:
        rows = read_rows(self.table(tmp_path), None, rows=9, columns=6)
        assert [row.cluster for row in rows] == [2, 0, 1]
        assert all(row.classes == () for row in rows)

    def test_without_images(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="has no images; expected that of a finished run"):
            read_rows(self.table(tmp_path, ()), None, rows=9, columns=6)


def colours(number: int, side: int = 8) -> ArraySource:
    """Image i is of the shade i all over."""
    pixels = np.arange(number, dtype=np.uint8)[:, None, None, None]
    return ArraySource(np.tile(pixels, (1, side, side + 6, 3)), "colours")


def found_at(sheet: Image.Image, part: Image.Image) -> list[tuple[int, int]]:
    """Where a picture is in another one."""
    whole, wanted = np.asarray(sheet), np.asarray(part)
    height, width = wanted.shape[:2]
    first = np.argwhere((whole == wanted[0, 0]).all(axis=2))
    return [
        (int(x), int(y))
        for y, x in first
        if np.array_equal(whole[y : y + height, x : x + width], wanted)
    ]


class TestPictures:
    @pytest.mark.parametrize("own_side", [8, SIDE, 200])
    def test_every_member_is_at_its_place(self, own_side: int) -> None:
        source = colours(9, own_side)
        labels = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2])
        rows = choose_rows(labels, np.arange(9.0)[::-1].copy(), "size", 9, 3)
        strips = draw_strips(source, rows, SIDE)
        assert {strip.size for strip in strips} == {(3 * SIDE + 2 * GAP, SIDE)}
        for row, strip in zip(rows, strips, strict=True):
            pixels = np.asarray(strip)
            for column in range(3):
                left = column * (SIDE + GAP)
                shade = row.members[column] if column < len(row.members) else 255
                assert (pixels[:, left : left + SIDE] == shade).all()
                assert (pixels[:, left + SIDE : left + SIDE + GAP] == 255).all()

    @pytest.mark.parametrize("classes", [None, np.array([0, 1, 1, 0, 1, 1, 1, 0, 2])])
    @pytest.mark.parametrize("side", [SIDE, 96])
    def test_every_strip_is_on_the_sheet_once_and_below_the_one_before(
        self, classes: np.ndarray[Any, Any] | None, side: int
    ) -> None:
        labels = np.array([0, 0, 0, 0, 1, 2, 2, 2, 2])
        rows = choose_rows(labels, np.arange(9.0), "tightness", 9, 3, classes)
        strips = draw_strips(colours(9), rows, side)
        sheet = draw_sheet(rows, strips, LONG)
        places = [found_at(sheet, strip) for strip in strips]
        assert [len(place) for place in places] == [1, 1, 1]
        (x, y), *others = [place[0] for place in places]
        before = x - GAP - (0 if classes is None else MARK + GAP)
        assert (np.asarray(sheet)[y:, before : before + GAP] == 255).all()  # no text goes on there
        for left, top in others:
            assert left == x
            assert top >= y + side + GAP
            y = top

    def test_nothing_reaches_into_the_margin(self) -> None:
        """Neither with long names, nor where there is one image and a legend."""
        for number, names in ((40, LONG), (1, None)):
            classes = np.arange(number) // 7 % 3
            rows = choose_rows(np.arange(number) // 10, np.zeros(number), "size", 9, 12, classes)
            sheet = np.asarray(draw_sheet(rows, draw_strips(colours(40), rows, SIDE), names))
            assert min(sheet.shape[:2]) > 2 * MARGIN
            inner = sheet[MARGIN:-MARGIN, MARGIN:-MARGIN]
            assert (inner < 255).sum() == (sheet < 255).sum()

    def test_marks_and_legend_tell_pure_clusters_from_others(self) -> None:
        rows = [
            ClusterRow(0, 2, 0.5, np.array([0]), ((0, 1.0),)),
            ClusterRow(1, 2, 0.5, np.array([1]), ((0, 0.5), (1, 0.5))),
            ClusterRow(2, 2, 0.5, np.array([2])),
        ]
        strips = draw_strips(colours(3), rows, 64)
        with_classes = draw_sheet(rows, strips)
        for colour in (GREEN, ORANGE):
            rgb = Image.new("RGB", (5, 64), colour)
            assert len(found_at(with_classes, rgb)) == 1  # the mark
            assert len(found_at(with_classes, rgb.resize((13, 13)))) == 1  # the legend's
        plain = np.asarray(draw_sheet(rows[2:], strips[2:]))
        assert (np.ptp(plain.astype(int), axis=2) < 20).all()  # shades of grey

    def test_no_cluster(self) -> None:
        with pytest.raises(ValueError, match="no clusters to draw; expected at least one"):
            draw_sheet([], draw_strips(colours(1), [], SIDE))

    def test_an_image_that_cannot_be_loaded_is_crossed_out(self) -> None:
        class Broken(ArraySource):
            def load(self, index: int) -> Image.Image:
                raise OSError("truncated")

        row = ClusterRow(0, 1, 0.5, np.array([0]))
        (strip,) = draw_strips(Broken(np.zeros((1, 8, 8), np.uint8), "broken"), [row], SIDE)
        assert np.array_equal(np.asarray(strip), np.asarray(placeholder(SIDE)))


class TestText:
    @pytest.mark.parametrize("text", [*LONG, "x" * 10_000, "short", "two words", " a  b "])
    @pytest.mark.parametrize("most", [1, 3])
    def test_lines_are_as_wide_as_there_is_room(self, text: str, most: int) -> None:
        lines = broken(text, 13, 120, most)
        assert 1 <= len(lines) <= most
        assert all(_font(13).getlength(line) <= 120 for line in lines)
        shown = "".join(lines).replace(" ", "").removesuffix("…")
        whole = "".join(text.encode("utf-8", "replace").decode().split())
        assert whole.startswith(shown)
        assert shown == whole or lines[-1].endswith("…")

    def test_words_stay_whole_where_they_can(self) -> None:
        text = "the quick brown fox jumps over the lazy dog"
        assert " ".join(broken(text, 13, 120, 9)) == text
