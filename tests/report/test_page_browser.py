"""The page in a browser: sorting, filters, the slider, both themes, a phone, no network."""

import json
import shutil

import pytest
from pages import FAULTS, contrast, give_records, write_page

sync_api = pytest.importorskip("playwright.sync_api")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is here"),
]

DESKTOP, PHONE = {"width": 1300, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def address(tmp_path_factory, build) -> str:
    """Two data sets, two classifiers, three arms; a class whose name is markup."""
    run = build(
        tmp_path_factory.mktemp("browser") / "run",
        arms=("raw", "gda", "frerec"),
        seeds=(0, 1),
        classes=("normal", "<script>document.title = 'broken'</script>"),
        size=16,
    )
    plan = json.loads((run / "benchmark.json").read_text())
    for cell in plan["cells"]:
        if cell["axes"]["classifier"] == "resnet10t":
            cell["axes"]["data"] = "brain_mri"
    (run / "benchmark.json").write_text(json.dumps(plan))
    give_records(run)
    return write_page(run).as_uri()


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as play:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        found = play.chromium.launch(executable_path=BROWSER, args=arguments)
        yield found
        found.close()


@pytest.fixture(scope="module")
def noted() -> list[str]:
    """What was asked of the network and said on the console."""
    return []


@pytest.fixture(scope="module")
def open_page(browser, address, noted):
    def refuse(route):
        noted.append(route.request.url)
        route.abort()

    def opened(viewport=DESKTOP, **settings):
        page = browser.new_context(viewport=viewport, **settings).new_page()
        page.route(lambda url: not url.startswith(("file:", "data:")), refuse)
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.goto(address)
        return page

    return opened


@pytest.fixture(scope="module")
def desktop(open_page):
    return open_page()


@pytest.fixture
def page(desktop, address):
    desktop.goto("about:blank")
    desktop.goto(address)
    return desktop


@pytest.fixture(autouse=True)
def _quiet(noted):
    """No test asks anything of the network, or makes the page complain."""
    noted.clear()
    yield
    assert noted == []


def column(page, number: int) -> list[str]:
    return page.eval_on_selector_all(
        "#cells ~ .scroll tbody tr",
        f"rows => rows.map(row => row.cells[{number}].textContent)",
    )


def test_a_column_is_sorted_down_up_and_back_by_the_keyboard(page):
    header = page.locator("#cells ~ .scroll thead th", has_text="Test AUC")
    number = header.evaluate("th => th.cellIndex")
    first = column(page, number)
    button = header.get_by_role("button")
    button.focus()
    for state, expected in (
        ("ascending", sorted(first, key=float)),
        ("descending", sorted(first, key=float, reverse=True)),
        ("none", first),
    ):
        page.keyboard.press("Enter")
        assert header.get_attribute("aria-sort") == state
        assert column(page, number) == expected
    assert expected != sorted(first, key=float)


def test_sorting_by_another_column_leaves_one_mark_and_words_are_sorted_as_words(page):
    headers = page.locator("#cells ~ .scroll thead th")
    headers.filter(has_text="Seed").get_by_role("button").click()
    arm = headers.filter(has_text="Arm")
    arm.get_by_role("button").click()
    marks = headers.evaluate_all("all => all.map(th => th.getAttribute('aria-sort'))")
    assert [mark for mark in marks if mark not in (None, "none")] == ["ascending"]
    assert marks[-1] is None  # the files
    names = column(page, arm.evaluate("th => th.cellIndex"))
    assert names == sorted(names)


def test_the_rows_of_a_group_stay_together(page):
    table = page.locator("section[aria-labelledby=training] table.data").first
    read = "table => [...table.tBodies].map(b => [...b.rows].map(r => r.cells[0].innerText))"
    before = table.evaluate(read)
    assert [body[1:] for body in before] == [["raw", "gda", "frerec"]] * 2
    table.locator("thead th", has_text="Arm").get_by_role("button").click()
    assert table.evaluate(read) == [[body[0], "frerec", "gda", "raw"] for body in before]


def test_a_missing_number_stays_last(page):
    header = page.locator("#cells ~ .scroll thead th", has_text="Seconds")
    number = header.evaluate("th => th.cellIndex")
    page.locator("#cells ~ .scroll tbody tr").nth(3).locator("td").nth(number - 1).evaluate(
        "cell => { cell.textContent = '–'; delete cell.dataset.value; }"
    )
    for _ in range(2):
        header.get_by_role("button").click()
        assert column(page, number)[-1] == "–"
        assert "–" not in column(page, number)[:-1]


def tick(page, name: str):
    return page.get_by_role("checkbox", name=name, exact=True)


def test_a_filter_shows_the_rows_that_name_a_ticked_one(page):
    status = page.locator("#filter-status")
    every = status.inner_text()
    assert every.startswith("All ")
    tick(page, "gda").check()
    tick(page, "resnet10t").check()
    cells = page.locator("#cells ~ .scroll tbody tr:visible")
    assert cells.count() == 2  # seeds
    assert page.locator(".records details:visible").count() == 2
    assert status.inner_text().split(" of ")[1] == every.removeprefix("All ")
    # A comparison names two arms; groups without a row are not shown.
    visible = page.locator(
        "section[aria-labelledby=comparisons] tbody tr:visible"
    ).all_inner_texts()
    assert len(visible) >= 2
    assert "resnet10t" in visible[0]
    assert all("gda" in text for text in visible[1:])
    # What names none of them stays.
    assert page.locator("text=Images per class").is_visible()
    assert "10 rows are hidden by the filters." in page.locator("main").inner_text()
    tick(page, "gda").uncheck()
    assert cells.count() == 6
    page.get_by_role("button", name="Show everything").press("Space")
    assert status.inner_text() == every
    assert page.evaluate("document.activeElement.type") == "checkbox"


def test_a_filter_hides_a_figure_of_another_classifier(page):
    figure = page.get_by_text("The caption of ROC: resnet10t.")
    tick(page, "resnet50").check()
    assert not figure.is_visible()
    assert page.get_by_text("The caption of AUC by arm.").is_visible()


def test_the_slider_moves_by_keyboard_and_says_what_it_shows(page):
    slider = page.get_by_label("How much of the image is shown before calibration")
    after = page.locator("#slider-stage .after")
    clip = "image => getComputedStyle(image).clipPath"
    assert after.evaluate(clip) == "inset(0px 0px 0px 50%)"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert after.evaluate(clip) == "inset(0px 0px 0px 51%)"
    assert slider.get_attribute("aria-valuetext") == "synthetic 51 %, synthetic, after FreRec 49 %"
    page.keyboard.press("Home")
    assert after.evaluate(clip) in ("inset(0px 0px 0px 0%)", "inset(0px)")


def test_the_slider_shows_the_chosen_images_large_and_in_whole_pixels(page):
    before, after = (page.locator("#slider-stage img").nth(i) for i in range(2))
    first = [image.get_attribute("src") for image in (before, after)]
    page.get_by_role("combobox", name="Images").select_option(label="synthetic / after SHR")
    assert before.get_attribute("src") == first[0]
    assert after.get_attribute("src") != first[1]
    page.get_by_role("combobox", name="Example").select_option(index=1)
    assert before.get_attribute("src") != first[0]
    assert "synthetic 2, <script>" in after.get_attribute("alt")
    for image in (before, after):
        assert image.evaluate("image => image.naturalWidth") == 16
        assert image.evaluate("image => getComputedStyle(image).imageRendering") == "pixelated"
    boxes = [image.bounding_box() for image in (before, after)]
    assert boxes[0] == boxes[1]
    assert boxes[0]["width"] > 200


def test_a_name_that_is_markup_is_text(page):
    assert page.title() == "cardiomegaly · FreRec report"
    assert page.get_by_role("columnheader", name="<script>").first.is_visible()


def test_a_cells_name_leads_to_its_settings_and_log(page):
    page.locator("#cells ~ .scroll tbody th a").nth(3).click()
    record = page.locator(".records details[open]")
    record.wait_for()  # one, and opened
    assert "step 1900 val/auc 0.69" in " ".join(record.inner_text().split())
    with page.expect_download() as download:
        record.get_by_role("link", name="config.yaml").click()
    assert "image_size: 32" in download.value.path().read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_and_figures_fit_the_theme(open_page, scheme):
    page = open_page(color_scheme=scheme)
    pairs = page.evaluate(
        """() => {
          const ground = getComputedStyle(document.body).backgroundColor;
          const picked = "h1, p, td, th, a, caption, .notes, summary, label, .hint, .group th";
          return [...document.querySelectorAll(picked)].map((element) => {
            let under = element;
            const own = (e) => getComputedStyle(e).backgroundColor;
            while (under && own(under) === "rgba(0, 0, 0, 0)") under = under.parentElement;
            return [getComputedStyle(element).color, under ? own(under) : ground];
          });
        }"""
    )
    assert len(pairs) > 100
    assert min(contrast(*pair) for pair in set(map(tuple, pairs))) >= 4.5
    drawn = page.locator("picture img").first.evaluate("image => image.currentSrc")
    light = page.locator("picture img").first.get_attribute("src")
    assert (drawn == light) == (scheme == "light")


def test_a_phone_shows_it_all_without_scrolling_sideways(open_page):
    page = open_page(PHONE, has_touch=True)
    for part in page.locator("details").all():
        part.evaluate("part => { part.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    wide = page.locator(".scroll table").first
    assert wide.evaluate("table => table.closest('.scroll').clientWidth") <= 360


def test_tab_goes_from_the_top_down_and_skips_what_does_not_scroll(page):
    seen, tops = [], []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent.trim()"))
        tops.append(page.evaluate("document.activeElement.tagName"))
    assert seen[0] == "Skip to the report"
    assert seen[1:4] == ["Contents", "What was run", "Results"]
    stops = page.locator(".scroll[tabindex='0']").evaluate_all(
        "all => all.map(one => one.scrollWidth > one.clientWidth)"
    )
    assert all(stops)
    assert page.locator(".scroll[tabindex='-1']").count() > 0
    page.keyboard.press("Shift+Tab")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#run"


def test_everything_is_named_for_a_screen_reader(page):
    assert page.evaluate(FAULTS) == []


def test_without_scripts_everything_is_shown(open_page):
    page = open_page(java_script_enabled=False)
    assert not page.locator("#filters").is_visible()
    assert not page.locator("#slider").is_visible()
    assert page.locator(".example img").first.is_visible()
    assert page.locator("#cells ~ .scroll tbody tr").last.is_visible()
    assert page.locator("nav a").first.is_visible()
