"""Names given on the page, in a real browser: by keys, by the mouse, saved, loaded and undone."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.browser_page import Page
from helpers.chromium import needs_chromium, opened
from helpers.made_up_run import HOSTILE, centroids_of, groups, write_images
from odc_lightning.data import FileSource
from odc_lightning.naming import GivenNames, clustering_id, read_given_names
from odc_lightning.reporting.cluster_page import PageSettings, ToName, build_cluster_page
from odc_lightning.reporting.cluster_page.server import PageServer
from odc_lightning.runs.clustered_images import ClusteredImages

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser tests need selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = needs_chromium
NAMES = (*HOSTILE, *(f"plain {number}.jpg" for number in range(17)))


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> ClusteredImages:
    root = tmp_path_factory.mktemp("photos")
    write_images(root, NAMES)
    features, labels = groups(len(NAMES), 4)
    return ClusteredImages(
        FileSource(root, NAMES), labels, features, centroids_of(features, labels)
    )


@pytest.fixture(scope="module")
def folder(clustered: ClusteredImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    guesses = ToName(np.array([3, 8, 20]), ["cat", None, "cat"], np.array([0.4, 0.5, 0.6]))
    settings = PageSettings("photos", run=Path("/runs/one"), to_name=guesses)
    build_cluster_page(clustered, folder, settings)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened(1280, 900) as browser:
        downloads = tmp_path_factory.mktemp("downloads")
        browser.downloads = downloads
        browser.execute_cdp_cmd(
            "Browser.setDownloadBehavior",
            {"behavior": "allow", "downloadPath": str(downloads)},
        )
        yield browser


@pytest.fixture
def page(browser: Any, folder: Path) -> Iterator[Page]:
    """The page, of which the browser knows nothing yet."""
    page = Page(browser, folder).open()
    browser.execute_script("localStorage.clear()")
    browser.get_log("browser")
    yield page.open()
    assert browser.get_log("browser") == []


def said(page: Page) -> GivenNames:
    """What the page would save."""
    content = json.loads(page.browser.execute_script("return page.names.text()"))
    path = page.browser.downloads / "said.json"
    path.write_text(json.dumps(content))
    return read_given_names(path)


def name(page: Page, text: str) -> None:
    page.press("n")
    page.wait_for("#name-field")
    page.press(text, Keys.ENTER)  # in place of the former name, which is selected
    WebDriverWait(page.browser, 10).until(lambda _: not page.all("#name[open]"))


def titles(page: Page, selector: str) -> list[str]:
    read = "return [...document.querySelectorAll(arguments[0])].map((each) => each.title)"
    found: list[str] = page.browser.execute_script(read, selector)
    return found


def cluster_of(clustered: ClusteredImages, index: int) -> int:
    return int(clustered.labels[index])


def test_clusters_by_keys_alone(page: Page, clustered: ClusteredImages) -> None:
    cards = [int(card.get_attribute("data-cluster")) for card in page.all(".card")]
    page.press(Keys.ARROW_RIGHT)
    name(page, "  tabby   cat ")
    assert page.focused.get_attribute("data-cluster") == str(cards[0])
    page.press(Keys.ARROW_RIGHT, "r", Keys.ARROW_RIGHT)
    name(page, "tabby cat")  # a second cluster of one name: they are merged
    assert said(page).clusters == {cards[0]: "tabby cat", cards[1]: None, cards[2]: "tabby cat"}
    assert [card.text.split("\n")[0] for card in page.all(".card")] == [
        *("tabby cat", "rubbish", "tabby cat", str(cards[3]))
    ]
    assert (
        page.all(".card")[0]
        .get_attribute("aria-label")
        .startswith(f"Cluster {cards[0]}, named tabby cat: 6 images")
    )
    assert page.wait_for("#progress").text == "3 of 4 clusters named, 75 % of the images"
    page.press("r")  # the third cluster: rubbish in place of its name
    assert said(page).clusters[cards[2]] is None
    page.press("u", "u", "u")
    assert said(page).clusters == {cards[0]: "tabby cat"}
    page.press("u", "u", "u")  # there is no more to undo
    assert said(page) == said(page.open())
    assert said(page).clusters == {}


def test_an_empty_name_takes_it_back(page: Page) -> None:
    page.press(Keys.ARROW_RIGHT)
    name(page, "cat")
    assert len(said(page).clusters) == 1
    name(page, Keys.BACKSPACE)
    assert said(page).clusters == {}
    name(page, "cat")
    page.press("n")
    page.wait_for("#name-none").click()
    assert said(page).clusters == {}
    page.press("n")
    page.wait_for("#name-field")
    page.press("dog", Keys.ESCAPE)
    assert said(page).clusters == {}


def test_a_name_may_have_the_characters_of_keys(page: Page) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = page.browser.execute_script(paper)
    page.open("/cluster/1")
    name(page, "t/[nrwxgaus]")
    assert said(page).clusters == {1: "t/[nrwxgaus]"}
    page.press("n", Keys.ESCAPE)
    page.wait_for("h1", "t/[nrwxgaus]")  # Escape leaves the dialog, not the cluster
    assert page.browser.execute_script(paper) == before


def test_images_of_a_cluster(page: Page, clustered: ClusteredImages) -> None:
    page.open("/cluster/2")
    shown = titles(page, "main > .grid .tile")
    tiles = page.all("main > .grid .tile")
    tiles[0].send_keys("w")
    assert said(page).wrong == [shown[0]]
    assert "does not belong" in tiles[0].text
    tiles[0].send_keys("w")  # and back
    assert said(page).wrong == []
    tiles[0].send_keys("r")
    assert said(page).images == {shown[0]: None}
    assert "rubbish" in tiles[0].text
    tiles[0].send_keys("r")
    assert said(page).images == {}
    tiles[1].send_keys("x")
    tiles[2].send_keys("x")
    assert page.wait_for("#chosen").text == "2 chosen"
    name(page, "dog")
    assert said(page).images == {shown[1]: "dog", shown[2]: "dog"}
    assert "dog" in tiles[2].text
    for index in (3, 4, 5):
        tiles[index].send_keys("x")
    page.press("g")
    tiles[1].send_keys("x")
    tiles[3].send_keys("x")
    page.wait_for("#apart").click()
    assert said(page).together == [(shown[3], shown[4]), (shown[4], shown[5])]
    assert said(page).apart == [(shown[1], shown[3])]
    tiles[3].send_keys("x")
    tiles[4].send_keys("x")
    page.press("a")  # a pair is one of both
    assert said(page).together == [(shown[4], shown[5])]
    assert said(page).apart == [(shown[1], shown[3]), (shown[3], shown[4])]
    tiles[3].send_keys("x")
    page.press(Keys.ESCAPE)  # clears the choice, and does not leave the cluster
    assert not page.wait_for("#naming").get_attribute("class")
    assert page.wait_for("h1").text == "Cluster 2"


def test_by_the_mouse_in_a_cluster_and_in_the_viewer(page: Page) -> None:
    page.open("/cluster/1")
    shown = titles(page, "main > .grid .tile")
    page.wait_for(".tools [data-do=cluster]").click()
    page.wait_for("#name-field").send_keys("sea")
    page.wait_for("#name .main").click()
    page.wait_for("h1", "sea")
    assert page.wait_for(".title .number").text == "Cluster 1"
    page.wait_for("#choose").click()
    tiles = page.all("main > .grid .tile")
    tiles[0].click()
    tiles[1].click()
    assert tiles[0].get_attribute("aria-pressed") == "true"
    page.wait_for(".for-chosen [data-do=wrong]").click()
    assert said(page).wrong == [shown[0], shown[1]]
    page.wait_for("#choose").click()
    tiles[2].click()
    assert page.wait_for(".called").text == "sea, by its cluster"
    page.press("w")
    assert page.wait_for(".called").text == "does not belong"
    page.wait_for(".say [data-do=name]").click()
    page.wait_for("#name-field").send_keys("gull", Keys.ENTER)
    page.wait_for(".called", "gull, by hand")
    assert page.all("#viewer[open]")
    page.press(Keys.ESCAPE)
    page.wait_for("#undo").click()
    assert said(page).wrong[-1] == shown[2]
    page.wait_for("#rubbish").click()
    page.wait_for("h1", "rubbish")


def test_what_is_said_is_kept_saved_and_loaded(
    page: Page, clustered: ClusteredImages, tmp_path: Path
) -> None:
    cluster, other = cluster_of(clustered, 1), cluster_of(clustered, 4)
    page.open(f"/cluster/{cluster}")
    page.press("n")
    page.wait_for("#name-field").send_keys("<b>&\"'", Keys.ENTER)
    hostile = page.browser.find_elements(By.CSS_SELECTOR, "main > .grid .tile")
    hostile[0].send_keys("x")
    hostile[1].send_keys("x")
    page.press("a", "s")
    file = page.browser.downloads / "labels.json"
    WebDriverWait(page.browser, 10).until(lambda _: file.is_file() and file.stat().st_size > 0)
    saved = read_given_names(file)
    file.unlink()
    assert saved.clusters == {cluster: "<b>&\"'"}
    assert saved.run == "/runs/one"
    assert saved.clustering == clustering_id(NAMES, clustered.labels)
    assert set(saved.apart[0]) <= set(NAMES)  # bytes that are not UTF-8 among them
    again = page.open("/labels")
    assert said(again) == saved
    again.wait_for("h2", "<b>&\"'")
    assert "Belong apart" in again.wait_for("main").text

    saved.clusters[other], saved.images[NAMES[3]] = "cat", "cat"
    given = tmp_path / "labels.json"
    given.write_text(json.dumps(saved.as_json()))
    again.all("#file")[0].send_keys(str(given))
    again.wait_for("h2", "cat")
    assert said(again).clusters == {cluster: "<b>&\"'", other: "cat"}
    assert titles(again, ".group .tile")[0] == NAMES[3]
    given.write_text(json.dumps(saved.as_json() | {"clustering": "0" * 16}))
    again.all("#file")[0].send_keys(str(given))
    again.wait_for("#trouble", "of another clustering")
    assert said(again).clusters == {}
    assert said(again).images == {NAMES[3]: "cat"}
    given.write_text("{}")
    again.all("#file")[0].send_keys(str(given))
    again.wait_for("#trouble", "The file was not loaded: this is no labels.json")
    assert said(again).images == {NAMES[3]: "cat"}


def test_all_names_on_one_view(page: Page) -> None:
    for cluster, text in ((0, "cat"), (1, "cat"), (2, "dog")):
        page.open(f"/cluster/{cluster}")
        name(page, text)
    page.open("/labels")
    sections = [section.text for section in page.all(".group")]
    assert ["cat" in text and "2 clusters of 12 images" in text for text in sections] == [
        *(True, False)
    ]
    page.all(".group .chip")[0].click()
    page.wait_for("#name-field").send_keys("dog", Keys.ENTER)
    page.wait_for(".group", "3 clusters of 18 images")
    assert set(said(page).clusters.values()) == {"dog"}
    page.press("u")
    page.wait_for(".group", "2 clusters of 12 images")
    page.open("/")
    page.wait_for("#sort").send_keys("Name")
    order = [card.text.split("\n")[0] for card in page.all(".card")]
    assert order == ["3", "cat", "cat", "dog"]
    page.open("/").press("/", "cat")
    page.wait_for("h2", "2 clusters")
    page.open("/labels")
    page.all(".tools .chip")[-1].click()  # forget all
    page.wait_for(".lead", "Nothing has a name yet")
    page.press("u")
    page.wait_for(".group", "2 clusters of 12 images")


def test_what_to_name_next(page: Page) -> None:
    page.open("/next")
    assert [tile.text for tile in page.all(".tile")] == ["cat? 40 %", "rubbish? 50 %", "cat? 60 %"]
    page.all(".tile")[0].send_keys("y")
    assert page.focused.get_attribute("title") == titles(page, ".tile")[1]
    page.press("y", Keys.ENTER)
    page.wait_for("#viewer h2")
    page.wait_for(".say [data-do=yes]", "Yes, cat").click()
    page.wait_for(".called", "cat, by hand")
    assert said(page).images == {NAMES[3]: "cat", NAMES[8]: None, NAMES[20]: "cat"}


def test_the_page_starts_with_the_newest(
    browser: Any, clustered: ClusteredImages, tmp_path: Path
) -> None:
    own = clustering_id(NAMES, clustered.labels)
    given = GivenNames(own, clusters={0: "given"}, changed="2026-01-01T00:00:00.000Z")
    build_cluster_page(clustered, tmp_path, PageSettings("photos", given=given))
    page = Page(browser, tmp_path).open()
    browser.execute_script("localStorage.clear()")
    assert said(page.open()).clusters == {0: "given"}
    page.open("/cluster/0")
    name(page, "newer")
    assert said(page.open()).clusters == {0: "newer"}
    for broken in ("{", '{"file": {"format": "odc-labels", "version": 9}}', "3"):
        browser.execute_script(f"localStorage.setItem('odc-labels/{own}', arguments[0])", broken)
        assert said(page.open()).clusters == {0: "given"}


class Served:
    """A served page, whose ``labels.json`` tests write too."""

    def __init__(self, browser: Any, clustered: ClusteredImages, folder: Path) -> None:
        self.labels = folder / "labels.json"
        self.given = GivenNames(clustering_id(NAMES, clustered.labels))
        build_cluster_page(clustered, folder / "page", PageSettings("photos", served=True))
        self._images = clustered.source
        self.server = PageServer(folder / "page", self.labels, self._find, 0)
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        self.page = Page(browser, folder, self.server.address)

    def _find(self, name: str) -> Path | None:
        return self._images.path(NAMES.index(name)) if name in NAMES else None

    def write(self, **said: Any) -> None:
        """Write the file as somebody else."""
        self.labels.write_text(json.dumps(GivenNames(self.given.clustering, **said).as_json()))

    @property
    def clusters(self) -> dict[int, str | None]:
        """Names in the file."""
        return read_given_names(self.labels).clusters if self.labels.is_file() else {}

    def wait_for(self, clusters: dict[int, str | None]) -> None:
        WebDriverWait(self.page.browser, 10).until(lambda _: self.clusters == clusters)


@pytest.fixture
def served(browser: Any, clustered: ClusteredImages, tmp_path: Path) -> Iterator[Served]:
    served = Served(browser, clustered, tmp_path)
    yield served
    served.server.shutdown()
    served.server.server_close()
    browser.get_log("browser")  # an answer 412 is in the console


def test_a_server_saves_each_change(served: Served) -> None:
    page = served.page.open("/cluster/1")
    name(page, "cat")
    served.wait_for({1: "cat"})
    assert page.wait_for("#save").text == "Saved in labels.json"
    page.all("main > .grid .tile")[0].click()
    image = page.wait_for("#viewer .whole img")
    assert page.browser.execute_script("return arguments[0].naturalWidth", image) == 48
    page.press(Keys.ESCAPE)
    assert said(page.open("/cluster/1")).clusters == {1: "cat"}
    served.server.shutdown()
    served.server.server_close()
    page.press("r")
    page.wait_for("#trouble", "The server is gone")


def test_a_file_that_somebody_else_wrote_is_shown_and_never_replaced(served: Served) -> None:
    page = served.page.open("/cluster/1")
    name(page, "cat")
    served.wait_for({1: "cat"})
    served.write(clusters={0: "dog"})  # without a time
    assert said(page.open("/cluster/1")).clusters == {0: "dog"}  # and loading writes nothing
    served.wait_for({0: "dog"})
    served.write(clusters={0: "emu", 2: "fox"})
    name(page, "cat")
    page.wait_for("#trouble", "labels.json was changed elsewhere, so nothing is saved")
    page.open("/cluster/1")
    page.wait_for("#trouble", "undo (u) brings them back")
    assert said(page).clusters == {0: "emu", 2: "fox"} == served.clusters
    page.press("u")
    served.wait_for({0: "dog", 1: "cat"})


def test_what_was_not_saved_is_saved_when_the_server_is_back(
    served: Served, browser: Any, clustered: ClusteredImages
) -> None:
    page = served.page.open("/cluster/1")
    name(page, "cat")
    served.wait_for({1: "cat"})
    port = served.server.server_port
    served.server.shutdown()
    served.server.server_close()
    name(page, "dog")
    page.wait_for("#trouble", "The server is gone")
    folder = served.labels.parent
    again = PageServer(folder / "page", served.labels, served._find, port)
    threading.Thread(target=again.serve_forever, args=(0.01,)).start()
    try:
        page.open("/cluster/1")
        served.wait_for({1: "dog"})
    finally:
        again.shutdown()
        again.server_close()


def test_two_tabs_of_a_served_page(served: Served) -> None:
    browser, page = served.page.browser, served.page.open("/cluster/1")
    name(page, "cat")
    served.wait_for({1: "cat"})
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        page.open("/cluster/2")
        name(page, "dog")
        served.wait_for({1: "cat", 2: "dog"})
        browser.switch_to.window(first)
        name(page, "emu")
        served.wait_for({1: "emu", 2: "dog"})
        assert page.wait_for("#progress").text.startswith("2 of 4 clusters named")
    finally:
        for handle in browser.window_handles:
            if handle != first:
                browser.switch_to.window(handle)
                browser.close()
        browser.switch_to.window(first)


def test_a_file_that_cannot_be_used_is_left_alone(served: Served) -> None:
    for text in ("{", '{"format": "odc-labels", "version": 2}'):
        served.labels.write_text(text)
        page = served.page.open("/cluster/1")
        page.wait_for("#trouble", "cannot be used, and nothing is saved in it")
        name(page, "cat")
        assert page.wait_for("#save").text == "Save labels.json"
        assert served.labels.read_text() == text


def test_a_clock_that_goes_back_loses_nothing(
    browser: Any, clustered: ClusteredImages, tmp_path: Path
) -> None:
    given = GivenNames(clustering_id(NAMES, clustered.labels), changed="2099-01-01T00:00:00.000Z")
    build_cluster_page(clustered, tmp_path, PageSettings("photos", given=given))
    page = Page(browser, tmp_path).open("/cluster/0")
    browser.execute_script("localStorage.clear()")
    name(page.open("/cluster/0"), "later")
    assert said(page.open()).clusters == {0: "later"}
    assert said(page).changed == "2099-01-01T00:00:00.001Z"


@pytest.mark.parametrize(
    "changes",
    [
        {"together": {}},
        {"apart": [["a"]]},
        {"images": {"a": 3}},
        {"wrong": "a"},
        {"clusters": {"1": ""}},
    ],
)
def test_a_damaged_file_is_not_loaded(
    page: Page, clustered: ClusteredImages, tmp_path: Path, changes: dict[str, Any]
) -> None:
    file = tmp_path / "labels.json"
    own = GivenNames(clustering_id(NAMES, clustered.labels)).as_json()
    file.write_text(json.dumps(own | changes))
    page.open("/cluster/1")
    name(page, "cat")
    page.open("/labels").all("#file")[0].send_keys(str(file))
    page.wait_for("#trouble", "The file was not loaded: its")
    assert said(page).clusters == {1: "cat"}
    page.press("u")  # all still works
    assert said(page.open()).clusters == {1: "cat"}


def test_many_images_apart_are_refused_and_some_are_quick(page: Page) -> None:
    page.browser.execute_script("page.names.pair([...Array(300).keys()].map(String), 'together')")
    page.browser.execute_script("page.names.pair([...Array(50).keys()].map(String), 'apart')")
    assert len(said(page).apart) == 1225
    assert len(said(page).together) == 299 - 49


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_names_can_be_read_in_both_colour_schemes(page: Page, scheme: str) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        page.press(Keys.ARROW_RIGHT)
        name(page, "cat")
        for selector in (".card b", "#progress", "#save", "#choose"):
            assert contrast(page, page.wait_for(selector)) > 4, selector
        page.press("n")
        for selector in ("#name-title", "#name .main", "#name-cancel"):
            assert contrast(page, page.wait_for(selector)) > 4, selector
        page.press(Keys.ESCAPE)
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


# The first background that is not transparent, of the element and what it is in.
COLOURS = """
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const ink = numbers(getComputedStyle(arguments[0]).color);
for (let e = arguments[0]; e; e = e.parentElement) {
  const paper = numbers(getComputedStyle(e).backgroundColor);
  if (paper.length === 3 || paper[3] === 1) return [ink.slice(0, 3), paper.slice(0, 3)];
}
"""


def contrast(page: Page, element: Any) -> float:
    """WCAG's ratio of contrast, from 1 to 21."""
    ink, paper = page.browser.execute_script(COLOURS, element)

    def luminance(colour: list[float]) -> float:
        parts = np.array(colour) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
