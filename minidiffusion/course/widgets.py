"""Interactive figures for the lessons: thin wrappers of ipywidgets around images that were rendered beforehand."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from .. import plots
from ..samplers import sample
from ..training import Step

try:
    import ipywidgets
except ImportError:
    raise ImportError("the widgets need ipywidgets: pip install minidiffusion[lessons]") from None

Film = Sequence[tuple[str, bytes]]  # a caption and a PNG for each frame


class Scrubber(ipywidgets.VBox):
    """A menu of films, and a slider that moves through the frames of the chosen film.

    films: by name, all with the same number of frames. menu: the label of the menu. All frames are rendered before the
    slider moves, so dragging it shows them without delay.
    """

    def __init__(self, films: Mapping[str, Film], menu: str):
        lengths = {len(film) for film in films.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(f"films must have the same number of frames, at least one, got {sorted(lengths)}")
        self.films = dict(films)
        self.choice = ipywidgets.Dropdown(options=list(films), description=menu)
        self.slider = ipywidgets.IntSlider(max=lengths.pop() - 1, description="frame", readout=False)
        self.slider.layout.width = "30em"
        self.slider.value = self.slider.max // 4  # without a kernel, readers see this frame; the first is pure noise
        self.caption = ipywidgets.Label()
        self.image = ipywidgets.Image(format="png")
        self.image.layout.align_self = "flex-start"  # otherwise it is stretched to the width of the page
        super().__init__([self.choice, self.slider, self.caption, self.image])
        for control in (self.choice, self.slider):
            control.observe(self._show, "value")
        self._show()

    def _show(self, change: Any = None) -> None:
        self.caption.value, self.image.value = self.films[self.choice.value][self.slider.value]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Add a still image to the live widget, for readers without a kernel."""
        still = {"text/plain": f"A slider; {self.caption.value}", "image/png": b64encode(self.image.value).decode()}
        return super()._repr_mimebundle_(**kwargs) | still


class Live(ipywidgets.Image):
    """A picture in a notebook that shows what a network draws while it is trained: live.show(step) in the loop.

    x_1: the noise from which it always starts, from `prior`. every: the number of steps between two pictures. cond: of
    each picture, if the network needs one. The pictures come from the averaged weights, in 25 steps of dpmpp_2m.
    """

    def __init__(self, x_1: Tensor, every: int = 100, cond: Any = None):
        super().__init__(format="png")
        self.x_1, self.every, self.cond = x_1, every, cond

    def show(self, step: Step) -> None:
        """Replace the picture, if it is time to."""
        if step.number % self.every == 0:
            x0 = sample(step.ema, self.x_1, steps=25, method="dpmpp_2m", cond=self.cond)
            if x0.ndim == 2:
                self.value = plots.frame(plots.clouds({f"step {step.number}": (x0[:, 0], x0[:, 1])}, "x", "y"))
            else:
                self.value = plots.png(plots.tile(x0))
