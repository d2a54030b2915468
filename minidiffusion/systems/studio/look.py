"""How the studio looks: its style sheet, and pictures and notes as HTML. Whatever somebody typed is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from .files import png
from .records import Picture

# The blue is one that colour-blind people can tell from the grey; nothing is said by colour alone.
STYLE = """<style>
.studio { max-width: 960px; margin: 0 auto; font-family: system-ui, sans-serif; }
.studio h1 { font-size: 24px; margin: 12px 0 0; font-weight: 600; }
.studio p { margin: 4px 0; color: #444; line-height: 1.4; }
.studio img { display: block; border-radius: 8px; image-rendering: pixelated; background: #fff; }
.studio figure { margin: 0; } .studio figcaption { color: #444; line-height: 1.4; padding-top: 4px; }
.studio .empty { border: 1px dashed #999; border-radius: 8px; box-sizing: border-box; color: #555; display: flex;
  align-items: center; justify-content: center; text-align: center; padding: 12px; }
.studio input[type=text] { font-size: 16px; height: 36px; border-radius: 6px; }
.studio button { border-radius: 6px; } .studio button:focus-visible { outline: 3px solid #E69F00; }
.studio a { color: #0072B2; text-decoration: underline; } .studio .pair { display: flex; gap: 8px; }
.studio .mod-active { box-shadow: inset 0 0 0 2px #0072B2; background: #fff; font-weight: 600; }
.studio .mod-primary { background: #0072B2; color: #fff; height: 36px; }
.studio-busy::before { content: ""; display: inline-block; width: 12px; height: 12px; margin-right: 8px;
  border: 2px solid #0072B2; border-right-color: transparent; border-radius: 50%; vertical-align: -2px;
  animation: studio-turn 1s linear infinite; }
@keyframes studio-turn { to { transform: rotate(360deg); } }
@media (prefers-reduced-motion: reduce) { .studio-busy::before { animation: none; } }
</style>"""
TITLE = """<h1>minidiffusion studio</h1>
<p>Describe a picture and press Enter. Add <code>--no red</code> for what should not be in it, and
<code>--seed 7</code> for the same pictures again.</p>"""


def shown(pictures: Sequence[Picture], width: int) -> str:
    """The pictures on one sheet as an <img>, `width` pixels wide; saved from the browser, it carries its records."""
    titles = "; ".join(dict.fromkeys(picture.record.title() for picture in pictures))
    return f'<img width="{width}" height="{width}" alt="{escape(titles[:300])}" src="{_address(pictures)}">'


def large(picture: Picture, width: int) -> str:
    """A picture with its title and its seed beneath, and a link that saves it."""
    record = picture.record
    title, name = escape(record.title()[:300]), f"studio-{record.seed}.png"
    save = f'<a download="{name}" href="{_address([picture])}">Save this picture</a>'
    said = f"{title}<br>Seed {record.seed}. {save}; the file says how to draw it again."
    return f"<figure>{shown([picture], width)}<figcaption>{said}</figcaption></figure>"


def pair(pictures: Sequence[Picture], width: int) -> str:
    """Pictures side by side."""
    return f'<div class="pair">{"".join(shown([picture], width) for picture in pictures)}</div>'


def empty(text: str, width: int) -> str:
    """A place in which a picture will be."""
    return f'<div class="empty" style="width:{width}px;height:{width}px">{escape(text)}</div>'


def status(labels: Sequence[str]) -> str:
    """What is being drawn, and what waits, in words that a screen reader speaks."""
    if not labels:
        return '<p role="status">Ready.</p>'
    waiting = f" Waiting: {'; '.join(labels[1:])}." if labels[1:] else ""
    return f'<p role="status" class="studio-busy">{escape(f"{labels[0]} ...{waiting}")}</p>'


def notes(lines: Sequence[str]) -> str:
    """Notes to the writer, one a line."""
    return "".join(f'<p role="note">{escape(line)}</p>' for line in lines)


def short(text: str, most: int = 60) -> str:
    """The text, or its first `most` characters with a sign that it goes on."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _address(pictures: Sequence[Picture]) -> str:
    return f"data:image/png;base64,{b64encode(png(pictures)).decode()}"
