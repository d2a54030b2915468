"""Use the studio in a browser as somebody would, with the weights that ship, and keep a picture of the page.

    python figures/systems/studio.py          # writes studio.png and studio.json, the seconds of each request

Needs `pip install -e ".[studio,browser]"` and a Chromium.
"""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
PROMPT = "woman firefighter, medium skin tone, noto style"


def use(page: Page) -> dict[str, float]:
    """Type a prompt, then U2 (here a picture of the page is kept), V3 and a blend; the seconds of each."""
    seconds = {}

    def clicked(name: str, alt: str, *buttons: str) -> None:
        began = time.perf_counter()
        for button in buttons:
            page.get_by_role("button", name=button, exact=True).click()
        page.wait_for_selector(f"img[alt^='{alt}']")
        seconds[name] = round(time.perf_counter() - began, 2)

    began = time.perf_counter()
    page.get_by_text("Ready.").wait_for()
    seconds["from the page's start to Ready"] = round(time.perf_counter() - began, 2)
    page.get_by_label("Prompt").fill(f"{PROMPT} --seed 7")
    clicked("a grid of four", PROMPT, "Draw")
    clicked("U2", f"{PROMPT}, enlarged", "U2")
    page.screenshot(path=HERE / "studio.png")
    clicked("V3", "a variation of", "V3")
    clicked("a blend", "a blend of", "B1", "B4", "Blend")
    return seconds


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "minidiffusion", "studio", "--no-browser", f"--port={port}"])
    try:
        with sync_playwright() as playwright:
            path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1060, "height": 1000})
            page.set_default_timeout(300_000)
            for _ in range(240):
                with socket.socket() as probe:
                    if probe.connect_ex(("localhost", port)) == 0:
                        break
                time.sleep(0.5)
            page.goto(f"http://localhost:{port}", wait_until="domcontentloaded")
            found = {"command": "python figures/systems/studio.py", "seconds": use(page)}
            browser.close()
    finally:
        server.terminate()
        server.wait(60)
    (HERE / "studio.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
