"""What each part is for: take it out, draw the same prompts with the same seeds, and ask the judge again.

python figures/systems/parts.py [--count 300] [--weights FOLDER]      # writes parts.json
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import torch
from judge import load_judge
from quality import chosen, top1
from torch import Generator, Tensor

import minidiffusion as md
from minidiffusion.data.emoji import load_emoji
from minidiffusion.systems import DALLE2, SketchedUNet, StableDiffusion, unclip
from minidiffusion.systems.decoder import doubled
from minidiffusion.systems.latent_diffusion import SCALE, STEPS
from minidiffusion.systems.prompts import read
from minidiffusion.systems.shipped import WEIGHTS

HERE = Path(__file__).parent
Draw = Callable[[list[str], list[Generator]], Tensor]


def without_parts(sd: StableDiffusion, dalle2: DALLE2) -> dict[str, Draw]:
    """Ways to draw prompts, by what is missing."""
    clip = dalle2.clip
    images, captions = load_emoji("train")
    pick = torch.arange(0, len(images), 12)
    every = captions.prompts()
    pictures = torch.cat([clip.image(md.datasets.to_float(part)) for part in images[pick].split(250)])
    gap = pictures.mean(0) - clip.text([every[i] for i in pick]).mean(0)

    def whole_text(prompts: list[str], each: list[Generator]) -> Tensor:
        words, guided = sd.guided(prompts, SCALE)
        words = words.clone()
        words[:, 1:] = 0
        return sd.decode(sd._sample(guided, sd.noise(len(words), each), words, STEPS))

    def only_the_sketch(prompts: list[str], each: list[Generator]) -> Tensor:
        return sd.decode(sd.denoise.net.sketch(read(sd.clip, prompts)))

    def no_sketch(net: SketchedUNet, draw: Draw) -> Draw:
        none = net.sketch(clip.words([""]))  # what it is without words

        def drawn(prompts: list[str], each: list[Generator]) -> Tensor:
            with net.sketch.register_forward_hook(lambda net, words, output: none.expand_as(output)):
                return draw(prompts, each)

        return drawn

    def no_words(prompts: list[str], each: list[Generator]) -> Tensor:
        return dalle2.decode(dalle2.imagine(prompts, each), each)

    def smooth(prompts: list[str], each: list[Generator]) -> Tensor:
        return doubled(dalle2.small(dalle2.imagine(prompts, each), each, prompts)).clamp(-1, 1)

    def autoregressive(prompts: list[str], each: list[Generator]) -> Tensor:
        parts = [dalle2.autoregressive_prior.sample(clip.text([p]), g) for p, g in zip(prompts, each, strict=True)]
        return dalle2.decode(torch.nn.functional.normalize(torch.cat(parts), dim=1), each, prompts)

    def one_candidate(prompts: list[str], each: list[Generator]) -> Tensor:
        before, unclip.CANDIDATES = unclip.CANDIDATES, 1
        try:
            return dalle2.draw(prompts, each)
        finally:
            unclip.CANDIDATES = before

    return {
        "Stable Diffusion": lambda p, g: sd.draw(p, g),
        "Stable Diffusion without guidance": lambda p, g: sd.draw(p, g, scale=1.0),
        "Stable Diffusion that sees only the vector of the whole text when it draws": whole_text,
        "Stable Diffusion without the sketch when it draws": no_sketch(sd.denoise.net, sd.draw),
        "the sketch alone, decoded": only_the_sketch,
        "DALL-E 2": lambda p, g: dalle2.draw(p, g),
        "DALL-E 2 without the prior: the text's own embedding": lambda p, g: dalle2.decode(clip.text(p), g, p),
        "DALL-E 2 without the prior: that embedding plus the mean gap": lambda p, g: dalle2.decode(
            torch.nn.functional.normalize(clip.text(p) + gap, dim=1), g, p
        ),
        "DALL-E 2 with the autoregressive prior": autoregressive,
        "DALL-E 2 with one embedding instead of the better of two": one_candidate,
        "DALL-E 2 without words in the decoder": no_words,
        "DALL-E 2 without the sketch when it draws": no_sketch(dalle2.decoder.net, dalle2.draw),
        "DALL-E 2 without guidance of the decoder": lambda p, g: dalle2.draw(p, g, scale=1.0),
        "DALL-E 2 without guidance of the prior": lambda p, g: dalle2.decode(dalle2.imagine(p, g, 1.0), g, p),
        "DALL-E 2 without the upsampler: bicubic": smooth,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the folder with the trained parts")
    args = parser.parse_args()
    judge = load_judge()
    systems = md.systems.stable_diffusion(folder=args.weights), md.systems.dalle2(folder=args.weights)
    _, captions, index = chosen("train", args.count)
    every = captions.prompts()
    prompts, result = [every[i] for i in index], {}
    for name, draw in without_parts(*systems).items():
        parts = []
        for i in range(0, len(prompts), 50):
            some = prompts[i : i + 50]
            parts.append(draw(some, [Generator().manual_seed(i + j) for j in range(len(some))]))
        score, _ = top1(judge, torch.cat(parts), prompts)
        result[name] = {"drawn": score, "standard_error": math.sqrt(score * (1 - score) / len(prompts))}
        print(f"{score:.3f}  {name}", flush=True)
    found = {"command": f"python figures/systems/parts.py --count {args.count}", "count": len(prompts), "top1": result}
    (HERE / "parts.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with torch.no_grad():
        main()
