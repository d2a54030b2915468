"""Contact sheets: what the systems draw, to be looked at before any number.

    python figures/systems/sheets.py [--weights FOLDER] [NAME ...]

Each function below is a sheet, and its name that of the PNG. Picture i of a sheet has seed i unless it says otherwise.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

import minidiffusion as md
from minidiffusion.data.emoji import load_emoji
from minidiffusion.plots import strips, tile
from minidiffusion.systems import DALLE2, StableDiffusion
from minidiffusion.systems.shipped import WEIGHTS

HERE = Path(__file__).parent
SHEETS: dict[str, Callable[[StableDiffusion, DALLE2], Figure]] = {}
STYLES = ("noto", "fluent", "fluent-flat", "twemoji")
TONES = ("light", "medium-light", "medium", "medium-dark", "dark")


def sheet(function: Callable[[StableDiffusion, DALLE2], Figure]) -> Callable:
    SHEETS[function.__name__] = function
    return function


def seeded(seeds: range | list[int]) -> list[Generator]:
    return [Generator().manual_seed(seed) for seed in seeds]


def labelled(pictures: Tensor, names: list[str], columns: int = 10) -> Figure:
    """Pictures with their prompts below them."""
    rows = -(-len(pictures) // columns)
    figure = Figure(figsize=(1.25 * columns, 1.85 * rows))
    margins = dict(left=0, right=1, bottom=0.36 / rows, top=1, wspace=0.1, hspace=0.45)
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw=margins)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, picture, name in zip(axes.flat, pictures, names, strict=False):
        axis.imshow(tile(picture[None]), interpolation="nearest")
        axis.text(0.5, -0.02, textwrap.fill(name, 19), transform=axis.transAxes, ha="center", va="top", fontsize=8)
    return figure


@sheet
def opening(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """Eight prompts that we chose, and what Stable Diffusion draws of them, for the top of the README."""
    prompts = [
        *("woman firefighter, medium skin tone, noto style", "man student, dark skin tone, fluent style"),
        *("grinning face with smiling eyes, twemoji style", "red heart, fluent style"),
        *("people holding hands, medium-light skin tone, noto style", "diving mask, fluent style"),
        *("santa claus, medium-dark skin tone, fluent style", "flag, poland, twemoji style"),
    ]
    return labelled(sd.draw(prompts, seeded(range(8))), prompts, columns=8)


def examples(split: str, count: int) -> tuple[Tensor, list[str]]:
    """Real pictures of a split with their prompts, spread over all of it."""
    images, captions = load_emoji(split)
    index = torch.linspace(0, len(captions) - 1, count).long().tolist()
    prompts = captions.prompts()
    return md.datasets.to_float(images[index]), [prompts[i] for i in index]


def real_and_drawn(split: str, sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    real, prompts = examples(split, 12)
    drawn = [system.draw(prompts, seeded(range(12))) for system in (sd, dalle2)]
    return strips(list(zip(prompts, torch.stack([real, *drawn], dim=1), strict=True)), ["real", "SD", "DALL-E 2"])


@sheet
def seen(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    return real_and_drawn("train", sd, dalle2)


@sheet
def unseen_tone(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    return real_and_drawn("unseen_tone", sd, dalle2)


@sheet
def unseen_style(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    return real_and_drawn("unseen_style", sd, dalle2)


def free(system: StableDiffusion | DALLE2) -> Figure:
    prompts = (HERE / "free_prompts.txt").read_text(encoding="utf-8").splitlines()
    return labelled(system.draw(prompts, seeded(range(len(prompts)))), prompts)


@sheet
def free_stable_diffusion(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """The fifty free prompts, which were written before the training ended; one picture each, none chosen."""
    return free(sd)


@sheet
def free_dalle2(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """The same by DALL-E 2."""
    return free(dalle2)


@sheet
def style_by_tone(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """One noise, the same words: only style and tone change."""
    rows = []
    for style in STYLES:
        prompts = [f"woman firefighter, {tone} skin tone, {style} style" for tone in TONES]
        rows.append((style, sd.draw(prompts, seeded([3] * len(prompts)))))
    return strips(rows, TONES)


@sheet
def variations(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """Real pictures, and five variations of each by DALL-E 2."""
    real, prompts = examples("train", 8)
    rows = [
        (textwrap.fill(p, 24), torch.cat([x[None], dalle2.vary(x.expand(5, -1, -1, -1), seeded(range(5)))]))
        for x, p in zip(real, prompts, strict=True)
    ]
    return strips(rows, ["real", *(f"seed {i}" for i in range(5))])


PAIRS = (("lion", "dog face"), ("red apple", "tangerine"), ("grinning face", "ghost"), ("rose", "tulip"))


def picture_of(thing: str) -> Tensor:
    """The first real picture with this caption in the training."""
    images, captions = load_emoji("train")
    return md.datasets.to_float(images[captions.index(thing)][None])


@sheet
def blends(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """From one real picture to another by DALL-E 2: embedding and noise both turn."""
    shares = [i / 6 for i in range(7)]
    rows = []
    for one, other in PAIRS:
        a, b = picture_of(one), picture_of(other)
        between = [dalle2.blend(a, b, share, seeded([0])) for share in shares]
        rows.append((f"{one} to {other}", torch.cat([a, *between, b])))
    return strips(rows, ["real", *(f"{share:.2f}" for share in shares), "real"])


DIFFERENCES = (
    ("grinning face", "happy face", "sad face"),
    ("cat face", "cat", "lion"),
    ("red apple", "red apple", "green apple"),
    ("house", "house", "house in winter, snow"),
)


@sheet
def text_differences(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """A picture moved in the direction from one text to another."""
    shares, rows = [0.0, 0.15, 0.3, 0.45, 0.6], []
    for thing, before, after in DIFFERENCES:
        x = picture_of(thing)
        moved = [dalle2.text_difference(x, before, after, share, seeded([0])) for share in shares]
        rows.append((f"{before} to {after}", torch.cat([x, *moved])))
    return strips(rows, ["real", *(f"{share:.2f}" for share in shares)])


@sheet
def attention(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """Where the U-Net looked for each word: bright is much."""
    prompts = ["woman firefighter, dark skin tone, fluent style", "cat face with tears of joy, noto style", "red heart"]
    columns = 1 + max(len(sd.clip.tokenizer.words(prompt)[0]) for prompt in prompts)
    figure = Figure(figsize=(1.15 * columns, 1.4 * len(prompts) + 0.5), layout="constrained")
    for line, prompt in zip(figure.subplots(len(prompts), columns), prompts, strict=True):
        picture, words, maps = sd.attention(prompt, seeded([0]))
        for axis in line:
            axis.set_axis_off()
        line[0].imshow(tile(picture))
        shade = md.datasets.to_uint8(picture.mean(1))[0]
        for axis, word, one in zip(line[1:], words, maps, strict=False):
            axis.imshow(shade, cmap="gray", extent=(0, 1, 0, 1))
            shown = axis.imshow(one, cmap="inferno", alpha=0.65, extent=(0, 1, 0, 1), interpolation="bilinear")
            axis.set_title(word, fontsize=10)
    bar = figure.colorbar(shown, ax=figure.axes, location="bottom", shrink=0.3, aspect=30)
    bar.set_ticks([float(one.min()), float(one.max())], labels=["looked least", "looked most"])
    return figure


@sheet
def ladder(sd: StableDiffusion, dalle2: DALLE2) -> Figure:
    """What the decoder draws from ever better embeddings, without words: from the text's own to the true picture's."""
    real, prompts = examples("unseen_style", 10)
    text, image = dalle2.clip.text(prompts), dalle2.clip.image(real)
    images, captions = load_emoji("train")
    few = md.datasets.to_float(images[::25])
    gap = dalle2.clip.image(few).mean(0) - dalle2.clip.text(captions.prompts()[::25]).mean(0)
    steps = {
        "text": text,
        "text + gap": torch.nn.functional.normalize(text + gap, dim=1),
        "AR prior": torch.nn.functional.normalize(
            dalle2.autoregressive_prior.sample(text, Generator().manual_seed(0), 0.7), dim=1
        ),
        "prior": dalle2.imagine(prompts, seeded(range(10))),
        "picture": image,
    }
    drawn = [dalle2.decode(z, seeded(range(10))) for z in steps.values()]
    return strips(list(zip(prompts, torch.stack([*drawn, real], dim=1), strict=True)), [*steps, "real"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(SHEETS)}; default: all")
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the folder with the trained parts")
    arguments = parser.parse_args()
    with torch.no_grad():
        systems = [make(folder=arguments.weights) for make in (md.systems.stable_diffusion, md.systems.dalle2)]
        for name in arguments.names or SHEETS:
            SHEETS[name](*systems).savefig(HERE / f"{name}.png", dpi=120)
            print(HERE / f"{name}.png", flush=True)
