"""From a run to names: the served page in a browser, then tables, folders and new images."""

import csv
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import write_photos
from helpers.browser_page import Page
from helpers.chromium import needs_chromium, opened
from helpers.processes import run_python
from odc_lightning.cli.odc import translated
from odc_lightning.naming import read_given_names

pytest.importorskip("selenium.webdriver", reason="the browser tests need selenium")
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = needs_chromium
NAMES = {0: "zero & co", 1: "été", 2: "été"}


def odc(name: str, *words: str, cwd: Path) -> str:
    """What a command prints."""
    done = run_python("-m", f"odc_lightning.{name}", *translated(name, words), cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def served(name: str, *words: str, cwd: Path) -> Iterator[str]:
    """The address that a command serves until it is interrupted."""
    command = [sys.executable, "-m", f"odc_lightning.{name}", *translated(name, words)]
    with subprocess.Popen(
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        # A shell starts jobs in the background with Ctrl-C ignored, and so are their children's.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as server:
        assert server.stdout is not None
        try:
            line = next(line for line in server.stdout if line.startswith("http"))
            found = re.match(r"(http://127\.0\.0\.1:\d+/\S*) saves names in (.*)\. Stop", line)
            assert found is not None
            assert found[2].endswith("/run/labels.json")
            yield found[1]
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
        finally:
            server.kill()  # else a failed test would wait for ever


def test_names_from_the_browser_to_new_images(photos_run: Path, tmp_path: Path) -> None:
    labels = photos_run / "labels.json"
    serving = (str(photos_run), "serve=true", "port=0")
    try:
        with served("clusters", *serving, cwd=tmp_path) as address, opened(1280, 900) as browser:
            page = Page(browser, tmp_path, address)
            for cluster, name in NAMES.items():
                page.open(f"/cluster/{cluster}").press("n")
                page.press(name, Keys.ENTER)
                page.wait_for("h1", name)
            page.open("/cluster/3").press("r")
            WebDriverWait(browser, 10).until(lambda _: 3 in saved(labels))
        given = read_given_names(labels)
        assert given.clusters == {**NAMES, 3: None}
        assert given.run == str(photos_run)

        next_round = (*serving, "next=5", "hydra.run.dir=next")
        with served("label", *next_round, cwd=tmp_path) as address, opened(1280, 900) as browser:
            assert address.endswith("#/next")
            page = Page(browser, tmp_path, address.removesuffix("#/next")).open("/next")
            page.all(".tile")[0].send_keys("n")
            page.press("by hand", Keys.ENTER)
            image = page.all(".tile")[0].get_attribute("title")
            WebDriverWait(browser, 10).until(lambda _: image in read_given_names(labels).images)
        printed = odc("label", str(photos_run), "next=5", cwd=tmp_path)
        assert re.search(
            r"\d+ of 200 images named \(1 by hand, \d+ by their cluster, .*\), 3 names", printed
        )
        (out,) = (tmp_path / "outputs" / "labels").iterdir()
        with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        by_name = Counter(row["label"] for row in rows if row["source"] == "cluster")
        assert set(by_name) == {"zero & co", "été", ""}
        assert (out / "page" / "data" / "next.js").is_file()

        into = tmp_path / "named"
        words_of_sorting = (str(photos_run), f"sort_into={into}", "dry_run=false")
        odc("label", *words_of_sorting, "hydra.run.dir=sorting", cwd=tmp_path)
        assert sorted(path.name for path in into.iterdir()) == [
            "by hand",
            "sorted.csv",
            "zero & co",
            "été",
        ]

        write_photos(tmp_path / "ten new", "val", 10)
        out = tmp_path / "assigned"
        new = ("ten new", f"labels={labels}", f"out={out}", "num_workers=0", "sure=0.5")
        odc("assign", str(photos_run), *new, cwd=tmp_path)
        with (out / "assigned.csv").open(newline="", encoding="utf-8") as file:
            assert {row["label"] for row in csv.DictReader(file)} <= {
                "by hand",
                "zero & co",
                "été",
                "",
            }
    finally:
        labels.unlink(missing_ok=True)  # other tests use the run


def saved(labels: Path) -> dict[int, str | None]:
    """Names of clusters in a file that is being written."""
    return read_given_names(labels).clusters if labels.is_file() else {}
