"""DALL-E 2 (Ramesh et al. 2022): text -> its CLIP embedding -> the embedding of a picture -> a picture.

prompt --> CLIP's text encoder --> z_t --> prior --> z_i --> decoder --> 32x32 --> upsampler --> 64x64
                                                     ^
picture --> CLIP's image encoder --------------------+  variations and blends begin here
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor

from .. import check
from ..denoiser import Denoiser
from ..guidance import classifier_free, interpolate, invert
from ..samplers import sample
from ..training.device import autocast
from .contrastive import CLIP
from .decoder import condition, enlarged, squares
from .latent_diffusion import ALWAYS, GUIDED
from .priors import AutoregressivePrior, stretched
from .prompts import Generators, generators, noise, read

SCALE, STEPS, METHOD = 3.0, 20, "dpmpp_2m"
PRIOR_SCALE, PRIOR_STEPS, CANDIDATES = 2.0, 20, 2  # of two embeddings the one nearer to the text (their sec. 2.2)
UPSAMPLER_STEPS = 6
SMALL = 32


def imagined(
    prior: Denoiser, texts: Float[Tensor, "batch width"], each: Sequence[Generator], scale: float = PRIOR_SCALE
) -> Float[Tensor, "batch width"]:
    """For each text, of CANDIDATES embeddings from the prior the nearest to it, a unit vector. scale: of guidance."""
    z = noise((CANDIDATES, texts.shape[1]), each).flatten(0, 1).to(texts.device)
    cond = stretched(texts.repeat_interleave(CANDIDATES, dim=0))
    drawn = sample(classifier_free(prior, scale), z, None, PRIOR_STEPS, METHOD, cond=cond)
    drawn = F.normalize(drawn, dim=1).unflatten(0, (-1, CANDIDATES))
    nearest = (drawn @ texts[:, :, None]).argmax(1)
    return drawn.take_along_dim(nearest[:, :, None], dim=1)[:, 0]


@dataclass(frozen=True)
class DALLE2:
    """The parts of DALL-E 2, each trained on its own, and what one can do with them.

    Pictures are floats (batch, 3, 64, 64) in [-1, 1], embeddings unit vectors (batch, width). generator: one, or one
    for each picture; a picture depends on its own only. A word that is not known is named in a warning.
    """

    clip: CLIP
    prior: Denoiser
    autoregressive_prior: AutoregressivePrior
    decoder: Denoiser
    upsampler: Denoiser

    def draw(
        self,
        prompts: Sequence[str],
        generator: Generators = None,
        scale: float = SCALE,
        against: str | None = None,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Pictures of these prompts, by way of an embedding that the prior imagines.

        scale: guidance of the decoder, 1 is none. against: a prompt to move away from. steps: of the decoder.
        """
        each = generators(len(prompts), generator)
        return self.decode(self.imagine(prompts, each), each, prompts, scale, against, steps)

    @torch.no_grad()
    def imagine(
        self, prompts: Sequence[str], generator: Generators = None, scale: float = PRIOR_SCALE
    ) -> Float[Tensor, "batch width"]:
        """Embeddings of pictures of these prompts: of CANDIDATES from the prior, for each the nearest to the text."""
        texts = self.clip.embed_words(read(self.clip, prompts))
        # one prompt at a time, so that the last digits do not depend on the others in the batch
        pairs = zip(texts.split(1), generators(len(texts), generator), strict=True)
        return torch.cat([imagined(self.prior, text, [one], scale) for text, one in pairs])

    def decode(
        self,
        embeddings: Float[Tensor, "batch width"],
        generator: Generators = None,
        prompts: Sequence[str] | None = None,
        scale: float = SCALE,
        against: str | None = None,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Pictures with these embeddings, and with these prompts if there are any."""
        each = generators(len(embeddings), generator)
        return self.enlarge(self.small(embeddings, each, prompts, scale, against, steps), each)

    def small(
        self,
        embeddings: Float[Tensor, "batch width"],
        generator: Generators = None,
        prompts: Sequence[str] | None = None,
        scale: float = SCALE,
        against: str | None = None,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 32 32"]:
        """What the decoder draws, before it is enlarged."""
        each, embeddings = generators(len(embeddings), generator), embeddings.to(self.clip.log_scale.device)
        x = noise((12, SMALL // 2, SMALL // 2), each).to(embeddings.device)
        return self._decode(x, embeddings, prompts, scale, against, steps)

    @torch.no_grad()
    def enlarge(
        self, small: Float[Tensor, "batch 3 side side"], generator: Generators = None
    ) -> Float[Tensor, "batch 3 2*side 2*side"]:
        """The pictures at twice their size, with the detail that the upsampler adds; it has learned from 32 pixels."""
        small = small.to(self.clip.log_scale.device)
        shape = (48, small.shape[2] // 2, small.shape[3] // 2)
        x = noise(shape, generators(len(small), generator)).to(small.device)
        with autocast(small.device):
            return enlarged(sample(self.upsampler, x, None, UPSAMPLER_STEPS, METHOD, cond=small), small)

    def vary(
        self,
        pictures: Float[Tensor, "batch 3 64 64"],
        generator: Generators = None,
        share: float = 0.4,
        scale: float = SCALE,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Variations (their sec. 3.1): keep the embedding, and replace a `share` of the noise that led to the picture.

        share: 1 keeps nothing but the embedding; 0 draws the picture itself, as far as the decoder can, if scale is 1
        (guidance pulls the drawing away from the picture, whose noise `invert` finds without it).
        """
        check.number("share", share, 0.0, 1.0)
        each = generators(len(pictures), generator)
        embeddings, own = self.invert(pictures, steps)
        fresh = noise(own.shape[1:], each).to(own.device)
        x = (1 - share) ** 0.5 * own + share**0.5 * fresh
        return self.enlarge(self._decode(x, embeddings, None, scale, None, steps), each)

    def blend(
        self,
        a: Float[Tensor, "#batch 3 64 64"],
        b: Float[Tensor, "#batch 3 64 64"],
        share: float | Sequence[float] = 0.5,
        generator: Generators = None,
        scale: float = SCALE,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """Pictures between a (share 0) and b (share 1): slerp of both embeddings and both noises (their sec. 3.2).

        share: one number, or one for each picture; a and b may be one picture for all of them.
        """
        shares = list(share) if isinstance(share, Sequence) else [share] * max(len(a), len(b))
        for one in shares:
            check.number("share", one, 0.0, 1.0)
        ends = [part.expand(len(shares), *part.shape[1:]) for p in (a, b) for part in self.invert(p, steps)]
        za, xa, zb, xb = (part.split(1) for part in ends)
        z = torch.cat([interpolate(p, q, [one])[0] for p, q, one in zip(za, zb, shares, strict=True)])
        x = torch.cat([interpolate(p, q, [one])[0] for p, q, one in zip(xa, xb, shares, strict=True)])
        return self.enlarge(self._decode(x, z, None, scale, None, steps), generator)

    def text_difference(
        self,
        pictures: Float[Tensor, "batch 3 64 64"],
        before: str,
        after: str,
        share: float = 0.35,
        generator: Generators = None,
        scale: float = SCALE,
        steps: int = STEPS,
    ) -> Float[Tensor, "batch 3 64 64"]:
        """The pictures moved from the text `before` to the text `after` (their sec. 3.3), by 0.25 to 0.5 of the way."""
        old, new = self.clip.embed_words(read(self.clip, [before, after]))
        check.must_be(f"another text than before, {before!r}", "after", after, not torch.equal(old, new))
        z, x = self.invert(pictures, steps)
        direction = F.normalize(new - old, dim=0).expand_as(z)
        return self.enlarge(self._decode(x, interpolate(z, direction, [share])[0], None, scale, None, steps), generator)

    @torch.no_grad()
    def invert(
        self, pictures: Float[Tensor, "batch 3 64 64"], steps: int = STEPS
    ) -> tuple[Float[Tensor, "batch width"], Float[Tensor, "batch 12 16 16"]]:
        """The embedding of each picture, and the noise from which the decoder draws the rest of it (DDIM inversion)."""
        pictures = pictures.to(self.clip.log_scale.device)
        with autocast(pictures.device):
            z = self.clip.image(pictures)
            cond = condition(z, z.new_zeros(len(z), 1, z.shape[1]))
            return z, invert(self.decoder, squares(pictures), steps=2 * steps, cond=cond)

    @torch.no_grad()
    def _decode(
        self,
        x: Float[Tensor, "batch 12 16 16"],
        embeddings: Float[Tensor, "batch width"],
        prompts: Sequence[str] | None,
        scale: float,
        against: str | None,
        steps: int,
    ) -> Float[Tensor, "batch 3 32 32"]:
        none = embeddings.new_zeros(len(x), 1, embeddings.shape[1])
        cond = condition(embeddings, none if prompts is None else read(self.clip, prompts))
        away = None
        if against is not None:
            away = condition(torch.zeros_like(embeddings), read(self.clip, [against] * len(x)))
        guided = classifier_free(self.decoder, scale, away, GUIDED if away is None else ALWAYS)
        with autocast(x.device):
            small = sample(guided, x, None, steps, METHOD, cond=cond)
        return F.pixel_shuffle(small.clamp(-1, 1), 2)
