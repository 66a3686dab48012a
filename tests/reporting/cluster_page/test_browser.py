"""The page in a real browser, opened from the disk as a user opens it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.browser_page import Page
from helpers.chromium import needs_chromium, opened
from helpers.made_up_run import HOSTILE, centroids_of, groups, made_up, write_images
from odc_lightning.data import FileSource
from odc_lightning.reporting.cluster_page import PageSettings, build_cluster_page
from odc_lightning.reporting.cluster_page.measures import measure
from odc_lightning.runs.clustered_images import ClusteredImages

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser tests need selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened(1280, 800) as browser:
        yield browser


@pytest.fixture(scope="module")
def with_classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClusteredImages, Path]:
    clustered = made_up(330, 70)
    clustered.source.class_names = ["boot", "bag", "coat"]
    folder = tmp_path_factory.mktemp("page")
    build_cluster_page(clustered, folder, PageSettings("noise"))
    return clustered, folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs under names of all kinds, one of them twice and one gone."""
    folder = tmp_path_factory.mktemp("hostile")
    names = (*HOSTILE, *(f"plain {number}.jpg" for number in range(12)), "copy.jpg", "gone.jpg")
    write_images(folder / "photos", names)
    shutil.copy(folder / "photos" / "plain 3.jpg", folder / "photos" / "copy.jpg")
    (folder / "photos" / "gone.jpg").unlink()
    features, labels = groups(len(names), 3)
    source = FileSource(folder / "photos", names)
    clustered = ClusteredImages(source, labels, features, centroids_of(features, labels))
    build_cluster_page(clustered, folder / "page", PageSettings("photos"))
    return folder / "page"


@pytest.fixture(autouse=True)
def _without_errors_in_the_console(browser: Any) -> Iterator[None]:
    browser.get_log("browser")
    yield
    assert browser.get_log("browser") == []


def test_overview_sort_and_a_cluster(
    browser: Any, with_classes: tuple[ClusteredImages, Path]
) -> None:
    clustered, folder = with_classes
    page = Page(browser, folder).open()
    assert "330" in page.wait_for(".figures").text
    cards = page.all(".card")
    assert len(cards) == 60  # the others come when one scrolls
    assert re.match(
        r"Cluster \d+: 5 images, tightness \d\.\d\d, \d+ % (boot|bag|coat)",
        cards[0].get_attribute("aria-label"),
    )
    alt = page.all(".card img")[0].get_attribute("alt")
    assert alt.startswith("the images nearest to the centroid of cluster")
    browser.execute_script("scrollTo(0, document.body.scrollHeight)")
    WebDriverWait(browser, 10).until(lambda _: len(page.all(".card")) == 70)

    tightness = measure(clustered).distance
    mean = [float(tightness[clustered.labels == cluster].mean()) for cluster in range(70)]
    page.wait_for("#sort").send_keys("Tightness")
    tightest = min(range(70), key=lambda cluster: mean[cluster])
    WebDriverWait(browser, 10).until(
        lambda _: page.all(".card")[0].get_attribute("data-cluster") == str(tightest)
    )
    page.all(".card")[0].click()
    page.wait_for("h1", f"Cluster {tightest}")
    members = sorted(
        (distance, index)
        for index, distance in enumerate(tightness.tolist())
        if clustered.labels[index] == tightest
    )
    shown = [e.get_attribute("aria-label") for e in page.all("main > .grid .picture")]
    assert shown == [
        f"image noise/{index}, cluster {tightest}, distance {distance:.2f}"
        for distance, index in members
    ]
    assert page.is_drawn(page.all("main > .grid .picture")[0])
    assert len(page.all(".near .card")) == 6

    page.all("main > .grid .tile")[1].click()
    assert f"noise/{members[1][1]}" in page.wait_for("#viewer h2").text
    page.press(Keys.ARROW_RIGHT)
    page.wait_for("#viewer h2", f"noise/{members[2][1]}")
    assert page.wait_for("#viewer dl").text.count("\n") == 11  # six facts
    page.press(Keys.ESCAPE)
    WebDriverWait(browser, 10).until(lambda _: not page.all("#viewer[open]"))
    page.press(Keys.ESCAPE)
    page.wait_for(f'.card[data-cluster="{tightest}"]')
    # back where one was
    WebDriverWait(browser, 10).until(
        lambda _: page.focused.get_attribute("data-cluster") == str(tightest)
    )


def test_keys_alone(browser: Any, with_classes: tuple[ClusteredImages, Path]) -> None:
    page = Page(browser, with_classes[1]).open()
    order = [card.get_attribute("data-cluster") for card in page.all(".card")]
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert page.focused.get_attribute("data-cluster") == order[1]
    page.press(Keys.ENTER)
    page.wait_for("h1", f"Cluster {order[1]}")
    page.press("]")
    page.wait_for("h1", f"Cluster {order[2]}")
    page.press("[")
    page.wait_for("h1", f"Cluster {order[1]}")
    page.press("/", "boot")
    page.wait_for("h1", "boot")
    page.wait_for(".lead", "Clusters by number, name or class")
    page.press(Keys.ARROW_DOWN, Keys.ENTER)
    page.wait_for("h1", "Cluster")
    before = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    page.press("t")
    after = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert before != after
    page.open("/map")  # the page keeps it
    kept = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert kept == after
    page.press("t")
    assert before == browser.execute_script(
        "return getComputedStyle(document.body).backgroundColor"
    )


