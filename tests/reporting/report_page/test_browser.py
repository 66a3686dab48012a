"""The report in a real browser, opened from the disk as a user opens it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from helpers.chromium import needs_chromium, opened
from helpers.run_folders import HOSTILE, write_run
from odc_lightning.reporting.report_page import build_report, find_runs

webdriver = pytest.importorskip("selenium.webdriver", reason="the browser tests need selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

pytestmark = needs_chromium
SCORES = {10: (0.5, 0.6), 20: (0.9, 0.7), 40: (0.2, 0.3)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened(1280, 900) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    for k, scores in SCORES.items():
        for seed, score in enumerate(scores):
            write_run(
                folder / "sweep" / f"k_{k}" / f"seed_{seed}",
                {"algorithm.num_clusters": k, "seed": seed, "name": HOSTILE},
                {"train/loss": [4, 3, 2, 1 + seed], "eval/knn_top1": [0.4, score]},
                knn_top1=score,
            )
    build_report(find_runs([folder / "sweep"]), folder / "report.html")
    return folder / "report.html"


@pytest.fixture(autouse=True)
def _opened(browser: Any, page: Path) -> Iterator[None]:
    browser.get_log("browser")
    browser.get("about:blank")
    browser.get(page.as_uri())
    yield
    assert browser.get_log("browser") == []


def all_of(browser: Any, selector: str) -> list[Any]:
    found: list[Any] = browser.find_elements(By.CSS_SELECTOR, selector)
    return found


def loss_plot(browser: Any) -> Any:
    return next(
        plot
        for plot in all_of(browser, ".plot svg")
        if plot.get_attribute("aria-label").startswith("Training loss")
    )


def test_names_stay_text(browser: Any) -> None:
    assert browser.execute_script("return window.hacked") is None
    assert " ".join(HOSTILE.split()) in " ".join(all_of(browser, "h1")[0].text.split())
    assert all_of(browser, "img") == []


def test_curves_of_groups_and_of_seeds(browser: Any) -> None:
    assert loss_plot(browser).get_attribute("aria-label") == "Training loss over epochs: 3 lines"
    assert len(all_of(browser, ".plot svg")) == 2
    assert len(loss_plot(browser).find_elements(By.CSS_SELECTOR, ".area")) == 3
    browser.find_element(By.ID, "seeds").click()
    assert loss_plot(browser).get_attribute("aria-label").endswith("6 lines")
    chip = all_of(browser, "#legend [data-group]")[1]
    assert chip.text == "num_clusters=20"
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert loss_plot(browser).get_attribute("aria-label").endswith("4 lines")


def test_the_cursor_reads_values_by_keyboard(browser: Any) -> None:
    Select(browser.find_element(By.ID, "over")).select_by_value("step")
    plot = loss_plot(browser)
    browser.execute_script("arguments[0].focus()", plot)
    plot.send_keys(*[Keys.ARROW_RIGHT] * 30)
    tip = next(tip for tip in all_of(browser, ".tip") if tip.is_displayed())
    # At the end the seeds have 1 and 2.
    assert tip.text.split("\n")[0] == "step 4"
    assert tip.text.count("1.5 ± 0.7071") == 3
    assert len(all_of(browser, ".cursor line")) == 2  # in both charts


def test_a_closer_look_and_back(browser: Any) -> None:
    whole = browser.find_element(By.ID, "whole")
    assert not whole.is_displayed()
    plot = loss_plot(browser)
    ticks = [tick.text for tick in plot.find_elements(By.CSS_SELECTOR, ".tick")]
    actions = webdriver.ActionChains(browser).move_to_element_with_offset(plot, 20, 0)
    actions.click_and_hold().move_by_offset(60, 0).release().perform()
    assert whole.is_displayed()
    assert [
        tick.text for tick in loss_plot(browser).find_elements(By.CSS_SELECTOR, ".tick")
    ] != ticks
    whole.click()
    assert [
        tick.text for tick in loss_plot(browser).find_elements(By.CSS_SELECTOR, ".tick")
    ] == ticks


def test_the_table_sorts(browser: Any) -> None:
    table = all_of(browser, "table.sortable")[0]

    def first_column() -> list[str]:
        return [row.text for row in table.find_elements(By.CSS_SELECTOR, "tbody td:first-child")]

    button = next(b for b in table.find_elements(By.CSS_SELECTOR, "button") if "kNN" in b.text)
    button.click()
    best_first = [f"num_clusters={k}" for k in sorted(SCORES, key=lambda k: -sum(SCORES[k]))]
    assert first_column() == best_first
    button.click()
    assert first_column() == best_first[::-1]
    head = table.find_elements(By.CSS_SELECTOR, "[aria-sort]")
    assert [each.get_attribute("aria-sort") for each in head] == ["ascending"]


def test_parallel_coordinates_choose_runs(browser: Any) -> None:
    assert len(all_of(browser, "path.run")) == 6
    handle = all_of(browser, ".axis .handle")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    half = handle.size["height"] // 2
    actions = webdriver.ActionChains(browser).move_to_element_with_offset(handle, 0, -half + 2)
    actions.click_and_hold().move_by_offset(0, 40).release().perform()
    # The top of the axis is the largest number of clusters, 40.
    assert browser.find_element(By.ID, "chosen").text == "2 of 6 runs"
    chosen = {int(p.get_attribute("data-run")) for p in all_of(browser, "path.run:not(.out)")}
    assert chosen == {4, 5}
    webdriver.ActionChains(browser).move_to_element(handle).click().perform()
    assert browser.find_element(By.ID, "chosen").text == ""


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(browser: Any, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        WebDriverWait(browser, 10).until(lambda _: loss_plot(browser).size["width"] <= width - 20)
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_dark_and_light(browser: Any) -> None:
    def paper() -> str:
        colour = "return getComputedStyle(document.body).backgroundColor"
        found: str = browser.execute_script(colour)
        return found

    before = paper()
    browser.find_element(By.ID, "theme").click()
    assert paper() != before
    browser.find_element(By.ID, "theme").click()
    assert paper() == before
