"""``python -m benchmarks.gpu``: the dry run of each section, its files and its exit code."""

import importlib
import json
from pathlib import Path

import benchmarks.gpu.__main__ as entry
import pytest
import torch
from benchmarks.gpu import drive, sections
from benchmarks.gpu.one_rank import SeveralAlone
from benchmarks.gpu.rows import DRY_RUN, NO_ROOM, Row, attempt, tables
from benchmarks.gpu.sections import SECTIONS, Section

from helpers.paths import ROOT


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_the_dry_run_of_a_section(name: str) -> None:
    threads = torch.get_num_threads()
    rows = list(importlib.import_module(SECTIONS[name].module).measure(dry_run=True))
    assert rows
    assert [f"{row.name}: {row.failure}" for row in rows if row.failure] == []
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.distributed.is_initialized()
    for table in tables(rows, dry_run=True):
        assert {row[1] for row in table.rows} == {DRY_RUN}


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """One section that fails, one that takes too long, and one that succeeds."""
    known = {
        "broken": Section("helpers.gpu_section_that_fails", 60, alone=True),
        "long": Section("helpers.gpu_section_that_waits", 4),
        "sound": Section("helpers.gpu_section", 60),
    }
    for module in (sections, drive, entry):
        monkeypatch.setattr(module, "SECTIONS", known)


@pytest.mark.usefixtures("probe")
def test_sections_fail_by_themselves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["--dry-run", "--out", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("Dry run on the CPU: it says nothing about a GPU.\n")
    assert "long: it was ended after 4 s" not in printed
    assert "  failed: it was ended after 4 s\n" in printed
    content = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert content["dry_run"] is True
    assert list(content["failures"]) == ["broken", "long"]
    by_name = {section["name"]: section for section in content["sections"]}
    assert list(by_name) == ["broken", "long", "sound"]
    assert by_name["broken"]["rows"][0]["name"] == "before it fails"
    assert by_name["broken"]["failure"].endswith("ZeroDivisionError: as it should")
    assert has_ended(by_name["long"]["rows"][0]["values"]["pid"])  # what the section had started
    text = (tmp_path / "tables.md").read_text(encoding="utf-8")
    assert "**Dry run on the CPU**" in text
    assert "Section broken failed: ZeroDivisionError: as it should" in text
    assert f"| a row | {DRY_RUN} |" in text
    assert (tmp_path / "sound.log").read_text(encoding="utf-8").startswith("said by the section")


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or nobody has asked for its exit code yet."""
    stat = Path(f"/proc/{pid}/stat")
    return (
        not stat.is_file() or stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    )


@pytest.mark.usefixtures("probe")
def test_a_section_alone_and_no_such_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry.main(["sound", "--dry-run", "--out", str(tmp_path)]) == 0
    with pytest.raises(SystemExit):
        entry.main(["nothing"])
    assert "no section nothing; there are broken, long, sound" in capsys.readouterr().err


@pytest.mark.usefixtures("probe")
def test_nothing_is_started_when_the_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drive, "TOTAL_SECONDS", 1)
    outcomes = list(drive.drive(["broken", "sound"], True, tmp_path))
    assert [each.failures for each in outcomes] == [["no time was left for it"]] * 2


def test_rows_fail_by_themselves() -> None:
    def without_room() -> dict[str, str]:
        raise torch.cuda.OutOfMemoryError("2 GB")

    assert attempt("t", "full", without_room).values == {"": NO_ROOM}  # type: ignore[arg-type]
    assert attempt("t", "so", lambda: {"equal": True}, must=["equal"]).failure is None
    differs = attempt("t", "not so", lambda: {"equal": False, "ms": 2.0}, must=["equal"])
    assert differs == Row("t", "not so", {"equal": False, "ms": 2.0}, "must be true: equal")
    failed = attempt("t", "broken", lambda: {"x": 1 / 0})
    assert failed.failure == "ZeroDivisionError: division by zero"
    (table,) = tables([differs, failed], dry_run=False)
    assert table.columns == ("", "equal", "ms", "failed")
    assert table.rows == [
        ("not so", "no", 2.0, "failed: must be true: equal"),
        ("broken", None, None, "failed: ZeroDivisionError: division by zero"),
    ]


def test_a_rank_that_counts_as_several_is_one() -> None:
    alone = SeveralAlone(1)
    assert alone > 1
    assert alone != 1
    assert not alone == 1  # noqa: SIM201  # the operator itself
    assert list(range(alone)) == [0]
    assert not alone > 2


def test_sections_are_there_and_fit_into_the_time() -> None:
    for section in SECTIONS.values():
        assert (ROOT / f"{section.module.replace('.', '/')}.py").is_file()
    timed = sum(section.seconds for section in SECTIONS.values() if section.alone)
    others = [section.seconds for section in SECTIONS.values() if not section.alone]
    assert timed + max(others) < drive.TOTAL_SECONDS
