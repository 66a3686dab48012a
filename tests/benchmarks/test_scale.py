"""Against values computed by hand."""

import json
from pathlib import Path

import pytest
from benchmarks.terms import Size

from benchmarks import scale, terms

SIZE = Size(10**8, 10_000, 256, 512)
KNOWN = {name: 10.0 ** -(number + 9) for number, name in enumerate(terms.ALL)}


def test_bytes_that_every_rank_holds() -> None:
    parts = scale.replicated(SIZE, 64, 4)
    assert parts == {
        "features": 102_400_000_000,
        "labels": 800_000_000,
        "centroids and sums": 30_720_000 + 130_000,
        "similarities of a step": 8 * 10_000 * 4,
    }
    assert scale.replicated(SIZE, 64, 2)["features"] == 51_200_000_000
    assert scale.checkpoint_bytes(SIZE, 4) == 102_400_000_000 + 800_000_000 + 30_850_000


def test_it_counts_what_a_memory_has() -> None:
    from odc_lightning.memory import ClusterMemory

    state = ClusterMemory(1000, 10, 8).state_dict()
    held = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    assert scale.checkpoint_bytes(Size(1000, 10, 8, 4), 4) == held


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (100, []),
        (60, ["features"]),  # 80 / 4 + 12 + 8 = 40
        (40, ["features"]),
        (39, ["features", "labels"]),  # 20 + 3 + 8 = 31
        (25, ["features", "labels", "sums"]),  # 20 + 3 + 2
        (24, None),
    ],
)
def test_what_would_have_to_be_sharded(room: int, expected: list[str] | None) -> None:
    assert scale.to_shard({"labels": 12, "features": 80, "sums": 8}, room, 4) == expected


def test_time_and_traffic() -> None:
    found = scale.cost(KNOWN, SIZE, 4)
    assert found.traffic == 384 * (256 * 4 + 16)
    assert found.step == pytest.approx(
        KNOWN[terms.PRODUCT] * 2 * 128 * 10_000 * 256
        + KNOWN[terms.ROWS] * 512 * 256 * 4 * 2
        + KNOWN[terms.REFRESH] * 10_000 * 256 * 4 / 10
        + KNOWN[terms.RANKS] * 384 * 1040
        + KNOWN[terms.SIMILARITIES] * 128 * 10_000
        + KNOWN[terms.NUMBERS] * 512 * 256
        + KNOWN[terms.FIXED]
    )
    assert found.kmeans == pytest.approx(KNOWN[terms.KMEANS] * 2e8 * 10_000 * 256 * 21)
    assert found.sharing == pytest.approx(KNOWN[terms.RANKS] * 102.4e9 * 3 / 4)
    assert scale.cost(KNOWN, SIZE, 1).sharing == 0


@pytest.mark.parametrize("clusters", [10_000, None])
@pytest.mark.parametrize("feature_bytes", [4, 2])
def test_the_largest_number_of_samples_just_fits(clusters: int | None, feature_bytes: int) -> None:
    def held(samples: int) -> int:
        number = clusters or samples // 128
        size = Size(samples, number, 256, 512)
        return sum(scale.replicated(size, 8, feature_bytes).values())

    most = scale.largest_samples(256, 512, clusters, 8, 80e9, feature_bytes)
    assert held(most) <= 80e9 < held(most + 128)


def test_the_page_is_printed_from_a_report_and_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bench.json"
    rows = [[name, value] for name, value in KNOWN.items() if name != terms.KMEANS]
    table = {"title": "Measured terms, GPU", "columns": ["term", "measured"], "rows": rows}
    path.write_text(json.dumps({"tables": [table]}), encoding="utf-8")
    with pytest.raises(
        SystemExit, match=r"'K-Means, seconds a flop' is not known: measure it with"
    ):
        scale.main([str(path), "--on", "GPU"])
    scale.main([str(path), "--on", "GPU", "--term", f"{terms.KMEANS}=1e-12", "--ranks", "1", "2"])
    printed = capsys.readouterr().out
    assert printed.count("### ") == 4
    assert "| 1,000,000,000 | 10,000 |" in printed
    assert "| 1,000,000,000 | 7,812,500 |" in printed
    assert "no room, even if all is" in printed
    assert "| K-Means, seconds a flop | 1e-12 |" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/file.json"], "no/such/file.json is not a file; `make bench` writes"),
        (["--term", "speed=1"], "--term 'speed=1': expected one of product"),
    ],
)
def test_says_what_it_cannot_compute_with(arguments: list[str], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        scale.main(arguments)
