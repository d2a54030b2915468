"""Every lesson's widget, and the studio, in a real browser: JupyterLab and voila in headless Chromium.

    pytest -m browser tests/test_browser.py                      all lessons and the studio
    pytest -m browser tests/test_browser.py -k "00 or 01"        two of them
    MINIDIFFUSION_SCREENSHOTS=figures pytest -m browser ...      and keep a picture of each, figures/lesson_NN.png

It needs `pip install -e ".[lessons,studio,test,browser]"`, and a Chromium: that of the system, or playwright's own
(`playwright install chromium`).
"""

import importlib.util
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from minidiffusion.cli.learn import copy_missing
from minidiffusion.systems import studio

LESSONS = Path(__file__).parent.parent / "lessons"
LESSON_FILES = sorted(LESSONS.glob("[0-9]*.ipynb"))
MINUTES = 10  # for a lesson to run, on a machine that has other things to do
ANSWER = 150  # milliseconds from a movement of the hand to the new picture
SETTINGS = {"notebook-extension/tracker": '{"windowingMode": "none"}', "apputils-extension/notification": "{}"}

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason='needs playwright: pip install -e ".[browser]"')
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    quiet = ["--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
    quiet += ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=quiet)
        except sync_api.Error as error:
            pytest.skip(f"needs Chromium, from the system or by `playwright install chromium`: {error.message[:100]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """The address of a JupyterLab in a folder with the lessons, as `minidiffusion learn` leaves them."""
    folder, settings = tmp_path_factory.mktemp("lessons"), tmp_path_factory.mktemp("settings")
    copy_missing(LESSONS, folder)
    for name, text in SETTINGS.items():
        file = settings / f"@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"]
    command += [
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    ]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"JUPYTERLAB_SETTINGS_DIR": str(settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://localhost:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/api")
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    yield address
    os.killpg(process.pid, signal.SIGTERM)  # kernels, too
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()


@pytest.mark.parametrize("path", LESSON_FILES, ids=lambda path: path.stem)
def test_the_widget_answers_a_hand(path, chromium, jupyterlab):
    said = []
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    # a workspace of its own, or JupyterLab opens what the last test had open, too
    page.goto(f"{jupyterlab}/lab/workspaces/{path.stem}/tree/{path.name}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", state="attached", timeout=120_000)
    session = "window.jupyterapp.shell.currentWidget.context.sessionContext"
    page.wait_for_function(f"{session}.isReady && {session}.session?.kernel?.status == 'idle'", timeout=120_000)

    page.set_default_timeout(60_000 * MINUTES)
    page.evaluate("void window.jupyterapp.commands.execute('editmenu:clear-all')")
    page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    code = "window.jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type == 'code')"
    failed = f"{code}.flatMap(c => c.model.outputs.toJSON()).filter(o => o.output_type == 'error').map(o => o.evalue)"
    page.wait_for_function(f"{code}.every(cell => cell.model.executionCount) || {failed}.length")
    assert page.evaluate(failed) == []

    page.set_default_timeout(30_000)
    widgets = page.locator(".jp-OutputArea-output:has(.widget-image)")
    widgets.first.wait_for(state="attached")
    for number in range(widgets.count()):
        widget = widgets.nth(number)
        widget.scroll_into_view_if_needed()
        if (folder := os.environ.get("MINIDIFFUSION_SCREENSHOTS")) and number == 0:
            widget.screenshot(path=Path(folder) / f"lesson_{path.name[:2]}.png")
        delays = drag(page, widget)
        assert len(delays) >= 5, delays
        print(f"{path.stem}: {min(delays):.0f} to {max(delays):.0f} ms, median {statistics.median(delays):.0f}")
        assert statistics.median(delays) < ANSWER, delays
    page.evaluate(f"void {session}.shutdown()")
    assert said == []
    page.close()


@pytest.fixture(scope="module")
def studio_page(tmp_path_factory):
    """The address of the studio as `minidiffusion studio` serves it, but with tiny networks."""
    if importlib.util.find_spec("voila") is None:
        pytest.skip('needs voila: pip install -e ".[studio]"')
    notebook = json.loads((Path(studio.__file__).parent / "page.ipynb").read_text())
    here = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom tiny_systems import systems\n"
    (cell,) = notebook["cells"]
    cell["source"] = here + "".join(cell["source"]).replace("Studio()", "Studio(systems())")
    path = tmp_path_factory.mktemp("studio") / "page.ipynb"
    path.write_text(json.dumps(notebook))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    code = f"from minidiffusion.cli.studio import Path, serve; serve(Path({str(path)!r}), {port}, True)"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    for _ in range(240):
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                break
        time.sleep(0.5)
    yield f"http://localhost:{port}"
    process.terminate()  # voila, and with it the kernels
    process.wait(60)


def test_two_people_use_the_studio(chromium, studio_page):
    pages = []
    for prompt in ("blue rose sunglases --seed 7", "lion --seed 3"):
        page = chromium.new_page(viewport={"width": 1100, "height": 1000})
        page.set_default_timeout(60_000 * MINUTES)
        page.goto(studio_page, wait_until="domcontentloaded")
        page.get_by_text("Ready.").wait_for()
        page.get_by_label("Prompt").fill(prompt)
        page.get_by_label("Prompt").press("Enter")
        pages.append(page)
    rose, lion = pages
    fourth = "img[alt='{}'] >> nth=3".format
    rose.wait_for_selector(fourth("blue rose sunglases"))
    lion.wait_for_selector(fourth("lion"))
    assert rose.get_by_text("did you mean sunglasses?").count() == 1
    assert rose.locator("img[alt*='lion']").count() == lion.locator("img[alt*='rose']").count() == 0

    for name in ("U2", "V3"):  # the second waits for the first
        rose.get_by_role("button", name=name, exact=True).click()
    rose.wait_for_selector("img[alt='blue rose sunglases, enlarged']")
    rose.wait_for_selector(fourth("a variation of blue rose sunglases"))
    for name in ("B1", "B4", "Blend"):
        rose.get_by_role("button", name=name, exact=True).click()
    rose.wait_for_selector("img[alt^='a blend of'] >> nth=3")
    rose.locator("button[title^='Pan left']").click()
    rose.wait_for_selector(fourth("blue rose sunglases, seen further left"))
    rose.locator("button[title='Draw again: blue rose sunglases']").click()
    rose.get_by_text("the same pixels").wait_for()
    if folder := os.environ.get("MINIDIFFUSION_SCREENSHOTS"):
        rose.screenshot(path=Path(folder) / "studio.png")
    for page in pages:
        page.close()


def drag(page, widget):
    """Drag the slider from its place to the right, a step at a time. Milliseconds from each step to its picture."""
    handle, picture = widget.locator(".noUi-handle").first, widget.locator("img.widget-image").first
    track = widget.locator(".noUi-base").first.bounding_box()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    picture.evaluate(
        """picture => {
            window.moved = window.shown = 0;
            document.addEventListener('pointermove', () => { window.moved = performance.now(); }, true);
            picture.addEventListener('load', () => { window.shown = performance.now(); });
        }"""
    )
    page.mouse.move(x, y)
    page.mouse.down()
    delays, end = [], track["x"] + track["width"]
    for step in range(1, 11):
        before = picture.get_attribute("src")
        page.evaluate("window.shown = 0")
        page.mouse.move(x + (end - x) * step / 10, y)
        page.wait_for_timeout(20)  # a slider of few frames does not change at each step
        if moved(picture, before):
            page.wait_for_function("window.shown > 0")
            delays.append(page.evaluate("window.shown - window.moved"))
    page.mouse.up()
    return delays


def moved(picture, before):
    """Whether the picture becomes another within two seconds."""
    for _ in range(100):
        if picture.get_attribute("src") != before:
            return True
        time.sleep(0.02)
    return False
