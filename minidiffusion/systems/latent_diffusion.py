"""Stable Diffusion (Rombach et al. 2022): diffusion in the latent space of an autoencoder, steered by words.

prompt --> CLIP's text encoder --> words ----+ cross-attention at every level, and a sketch beside z_t (sketch.py)
                                             v
noise z_1 --> sampler, with guidance --> U-Net: z_t -> z_0_hat --> z_0 --> decoder, once --> picture
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from .. import check
from ..data.emoji import Captions
from ..denoiser import Denoiser
from ..guidance import classifier_free, inpaint
from ..nets.autoencoder import PATCH, Autoencoder
from ..nets.maps import recorded
from ..objectives.weighted import draw_times, loss_per_item
from ..samplers import sample
from ..training.descend import Step, descend
from ..training.device import autocast
from .batches import BY_THING, SHAPES, Batches, later
from .contrastive import CLIP
from .prompts import Generators, generators, noise, read

DROP = 0.1  # of the captions, so that the network also learns to do without (Ho and Salimans 2022)
SCALE, STEPS, METHOD = 3.0, 12, "dpmpp_2m"
GUIDED = (0.25, 0.8)  # the times at which guidance works: in more noise it costs variety (Kynkäänniemi et al. 2024)
ALWAYS = (0.0, 1.0)  # with a negative prompt, since colours and outlines are decided in more noise
SIDE = 64


@dataclass(frozen=True)
class StableDiffusion:
    """The three parts of Stable Diffusion, each trained on its own, and what one can do with them.

    All methods take prompts, one for each picture. Pictures are floats (batch, 3, 64, 64) in [-1, 1]. generator: one,
    or one for each picture; a picture depends on its own only. scale: of the guidance, 1 is none. against: a prompt to
    move away from, the negative prompt. steps: of the sampler. A word that is not known is named in a warning.
    """

    clip: CLIP
    autoencoder: Autoencoder
    denoise: Denoiser

    def draw(
        self,
        prompts: Sequence[str],
        generator: Generators = None,
        scale: float = SCALE,
        against: str | None = None,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Pictures of these prompts."""
        words, guided = self.guided(prompts, scale, against)
        return self.decode(self._sample(guided, self.noise(len(words), generator), words, steps))

    def redraw(
        self,
        pictures: Float[Tensor, "batch 3 64 64"],
        prompts: Sequence[str],
        strength: float = 0.6,
        generator: Generators = None,
        scale: float = SCALE,
        against: str | None = None,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Image to image: noise the pictures up to time `strength`, and denoise them under the prompts (SDEdit).

        strength: 0 keeps the picture, as far as the autoencoder can; 1 keeps next to nothing.
        """
        check.number("strength", strength, 0.0, 1.0)
        check.whole("steps", steps)
        words, guided = self.guided(prompts, scale, against)
        schedule, eps = self.denoise.schedule, self.noise(len(words), generator)
        z, level = self.encode(pictures), schedule.at(strength)
        if strength == 0:
            return self.decode(z)
        times = [strength * (1 - i / steps) for i in range(steps + 1)]
        return self.decode(self._sample(guided, level.alpha * z + level.sigma * eps, words, steps, times))

    def fill(
        self,
        pictures: Float[Tensor, "batch 3 64 64"],
        known: Bool[Tensor, "64 64"],
        prompts: Sequence[str],
        generator: Generators = None,
        scale: float = SCALE,
        against: str | None = None,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Inpainting: keep the pixels where `known` is True and draw the others under the prompts."""
        words, guided = self.guided(prompts, scale, against)
        whole = -F.max_pool2d(-known[None].float(), PATCH) > 0  # a latent is known if all of its pixels are
        filled = inpaint(guided, self.encode(pictures), whole.to(words.device))
        z = self._sample(filled, self.noise(len(words), generator), words, steps)
        return torch.where(known.to(words.device), pictures.to(words.device), self.decode(z))

    @torch.no_grad()
    def attention(
        self,
        prompt: str,
        generator: Generators = None,
        scale: float = SCALE,
        steps: int = STEPS,
    ) -> tuple[Float[Tensor, "1 3 64 64"], list[str], Float[Tensor, "word 16 16"]]:
        """A picture of the prompt, its known words, and where the network looked for each of them.

        The map of a word is the weight that each place gave to it, averaged over all layers, heads and steps.
        """
        words, guided = self.guided([prompt], scale)
        known = self.clip.tokenizer.words(prompt)[0][: words.shape[1] - 1]
        check.must_be("a text with at least one known word", "prompt", prompt, bool(known))
        with recorded(self.denoise) as maps:
            picture = self.decode(self._sample(guided, self.noise(1, generator), words, steps))
        sides = [SIDE // PATCH] * 2
        total = torch.zeros(len(known), *sides)
        named = [one for one in maps if one.shape[2] == words.shape[1]]  # not those of "no prompt"
        for one in named:
            side = int(one.shape[1] ** 0.5)
            part = one[0, :, 1 : len(known) + 1].T.view(len(known), side, side).cpu()
            total += F.interpolate(part[None], sides, mode="bilinear")[0] / len(named)
        return picture, known, total

    def guided(self, prompts: Sequence[str], scale: float, against: str | None = None) -> tuple[Tensor, Any]:
        """The words of the prompts, and the denoiser that moves towards them and away from `against`."""
        words = read(self.clip, prompts)
        away = None if against is None else read(self.clip, [against] * len(words))
        return words, classifier_free(self.denoise, scale, away, GUIDED if away is None else ALWAYS)

    def noise(self, count: int, generator: Generators) -> Float[Tensor, "count latent 16 16"]:
        """The latents z_1 at which sampling starts."""
        shape = (self.autoencoder.latent, SIDE // PATCH, SIDE // PATCH)
        return noise(shape, generators(count, generator)).to(self.clip.log_scale.device)

    @torch.no_grad()
    def encode(self, pictures: Float[Tensor, "batch 3 64 64"]) -> Float[Tensor, "batch latent 16 16"]:
        pictures = pictures.to(self.autoencoder.scale.device)
        with autocast(pictures.device):
            return self.autoencoder.encode(pictures)

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "batch latent 16 16"]) -> Float[Tensor, "batch 3 64 64"]:
        with autocast(z.device):
            return self.autoencoder.decode(z)

    def _sample(
        self, denoise: Any, z: Tensor, words: Tensor, steps: int, times: Sequence[float] | None = None
    ) -> Tensor:
        with autocast(z.device):
            return sample(denoise, z, None, steps, METHOD, times, cond=words)


def fit_words(
    denoiser: Denoiser,
    latents: Float[Tensor, "count latent row column"],
    captions: Captions,
    clip: CLIP,
    steps: int,
    batch_size: int = 64,
    weighting: str = "uniform",
    shapes: bool = False,
    **options: Any,
) -> Iterator[Step]:
    """Train `denoiser` on latents with the words of their captions, which `clip` reads and does not learn.

    Yields a step after each of `steps` steps. shapes: work on what is hardest, the shapes of things. They are decided
    in much noise, so the times are `later`; and SHAPES of the pictures are drawn by thing, for most are of people.
    options: of `descend`.
    """
    batches = Batches.of(captions, clip.tokenizer)

    def draw(generator: Generator) -> tuple[Tensor, ...]:
        index = batches.pictures(batch_size, generator, SHAPES if shapes else BY_THING)
        tokens, _ = batches.words(index, generator)
        dropped = torch.rand(batch_size, generator=generator) < DROP
        t, eps = draw_times(batch_size, generator), torch.randn(latents[index].shape, generator=generator)
        tokens = tokens.masked_fill(dropped[:, None], 0)  # 0 is padding
        return latents[index].float(), later(t) if shapes else t, eps, tokens

    def loss(z: Tensor, t: Tensor, eps: Tensor, tokens: Tensor) -> Tensor:
        with torch.no_grad():
            words = clip.text_encoder(tokens)
        return loss_per_item(denoiser, z, t, eps, weighting, words)

    return descend(denoiser, draw, loss, steps, **options)