def test_search_finds_clusters_and_images(
    browser: Any, with_classes: tuple[ClusteredImages, Path]
) -> None:
    clustered, folder = with_classes
    page = Page(browser, folder).open()
    page.press("/", "noise/17")
    page.wait_for(".part", "11 images")  # 17 and 170 to 179
    names = {e.get_attribute("title") for e in page.all(".tile")}
    assert names == {"noise/17", *(f"noise/{number}" for number in range(170, 180))}
    for tile in page.all(".tile"):
        index = int(tile.get_attribute("title").removeprefix("noise/"))
        label = tile.find_element(By.CLASS_NAME, "picture").get_attribute("aria-label")
        assert f"cluster {clustered.labels[index]}," in label
    page.press(Keys.ESCAPE)
    page.wait_for(".card")
    page.press("/", "12")
    page.wait_for("h2", "1 cluster")
    assert page.all(".card")[0].get_attribute("data-cluster") == "12"
    page.press(Keys.ESCAPE)
    page.press("/", "no such thing")
    page.wait_for(".lead", "No cluster has this number, name or class")


def test_map_outliers_and_the_words(
    browser: Any, with_classes: tuple[ClusteredImages, Path]
) -> None:
    page = Page(browser, with_classes[1]).open("/map")
    canvas = page.wait_for("canvas")
    box = canvas.rect
    # somewhere there is a point
    for step in range(-10, 11):
        webdriver.ActionChains(browser, duration=0).move_to_element_with_offset(
            canvas, int(step * box["width"] / 24), int(step * box["height"] / 60)
        ).perform()
        if page.all(".hover:not([hidden])"):
            break
    assert "Cluster" in page.wait_for(".hover").text
    assert page.is_drawn(page.all(".hover .picture")[0])
    cluster = page.all(".hover b")[0].text
    webdriver.ActionChains(browser).click().perform()
    page.wait_for("h1", cluster)
    page.open("/outliers")
    assert len(page.all(".tile")) == 200
    last = page.all(".tile .picture")[-1]
    browser.execute_script("arguments[0].scrollIntoView()", last)
    assert page.is_drawn(last)
    page.open("/about")
    assert "Outlier score" in page.wait_for(".prose").text


def test_hostile_names_are_text_and_originals_are_shown(browser: Any, photos: Path) -> None:
    page = Page(browser, photos).open()
    page.press("/", ".jpg")
    page.wait_for(".part", "21 images")
    # The driver knows no lone surrogates.
    read = "return [...document.querySelectorAll('.tile')].map((each) => each.title.toWellFormed())"
    titles = browser.execute_script(read)
    for name in HOSTILE:
        assert name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") in titles
    for number, tile in enumerate(page.all(".tile")):
        if "gone" in titles[number]:
            continue
        browser.execute_script("arguments[0].click()", tile)
        image = page.wait_for("#viewer .whole img")
        # the picture itself, of 48 by 32 pixels, under whatever name
        assert browser.execute_script("return arguments[0].naturalWidth", image) == 48
        page.press(Keys.ESCAPE)
        WebDriverWait(browser, 10).until(lambda _: not page.all("#viewer[open]"))


def test_duplicates_and_what_is_gone(browser: Any, photos: Path) -> None:
    page = Page(browser, photos).open("/duplicates")
    (group,) = page.all(".group")
    assert "2 alike" in group.text
    titles = {tile.get_attribute("title") for tile in page.all(".tile")}
    assert titles == {"plain 3.jpg", "copy.jpg"}
    page.open("/problems")
    (row,) = page.all("tbody tr")
    assert "gone.jpg" in row.text
    assert "1 image could not be loaded" in page.wait_for(".lead").text
    page.open("/cluster/999")
    page.wait_for(".empty", "There is no image in a cluster 999.")
    page.open("/search/%")
    page.wait_for("h1", "%")
    overview = page.open("/").wait_for("h1").text
    for name in ("constructor", "toString", "valueOf"):  # what every object of JavaScript has
        assert page.open(f"/{name.lower()}").wait_for("h1").text == overview
        assert browser.execute_script(f"return page.views['{name}'] === undefined")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_without_scrolling_sideways(
    browser: Any, with_classes: tuple[ClusteredImages, Path], scheme: str
) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        page = Page(browser, with_classes[1])
        for route in ("/", "/cluster/3", "/map", "/outliers", "/duplicates", "/labels", "/about"):
            page.open(route)
            browser.execute_script("localStorage.clear()")
            assert browser.execute_script("return document.body.scrollWidth") <= 390, route
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
