"""How the systems are trained, one stage or several for each part: all that decides how it ends, besides the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from ..data import to_float
from ..denoiser import Denoiser
from ..nets import MLP, Autoencoder, UNet
from .batches import vocabulary
from .contrastive import CLIP, fit_clip
from .decoder import Upsampler, all_squares, fit_decoder, fit_upsampler
from .first_stage import fit_autoencoder, set_scale
from .latent_diffusion import StableDiffusion, fit_words
from .priors import AutoregressivePrior, fit_autoregressive, fit_prior
from .sketch import Sketch, SketchedUNet, fit_sketch
from .stages import Stage, World, continued, denoiser
from .unclip import DALLE2


def build_autoencoder(world: World) -> Autoencoder:
    net = Autoencoder()
    net.start_from(to_float(world.pictures[::20]))
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def build_autoregressive(world: World) -> AutoregressivePrior:
    net = AutoregressivePrior()
    net.start_from(world.images)
    return net


def sketched(known: str, sketch: str) -> Callable[[World], Denoiser]:
    """Build a U-Net from the one of the round before, which now sees a sketch of its condition beside its input."""

    def build(world: World) -> Denoiser:
        before, guess = world.parts[known], world.parts[sketch]
        net = SketchedUNet(**guess.config, **{name: before.net.config[name] for name in ("widths", "blocks", "patch")})
        net.start_from(guess, before.net)
        return Denoiser(net.to(memory_format=torch.channels_last), before.schedule, before.head)  # type: ignore[call-overload]

    return build


def build_decoder_of_latents(world: World) -> Autoencoder:
    """The autoencoder, continued with its encoder locked, so that the latents stay what they are."""
    net = continued("autoencoder_draft")(world)
    net.analyse.requires_grad_(False)
    net.encoder.requires_grad_(False)
    return net


def build_clip(world: World) -> CLIP:
    """CLIP, continued with its text encoder locked, so that the words stay what they are for Stable Diffusion."""
    net = continued("clip_draft")(world)
    net.text_encoder.requires_grad_(False)
    return net


PROMPTS = [
    *("grinning face with smiling eyes, noto style", "woman astronaut, dark skin tone, fluent style"),
    *("man farmer, light skin tone, twemoji style", "waving hand, medium skin tone, noto style"),
    *("cat face, fluent style", "lion, noto style", "red apple, fluent style", "hamburger, twemoji style"),
    *("rocket, fluent style", "house with garden, noto style", "violin, twemoji style", "umbrella, fluent-flat style"),
    *("flag, japan, twemoji style", "red heart, fluent style", "blue rose", "santa claus, medium-dark skin tone"),
]


def seeded(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(count)]


def show_autoencoder(part: Autoencoder, world: World) -> Tensor:
    """Pictures, and below them their reconstructions."""
    x = to_float(world.pictures[::1600])[:8].to(part.scale.device)
    return torch.cat([x, part.decode(part.encode(x))])


def show_latent_diffusion(part: Denoiser, world: World) -> Tensor:
    system = StableDiffusion(world.parts["clip"], world.parts["autoencoder"], part)
    return system.draw(PROMPTS, seeded(len(PROMPTS)))


def show_decoder(part: Denoiser, world: World) -> Tensor:
    """Pictures of the training's own embeddings and prompts, at 32x32."""
    clip, index = world.parts["clip"], torch.arange(0, len(world.pictures), 800)[:16]
    prompts = world.captions.prompts()
    priors = world.parts["prior"], world.parts["autoregressive_prior"]
    system = DALLE2(clip, *priors, part, part)  # its upsampler comes later, and `small` does not need it
    return system.small(world.images[index], seeded(len(index)), [prompts[i] for i in index])


