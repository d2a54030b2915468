"""Things to play with in the lessons: controls that draw a picture anew, films of prepared pictures, a sketch pad."""

from __future__ import annotations

import io
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from .. import plots
from ..samplers import sample
from ..training import Step

try:
    import anywidget
    import ipywidgets
    import traitlets
except ImportError:
    raise ImportError("the widgets need anywidget and ipywidgets: pip install minidiffusion[lessons]") from None


class Live(ipywidgets.VBox):
    """A picture that is drawn anew whenever one of its controls moves.

    draw: a function that returns a PNG, or a caption and a PNG; it should take less than about 150 ms. controls: one
    for each of its arguments, by name: a widget, or what `ipywidgets.interact` makes one of, such as (0.0, 8.0, 0.5)
    for a slider, a list for a menu, True for a box to tick.

        Live(lambda seed, eta: md.plots.png(...), seed=(0, 9), eta=(0.0, 8.0, 0.5))
    """

    def __init__(self, draw: Callable[..., bytes | tuple[str, bytes]], **controls: Any):
        self.draw = draw
        self.controls: dict[str, Any] = {
            widget.description: widget for widget in ipywidgets.interactive(draw, **controls).kwargs_widgets
        }
        self.caption, self.image = ipywidgets.Label(), ipywidgets.Image(format="png")
        self.image.layout.align_self = "flex-start"  # otherwise it is stretched to the width of the page
        super().__init__([*self.controls.values(), self.caption, self.image])
        for control in self.controls.values():
            control.observe(self.redraw, "value")
        self.redraw()

    def redraw(self, change: Any = None) -> None:
        """Draw again with the same controls, because something else has changed, such as a sketch pad."""
        drawn = self.draw(**{name: control.value for name, control in self.controls.items()})
        self.caption.value, self.image.value = ("", drawn) if isinstance(drawn, bytes) else drawn

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        return super()._repr_mimebundle_(**kwargs) | _still(self)


class SketchPad(anywidget.AnyWidget):
    """A pad to draw on with the mouse or a finger; `pad.picture` is the drawing.

    side: of the pictures that it gives, in pixels. Pen strokes are white on black, as clothes are in Fashion-MNIST.
    """

    _esm = """
    export default { render({ model, el }) {
      const canvas = Object.assign(document.createElement("canvas"), { width: 252, height: 252 });
      const clear = Object.assign(document.createElement("button"), { textContent: "clear" });
      const pen = canvas.getContext("2d");
      canvas.style.cssText = "touch-action: none; cursor: crosshair; display: block; margin-bottom: 4px";
      canvas.setAttribute("aria-label", "sketch pad");
      const wipe = () => { pen.fillStyle = "black"; pen.fillRect(0, 0, 252, 252); };
      const send = () => { model.set("drawn", canvas.toDataURL("image/png")); model.save_changes(); };
      wipe();
      Object.assign(pen, { strokeStyle: "white", lineWidth: 22, lineCap: "round", lineJoin: "round" });
      canvas.onpointerdown = event => {
        canvas.setPointerCapture(event.pointerId);
        pen.beginPath(); pen.moveTo(event.offsetX, event.offsetY); pen.lineTo(event.offsetX, event.offsetY);
        pen.stroke();
      };
      canvas.onpointermove = event => {
        if (event.buttons) { pen.lineTo(event.offsetX, event.offsetY); pen.stroke(); }
      };
      canvas.onpointerup = send;
      clear.onclick = () => { wipe(); send(); };
      el.append(canvas, clear);
    } };
    """
    drawn = traitlets.Unicode("").tag(sync=True)  # a PNG as a data URL

    def __init__(self, side: int = 28):
        super().__init__()
        self.side = side

    @property
    def picture(self) -> Float[Tensor, "1 1 side side"]:
        """The drawing, in [-1, 1]; black as long as nothing has been drawn."""
        if not self.drawn:
            return -torch.ones(1, 1, self.side, self.side)
        grey = Image.open(io.BytesIO(b64decode(self.drawn.split(",")[1]))).convert("L")
        small = grey.resize((self.side, self.side), Image.Resampling.BOX)
        return torch.from_numpy(np.array(small, dtype=np.float32) / 127.5 - 1)[None, None]

    def __repr__(self) -> str:  # what a reader without a kernel sees
        return f"A pad to draw on, {self.side}x{self.side}"


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
        return super()._repr_mimebundle_(**kwargs) | _still(self)


def _still(widget: Live | Scrubber) -> dict[str, Any]:
    """A still image beside the live widget, for readers without a kernel."""
    return {"text/plain": f"A slider; {widget.caption.value}", "image/png": b64encode(widget.image.value).decode()}


class Watch(ipywidgets.Image):
    """A picture in a notebook that shows what a network draws while it is trained: watch.show(step) in the loop.

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
