"""The studio with buttons: `Studio()` in a notebook, or as a page with `minidiffusion studio`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

try:
    import ipywidgets
except ImportError:
    raise ImportError("the studio needs ipywidgets: pip install minidiffusion[studio]") from None

from . import look, typed
from .drawing import draw
from .jobs import Jobs
from .records import LONGEST, SIDES, Picture
from .requests import Request, blend, enlarge, imagine, pan, vary
from .shipped import Shipped

CELL, LARGE, SMALL = 190, 400, 120  # sides on the screen, in pixels
ARROWS = dict(zip(SIDES, ("arrow-left", "arrow-right", "arrow-up", "arrow-down"), strict=True))


class Studio(ipywidgets.VBox):
    """A prompt, a grid of four, and what one does with a picture one likes.

    systems: by name, as `draw` takes them; None are those that come with the package. Requests wait in line and are
    drawn in a thread. Every button acts on the pictures that were on the screen when it was clicked.
    """

    def __init__(self, systems: Mapping[str, Any] | None = None):
        self.systems = Shipped() if systems is None else systems
        self.grid: list[Picture] = []
        self.chosen: Picture | None = None  # the one that is shown large
        self.pair: list[Picture] = []  # for a blend
        self._lay_out()
        self.jobs = Jobs(self._show_status)
        self.jobs.add("Waking the networks", lambda: self.systems[self.system.value], self._report)

    # What one can ask for

    def ask(self, *_: Any) -> None:
        """Draw the prompt that is in the box."""
        try:
            line = typed.Typed.of(self.prompt.value)
            seed = secrets.randbelow(10**6) if line.seed is None else line.seed
            request = imagine(line.prompt, line.no, seed, self.system.value)
        except ValueError as error:
            return self._say([str(error)])
        about = partial(typed.notes, prompt=line.prompt, no=line.no)
        self._draw(f"Drawing {look.short(line.prompt or 'anything')}", request, self._show, line.notes, about)

    def enlarge(self, number: int, *_: Any) -> None:
        """U: make one picture of the grid large."""
        source = self.grid[number]

        def show(pictures: list[Picture]) -> None:
            self.chosen = source  # a variation or a pan begins with its own pixels
            self.big.value = look.large(pictures[0], LARGE)
            self._enable()

        self._draw(f"Enlarging picture {number + 1}", enlarge([source], source.record.seed), show)

    def vary(self, number: int, *_: Any) -> None:
        """V: four variations of one picture of the grid."""
        request = vary([self.grid[number]], secrets.randbelow(10**6))
        self._draw(f"Varying picture {number + 1}", request, self._show)

    def pan(self, to: str, *_: Any) -> None:
        """Four ways in which the large picture may go on to this side."""
        if self.chosen is not None:
            self._draw(f"Looking further {to}", pan(self.chosen, to, secrets.randbelow(10**6)), self._show)

    def choose(self, number: int, *_: Any) -> None:
        """Put one picture of the grid up for a blend. Of three, the last two count."""
        self.pair = [*self.pair, self.grid[number]][-2:]
        self.tray.value = look.pair(self.pair, 64)
        self._enable()

    def blend(self, *_: Any) -> None:
        """Four pictures on the way from one chosen picture to the other."""
        if len(self.pair) == 2:
            self._draw("Blending", blend(self.pair[0], self.pair[1], secrets.randbelow(10**6)), self._show)

    def again(self, pictures: Sequence[Picture], *_: Any) -> None:
        """Draw pictures of the history again, from nothing but their records, and compare."""

        def show(drawn: list[Picture]) -> None:
            same = all((a.pixels == b.pixels).all() for a, b in zip(drawn, pictures, strict=True))
            self._say(["Drawn again from their records: " + ("the same pixels." if same else "other pixels.")])
            self._show(drawn, known=True)

        label = f"Drawing {look.short(pictures[0].record.title())} again"
        self._draw(label, ([picture.record for picture in pictures], None), show)

    # What happens then

    def _draw(
        self,
        label: str,
        request: Request | tuple[list, None],
        show: Callable[[list[Picture]], None],
        said: Sequence[str] = (),
        about: Callable[..., list[str]] | None = None,
    ) -> None:
        """Put a request in line. about: from the tokenizer to notes on the prompt, if there is one."""

        def work() -> list[Picture]:
            system = self.systems[request[0][0].system]
            self._say([*said, *([] if about is None else about(system.clip.tokenizer))])
            return draw(self.systems, *request)

        self.jobs.add(label, work, lambda found: None if self._report(found) else show(found))

    def _report(self, found: Any) -> bool:
        """Whether this is an error. If so, it is shown."""
        if isinstance(found, Exception):
            self._say([f"That did not work: {found}"])
        return isinstance(found, Exception)

    def _say(self, lines: Sequence[str]) -> None:
        self.notes.value = look.notes(lines)

    def _show(self, pictures: list[Picture], known: bool = False) -> None:
        """Bring pictures into the grid, and into the history if they are new there."""
        self.grid = pictures
        for cell, picture in zip(self.cells, pictures, strict=False):
            cell.value = look.shown([picture], CELL)
        if not known:
            button = ipywidgets.Button(description=look.short(pictures[0].record.title(), 13), icon="repeat")
            button.tooltip = f"Draw again: {pictures[0].record.title()[:300]}"
            button.layout.width = f"{SMALL}px"
            button.on_click(partial(self.again, pictures))
            entry = ipywidgets.VBox([ipywidgets.HTML(look.shown(pictures, SMALL)), button])
            self.history.children = (entry, *self.history.children)
        self._enable()

    def _show_status(self, labels: list[str]) -> None:
        self.status.value = look.status(labels)

    def _enable(self) -> None:
        for button in (*self.ups, *self.varies, *self.picks):
            button.disabled = not self.grid
        for button in self.pans:
            button.disabled = self.chosen is None
        self.blending.disabled = len(self.pair) < 2

    # What it looks like

    def _lay_out(self) -> None:
        self.prompt = ipywidgets.Text(description="Prompt", placeholder="woman astronaut, dark skin tone, fluent style")
        self.prompt.style.description_width = "initial"
        self.prompt.layout = ipywidgets.Layout(flex="1 1 auto", height="40px")
        self.prompt.tooltip = f"Prompt, up to {LONGEST:,} characters"
        self.prompt.on_msg(lambda _, content, __: self.ask() if content.get("event") == "submit" else None)
        names = [("Stable Diffusion", "stable_diffusion"), ("DALL-E 2", "dalle2")]
        self.system = ipywidgets.ToggleButtons(options=names)
        self.go = _button("Draw", self.ask, "Draw four pictures of the prompt", "", "90px", button_style="primary")
        self.status, self.notes = ipywidgets.HTML(look.status([])), ipywidgets.HTML()
        self.cells = [ipywidgets.HTML(look.empty(f"Picture {i}", CELL)) for i in range(1, 5)]
        self.ups, self.varies, self.picks = [], [], []
        rows = []
        for i, cell in enumerate(self.cells):
            self.ups.append(_button(f"U{i + 1}", partial(self.enlarge, i), f"Make picture {i + 1} large"))
            self.varies.append(_button(f"V{i + 1}", partial(self.vary, i), f"Four variations of picture {i + 1}"))
            self.picks.append(_button(f"B{i + 1}", partial(self.choose, i), f"Choose picture {i + 1} for a blend"))
            rows.append(ipywidgets.VBox([cell, ipywidgets.HBox([self.ups[i], self.varies[i], self.picks[i]])]))
        square = ipywidgets.Layout(grid_template_columns="200px 200px", grid_gap="12px", align_self="flex-start")
        four = ipywidgets.GridBox(rows, layout=square)
        self.big = ipywidgets.HTML(look.empty("U1 to U4 make a picture large. Then you can pan.", LARGE))
        self.pans = [
            _button("", partial(self.pan, to), f"Pan {to}: what is further {to}?", icon, "48px")
            for to, icon in ARROWS.items()
        ]
        self.tray = ipywidgets.HTML("<p>Choose two pictures with the buttons B.</p>")
        self.blending = _button("Blend", self.blend, "Four pictures between the two chosen ones", "", "100px")
        right = ipywidgets.VBox([self.big, ipywidgets.HBox(self.pans), ipywidgets.HBox([self.blending, self.tray])])
        self.history = ipywidgets.HBox(layout=ipywidgets.Layout(overflow="auto", width="100%"))
        top = ipywidgets.HBox([self.prompt, self.go])
        wrap = ipywidgets.Layout(flex_flow="row wrap", grid_gap="16px")
        body = ipywidgets.Box([four, right], layout=wrap)
        heads = [ipywidgets.HTML(look.STYLE + look.TITLE), top, self.system, self.status, self.notes, body]
        super().__init__([*heads, ipywidgets.HTML("<p>History: every button draws its four again.</p>"), self.history])
        self.add_class("studio")
        self._enable()


def _button(
    text: str, clicked: Callable[..., None], tooltip: str, icon: str = "", width: str = "60px", **style: str
) -> ipywidgets.Button:
    button = ipywidgets.Button(description=text, tooltip=tooltip, icon=icon, **style)
    button.layout.width = width
    button.on_click(lambda _: clicked())
    return button
