"""One GPU for each process; none of these tests needs one."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from odc_lightning.sweeps import devices
from odc_lightning.sweeps.devices import jobs_at_a_time, take_device, visible_devices


def test_which_there_are() -> None:
    assert visible_devices({}, 3) == ["0", "1", "2"]
    assert visible_devices({}, 0) == []
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "2, 5"}, 8) == ["2", "5"]
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "GPU-8f,MIG-1"}, 8) == ["GPU-8f", "MIG-1"]
    assert visible_devices({"CUDA_VISIBLE_DEVICES": ""}, 8) == []
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "-1"}, 8) == []
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "3,-1,2"}, 8) == ["3"]
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "3,2,3"}, 8) == []


def test_how_many_jobs_run_at_a_time() -> None:
    assert jobs_at_a_time(-1, ["0", "1", "2"]) == 3
    assert jobs_at_a_time(2, ["0", "1", "2"]) == 2
    assert jobs_at_a_time(-1, []) == -1
    assert jobs_at_a_time(40, []) == 40
    with pytest.raises(ValueError, match=r"n_jobs=3 with 2 GPU\(s\).*expected 2 or less"):
        jobs_at_a_time(3, ["0", "1"])


def test_a_process_takes_one_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_held", [])
    environ = {"CUDA_VISIBLE_DEVICES": "4,5"}
    assert take_device(tmp_path, environ) == "4"
    assert environ == {"CUDA_VISIBLE_DEVICES": "4"}
    assert take_device(tmp_path, environ) is None
    assert environ == {"CUDA_VISIBLE_DEVICES": "4"}
    held = devices._held
    monkeypatch.setattr(devices, "_held", [])  # as another process
    assert take_device(tmp_path, environ := {"CUDA_VISIBLE_DEVICES": "4,5"}) == "5"
    assert environ == {"CUDA_VISIBLE_DEVICES": "5"}
    for lock in (*held, *devices._held):
        lock.release()
    monkeypatch.setattr(devices, "_held", [])
    assert take_device(tmp_path, {"CUDA_VISIBLE_DEVICES": ""}) is None


def take(folder: Path, taken: Any, last: bool) -> None:
    device = take_device(folder, {"CUDA_VISIBLE_DEVICES": "0,1,2"})
    taken.put(str(device))
    time.sleep(0 if last else 60)


def test_no_two_living_processes_have_the_same(tmp_path: Path) -> None:
    """A killed one gives its own back; one that finds none waits."""
    context = multiprocessing.get_context("fork")
    taken = context.SimpleQueue()
    first = [context.Process(target=take, args=(tmp_path, taken, False)) for _ in range(3)]
    for process in first:
        process.start()
    assert sorted(taken.get() for _ in first) == ["0", "1", "2"]
    fourth = context.Process(target=take, args=(tmp_path, taken, True))
    fourth.start()
    time.sleep(0.2)
    assert taken.empty()
    first[1].kill()
    assert taken.get() in ("0", "1", "2")
    fourth.join()
    for process in first:
        process.kill()
        process.join()
