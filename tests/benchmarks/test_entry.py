"""``python -m benchmarks``: sections in processes of their own, their files, and the exit code."""

import json
import os
from pathlib import Path

import benchmarks.__main__ as entry
import pytest
from benchmarks.growth_figure import draw_growth
from benchmarks.peaks import peak_of
from benchmarks.terms import FIXED, read_terms

from benchmarks import sections
from helpers import section_probe
from helpers.paths import ROOT


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sections of which the first fails."""
    modules = {"broken": "helpers.section_that_fails", "sound": "helpers.section_probe"}
    for module in (sections, entry):
        monkeypatch.setattr(module, "SECTIONS", modules)


@pytest.mark.usefixtures("probe")
def test_a_section_that_fails_does_not_keep_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["--quick", "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert (tmp_path / "out" / "tables.md").read_text(encoding="utf-8") == printed
    assert "### Before it fails" in printed
    assert "Section broken failed: ZeroDivisionError: as it should" in printed
    assert "The figures have no meaning" in printed
    *_, last = printed.strip().splitlines()
    assert last == "| a ratio | 2 | 2.5 | met |"
    content = json.loads((tmp_path / "out" / "bench.json").read_text(encoding="utf-8"))
    assert content["machine"]["cores"] == os.cpu_count()
    assert content["settings"] == {"sections": ["broken", "sound"], "quick": True}
    assert list(content["failures"]) == ["broken"]
    assert content["targets"] == [
        {
            "section": "sound",
            "what": "a ratio",
            "measured": 2.0,
            "at_most": 2.5,
            "missing": "not measured: no GPU",
            "verdict": "met",
        }
    ]
    assert content["tables"][1]["rows"] == [[10, 1.0], [100, 2.0]]
    assert read_terms(content, "CPU")[FIXED] != os.getpid()
    assert (tmp_path / "out" / "growth.png").is_file()
    assert not draw_growth(content, "GPU", tmp_path / "none.png")


@pytest.mark.usefixtures("probe")
def test_one_section_alone_and_one_whose_process_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["sound", "--out", str(tmp_path)]) == 0
    assert "| a ratio | 3 | 2.5 | missed |" in capsys.readouterr().out
    assert entry.main(["broken", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "Section broken failed: its process ended with exit code 7" in printed


def test_no_such_section(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        entry.main(["nothing"])
    said = capsys.readouterr().err
    assert f"no section nothing; there are {', '.join(sections.SECTIONS)}" in said


def test_sections_are_there() -> None:
    for module in sections.SECTIONS.values():
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file()


def test_a_peak_is_what_the_work_takes_and_not_what_was_there_before() -> None:
    found = peak_of(section_probe.ten_megabytes)
    assert found.result == 2 * 10 * 2**17
    assert 0.9 < found.peak / (10 * 2**20) < 1.5
