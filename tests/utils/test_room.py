"""Free RAM and disk space."""

import os
from pathlib import Path

import pytest

from odc_lightning.utils.room import available_ram, free_on_disk, reserve


def test_ram_is_what_kernel_and_container_leave(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert available_ram(meminfo) > 0  # not there
    meminfo.write_text("MemTotal:  32000 kB\nMemAvailable:  16000 kB\nBuffers: 1 kB\n")
    assert available_ram(meminfo, tmp_path) == 16_000 * 1024
    (tmp_path / "memory.current").write_text("3000000\n")
    for limit, expected in {"max": 16_384_000, "5000000": 2_000_000, "2000000": 0}.items():
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert available_ram(meminfo, tmp_path) == expected
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 1000000\nactive_file 7\n")
    assert available_ram(meminfo, tmp_path) == 3_000_000
    assert available_ram() > 0


def test_the_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    free = free_on_disk(tmp_path / "a" / "b")
    assert free == pytest.approx(os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize, 0.1)


def test_room_on_disk_is_taken(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        reserve(file.fileno(), 2**20)
        assert os.fstat(file.fileno()).st_size == 2**20
        assert os.fstat(file.fileno()).st_blocks * 512 >= 2**20
        with pytest.raises(OSError, match=r"space|large"):
            reserve(file.fileno(), 2**60)
