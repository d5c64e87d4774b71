"""A run's page in a real browser: Debian's chromium, driven by its own chromedriver."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.report.html import write_report

By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, fake: SimpleNamespace) -> Path:
    """Of patients of whom one is called like an attack, without figures, which take seconds to draw."""
    simulation = fake.Simulation(30)
    run_dir = fake.write_run(tmp_path_factory.mktemp("browser") / "run", simulation)
    rng, cases = np.random.default_rng(0), simulation.cases
    rows = [(cases.case_ids[row], cases.folds[row]) for row, part in enumerate(cases.parts) if part == "test"]
    inputs = [[*row, f"input {k}", rng.normal() / 20, 0, "probability"] for row in rows for k in range(12)]
    header = ["case_id", "fold", "name", "value", "completeness_error", "unit"]
    fake.write_csv(run_dir / "attributions/inputs.csv", header, inputs)
    thumbnails = run_dir / "attributions/thumbnails"
    thumbnails.mkdir()
    for case_id, _ in rows:
        Image.fromarray(rng.integers(0, 255, (56, 56), dtype=np.uint8)).save(thumbnails / f"{case_id}.webp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fusion.report.html.write_figures", lambda run: {})
        return write_report(run_dir, naming=lambda kind, name: name.replace("017", EVIL))


@pytest.fixture
def browser(chromium: Any, page: Path) -> Any:
    """With the page opened anew, and what was logged before forgotten."""
    for name in ("browser", "performance"):
        chromium.get_log(name)
    chromium.get("about:blank")
    chromium.get(page.as_uri())
    return chromium


ROWS = "[...document.querySelectorAll('#patient-table > tbody')].filter((row) => row.offsetHeight > 0)"


def shown(browser: Any) -> list[Any]:
    return list(browser.execute_script(f"return {ROWS}"))


def column(browser: Any, key: str) -> list[str]:
    return list(browser.execute_script(f"return {ROWS}.map((row) => row.dataset[arguments[0]])", key))


def head(browser: Any, key: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, f"#patient-table th[data-key={key}]")


def choose(browser: Any, control: str, value: str) -> None:
    browser.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))",
        browser.find_element(By.ID, control),
        value,
    )


def test_nothing_is_requested_and_nothing_goes_wrong(page: Path, behaves: Callable[[Path], float]) -> None:
    print(f"loaded in {behaves(page):.2f} s")


def test_an_id_with_markup_in_it_is_text(browser: Any) -> None:
    assert browser.execute_script("return window.hacked") is None
    choose(browser, "filter-text", "ONERROR")
    assert column(browser, "id") == [EVIL]
    assert EVIL in shown(browser)[0].text


def test_a_click_on_a_head_sorts_by_its_column(browser: Any) -> None:
    assert head(browser, "probability").get_attribute("aria-sort") is None
    ids = sorted(column(browser, "id"))
    for direction in ("ascending", "descending"):
        head(browser, "probability").find_element(By.TAG_NAME, "button").click()
        assert head(browser, "probability").get_attribute("aria-sort") == direction
        values = [float(value) for value in column(browser, "probability")]
        assert values == sorted(values, reverse=direction == "descending")
        assert len(values) == len(set(values))
    head(browser, "rank").find_element(By.TAG_NAME, "button").click()
    assert head(browser, "probability").get_attribute("aria-sort") is None
    verdicts = column(browser, "verdict")
    assert verdicts == sorted(verdicts, reverse=True)
    assert sorted(column(browser, "id")) == ids


def test_filters_show_the_wrong_the_uncertain_and_those_of_a_center(browser: Any) -> None:
    everyone = len(shown(browser))
    verdicts, sure = column(browser, "verdict"), column(browser, "uncertain")
    expected = {
        "wrong": verdicts.count("wrong"),
        "uncertain": sure.count("yes"),
        "either": sum(of != ("correct", "no") for of in zip(verdicts, sure, strict=True)),
        "correct": verdicts.count("correct"),
    }
    assert 0 < expected["wrong"] < everyone
    assert 0 < expected["uncertain"] < everyone
    for name, n in expected.items():
        choose(browser, "filter-verdict", name)
        assert len(shown(browser)) == n
        assert browser.find_element(By.ID, "patients-shown").text == f"{n} of {everyone} patients"
    choose(browser, "filter-verdict", "")
    choose(browser, "filter-center", "=Ninth People's")
    assert set(column(browser, "center")) == {"Ninth People's"}
    assert len(shown(browser)) < everyone


def test_the_keyboard_sorts_and_opens(browser: Any) -> None:
    button = head(browser, "id").find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.SPACE)
    assert head(browser, "id").get_attribute("aria-sort") == "ascending"
    style = "return getComputedStyle(document.activeElement).outlineStyle"
    assert browser.execute_script(style) == "solid"
    patient = shown(browser)[0]
    summary = patient.find_element(By.TAG_NAME, "summary")
    picture, bars = patient.find_element(By.CSS_SELECTOR, ".case img"), patient.find_element(By.CLASS_NAME, "waterfall")
    assert not picture.is_displayed()
    summary.send_keys(Keys.ENTER)
    assert picture.is_displayed()
    assert bars.is_displayed()
    assert browser.execute_script("return arguments[0].naturalWidth", picture) > 0
    # Start, the eight strongest of twelve inputs, the others, end.
    assert len(bars.find_elements(By.CSS_SELECTOR, ":scope > tbody > tr")) == 11
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.tag_name in ("summary", "select", "a")


def test_a_link_opens_a_patient_whom_the_filter_hides(browser: Any) -> None:
    choose(browser, "filter-verdict", "correct")
    link = browser.find_element(By.CSS_SELECTOR, "#mistakes a")
    patient = browser.find_element(By.ID, str(link.get_attribute("href")).partition("#")[2])
    assert not patient.is_displayed()
    browser.execute_script("arguments[0].click()", link)
    assert patient.is_displayed()
    assert patient.find_element(By.TAG_NAME, "details").get_attribute("open")
    assert patient.get_attribute("data-id") == link.text


def test_opened_patients_alone_are_printed_in_full_and_in_light(browser: Any) -> None:
    def pages() -> int:
        pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
        assert pdf.startswith(b"%PDF")
        return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))

    closed = pages()
    browser.find_element(By.ID, "open-all").click()
    assert pages() > closed
    browser.find_element(By.ID, "close-all").click()
    assert pages() == closed
    first = browser.find_element(By.CSS_SELECTOR, "#patient-table details")
    browser.execute_script("arguments[0].open = true", first)
    try:
        media = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        details = browser.find_elements(By.CSS_SELECTOR, "#patient-table details")
        assert [each.is_displayed() for each in details] == [True, *[False] * (len(details) - 1)]
        assert not browser.find_element(By.ID, "patient-controls").is_displayed()
        assert background(browser) == "rgb(255, 255, 255)"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def background(browser: Any) -> str:
    return str(browser.execute_script("return getComputedStyle(document.documentElement).backgroundColor"))


def test_the_page_is_dark_where_the_reader_wants_it_and_fits_a_narrow_screen(browser: Any) -> None:
    try:
        colors = []
        for theme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": theme}]
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            colors.append(background(browser))
        assert colors[0] == "rgb(255, 255, 255)" != colors[1]
        metrics = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.find_element(By.ID, "open-all").click()
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
        picture = browser.find_element(By.CSS_SELECTOR, ".case img")
        assert picture.rect["x"] + picture.rect["width"] <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_without_scripts_it_is_a_table_whose_rows_open(browser: Any, page: Path) -> None:
    everyone = len(shown(browser))
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(page.as_uri())
        assert not browser.find_element(By.ID, "patient-controls").is_displayed()
        assert len(browser.find_elements(By.CSS_SELECTOR, "#patient-table > tbody")) == everyone
        patient = shown(browser)[0]
        assert not patient.find_element(By.CLASS_NAME, "waterfall").is_displayed()
        patient.find_element(By.TAG_NAME, "summary").click()
        assert patient.find_element(By.CLASS_NAME, "waterfall").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