AUTOENCODER_DRAFT = Stage(
    "autoencoder_draft",
    build_autoencoder,
    lambda part, world, steps, **options: fit_autoencoder(part, world.pictures, steps, **options),
    steps=2000,
    batch_size=32,
    ema_decay=0.995,
    finish=lambda part, world: set_scale(part, world.pictures[::10]),
    show=show_autoencoder,
)
AUTOENCODER = Stage(
    "autoencoder",
    build_decoder_of_latents,
    lambda part, world, steps, **options: fit_autoencoder(part, world.pictures, steps, noise=0.4, **options),
    steps=2000,
    batch_size=32,
    ema_decay=0.995,
    show=show_autoencoder,
)
CONTRASTIVE_DRAFT = Stage(
    "clip_draft",
    lambda world: CLIP(vocabulary(world.captions)),
    lambda part, world, steps, **options: fit_clip(part, world.pictures, world.captions, steps, **options),
    steps=1300,
    batch_size=256,
    ema_decay=0.995,
)
CONTRASTIVE = Stage(
    "clip",
    build_clip,
    lambda part, world, steps, **options: fit_clip(part, world.pictures, world.captions, steps, moved=True, **options),
    steps=1500,
    batch_size=256,
    ema_decay=0.995,
)
LATENT_DIFFUSION_DRAFT = Stage(
    "stable_diffusion_draft",
    lambda world: denoiser(UNet(8, (128, 192), (2, 2), context=128, patch=2), factor=2.0),
    lambda part, world, steps, **options: fit_words(
        part, world.latents, world.captions, world.parts["clip"], steps, **options
    ),
    steps=7000,
    batch_size=64,
    show=show_latent_diffusion,
)
LATENT_DIFFUSION_SECOND = replace(
    LATENT_DIFFUSION_DRAFT, name="stable_diffusion_second", build=continued("stable_diffusion_draft"), steps=12000
)
LATENT_DIFFUSION_THIRD = replace(
    LATENT_DIFFUSION_SECOND,
    name="stable_diffusion_third",
    build=continued("stable_diffusion_second"),
    learning_rate=7e-4,
)
LATENT_DIFFUSION_FOURTH = replace(
    LATENT_DIFFUSION_THIRD,
    name="stable_diffusion_fourth",
    build=continued("stable_diffusion_third"),
    fit=lambda part, world, steps, **options: fit_words(
        part, world.latents, world.captions, world.parts["clip"], steps, shapes=True, **options
    ),
    steps=8000,
)
SKETCH = Stage(
    "sketch",
    lambda world: Sketch(),
    lambda part, world, steps, **options: fit_sketch(
        part, world.latents, world.captions, world.parts["clip"], steps, **options
    ),
    steps=8000,
    batch_size=256,
)
LATENT_DIFFUSION = replace(
    LATENT_DIFFUSION_FOURTH, name="stable_diffusion", build=sketched("stable_diffusion_fourth", "sketch"), steps=6000
)  # on shapes, too
PRIOR = Stage(
    "prior",
    lambda world: denoiser(MLP(128, 512, 4, context=128)),
    lambda part, world, steps, **options: fit_prior(part, world.images, world.texts, steps, **options),
    steps=14000,
    batch_size=256,
)
AUTOREGRESSIVE_PRIOR = Stage(
    "autoregressive_prior",
    build_autoregressive,
    lambda part, world, steps, **options: fit_autoregressive(part, world.images, world.texts, steps, **options),
    steps=1500,
    batch_size=128,
)
DECODER_DRAFT = Stage(
    "decoder_draft",
    lambda world: denoiser(UNet(12, (128, 192), (1, 1), context=128, patch=2), factor=2.0),
    lambda part, world, steps, **options: fit_decoder(
        part, world.pictures, world.captions, world.images[:, None], world.parts["clip"], steps, **options
    ),
    steps=5000,
    batch_size=64,
    show=show_decoder,
)
DECODER_SECOND = replace(DECODER_DRAFT, name="decoder_second", build=continued("decoder_draft"), steps=10000)
DECODER_SKETCH = Stage(
    "decoder_sketch",
    lambda world: Sketch(latent=12, width=512),  # half as wide as Stable Diffusion's, for a file of 7 MB and not of 12
    lambda part, world, steps, **options: fit_sketch(
        part,
        all_squares(world.pictures),
        world.captions,
        world.parts["clip"],
        steps,
        images=world.embeddings,
        **options,
    ),
    steps=12000,
    batch_size=256,
)
DECODER = replace(
    DECODER_SECOND,
    name="decoder",
    build=sketched("decoder_second", "decoder_sketch"),
    fit=lambda part, world, steps, **options: fit_decoder(
        part, world.pictures, world.captions, world.embeddings, world.parts["clip"], steps, shapes=True, **options
    ),
    learning_rate=7e-4,
    steps=6000,
)
UPSAMPLER = Stage(
    "upsampler",
    lambda world: denoiser(Upsampler((64, 96), (1, 1))),
    lambda part, world, steps, **options: fit_upsampler(part, world.pictures, steps, **options),
    steps=5000,
    batch_size=32,
)

SYSTEMS = {
    "stable_diffusion": (
        *(AUTOENCODER_DRAFT, AUTOENCODER, CONTRASTIVE_DRAFT, CONTRASTIVE),
        *(LATENT_DIFFUSION_DRAFT, LATENT_DIFFUSION_SECOND, LATENT_DIFFUSION_THIRD),
        *(LATENT_DIFFUSION_FOURTH, SKETCH, LATENT_DIFFUSION),
    ),
    "dalle2": (
        *(CONTRASTIVE_DRAFT, CONTRASTIVE, PRIOR, AUTOREGRESSIVE_PRIOR),
        *(DECODER_DRAFT, DECODER_SECOND, DECODER_SKETCH, DECODER, UPSAMPLER),
    ),
}
