"""The studio, Midjourney's way of working: a prompt, a grid of four, and what one does with a picture one likes.

    typed       from a line such as "blue rose --no red --seed 7" to a request
    records     everything that one picture was drawn from, as JSON
    requests    imagine, vary, blend, pan, enlarge: from pictures to the records of new ones
    drawing     from records to pictures, the same pixels every time
    files       a PNG that carries its records
    shipped     the systems and their checksums, loaded when they are first needed
    jobs        requests that wait in line, drawn one at a time
    widget      all of it with buttons, for a notebook or for `minidiffusion studio`; needs ipywidgets

Midjourney has published nothing about its networks, so the pictures come from Stable Diffusion and DALL-E 2.
"""

from .drawing import draw
from .files import png, read
from .records import Picture, Record
from .requests import blend, enlarge, imagine, pan, vary
from .shipped import Shipped
from .typed import Typed

__all__ = ["Picture", "Record", "Shipped", "Typed", "blend", "draw", "enlarge", "imagine", "pan", "png", "read", "vary"]
