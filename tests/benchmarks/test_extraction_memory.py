"""The benchmark runs, and its versions agree; how much memory they take is nowhere looked at."""

import pytest

from benchmarks import extraction_memory


def test_it_prints_a_line_for_each_number_of_samples(capsys: pytest.CaptureFixture[str]) -> None:
    extraction_memory.main(["--samples", "600", "900", "--width", "32", "--dim", "8"])
    _, _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines] == ["600", "900"]


def test_versions_that_disagree_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction_memory, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="disagree"):
        extraction_memory.measure(extraction_memory.Size(300, 16, 4))


def test_a_peak_that_is_too_small_to_see_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extraction_memory, "measure", lambda _: {"ours": 0, "obvious": 5_000_000})
    extraction_memory.main(["--samples", "10", "--width", "4", "--dim", "2"])
    assert capsys.readouterr().out.splitlines()[-1].endswith("| 0 | 5 | – |")
