"""A page of clusters in a real browser, and what tests do with it."""

from pathlib import Path
from typing import Any

# Whether the picture of an element is loaded, and not of one colour.
DRAWN = """
const [element, done] = arguments;
const address = element.style.backgroundImage.slice(5, -2);
const image = new Image();
image.onload = () => done(image.naturalWidth);
image.onerror = () => done(0);
image.src = address;
"""


class Page:
    """A page in the browser, and what the tests do with it."""

    def __init__(self, browser: Any, folder: Path, address: str | None = None) -> None:
        self.browser = browser
        self.address = (folder / "index.html").as_uri() if address is None else address

    def open(self, route: str = "/") -> "Page":
        self.browser.get("about:blank")
        self.browser.get(f"{self.address}#{route}")
        self.wait_for("#main[data-ready]")
        return self

    def all(self, selector: str) -> list[Any]:
        from selenium.webdriver.common.by import By

        found: list[Any] = self.browser.find_elements(By.CSS_SELECTOR, selector)
        return found

    def wait_for(self, selector: str, text: str = "") -> Any:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        def there(_: Any) -> Any:
            return next(
                (e for e in self.all(selector) if e.is_displayed() and text in e.text), None
            )

        wait = WebDriverWait(self.browser, 10, ignored_exceptions=[StaleElementReferenceException])
        return wait.until(there, f"no {selector} with {text!r}")

    def press(self, *keys: str) -> None:
        from selenium import webdriver

        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    @property
    def focused(self) -> Any:
        return self.browser.switch_to.active_element

    def is_drawn(self, element: Any) -> bool:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, 10).until(
            lambda _: "url(" in element.value_of_css_property("background-image")
        )
        return bool(self.browser.execute_async_script(DRAWN, element))
