"""diffusers' networks in the place of ours: Stable Diffusion of the same size, trained for the same minutes.

    python figures/systems/diffusers_rival.py --clip CLIP.safetensors --out FOLDER --minutes-autoencoder 20 \\
        --minutes-unet 90 --threads 1 [--resume]

It trains an AutoencoderKL and a UNet2DConditionModel with about as many weights as ours, on the same pictures, in the
same batches and with the same frozen CLIP, and then draws the prompts of quality.py with their DPM-Solver. FOLDER gets
the trainings, which --resume continues, about.json with the curves, pictures.npz for the judge, and a sheet for each
split.

The settings are those of examples/text_to_image/train_text_to_image.py in diffusers and of the Stable Diffusion that it
starts from: AdamW with a constant rate of 1e-4, betas of 0.9 and 0.999 and a weight decay of 0.01; gradients clipped at
1; averaged weights (its README has --use_ema; the decay rises to 0.9999); noise predicted, with its plain squared
error; 1,000 "scaled linear" betas from 0.00085 to 0.012. The example only finetunes, so it does not say everything, and
there we are generous: a tenth of the captions is dropped, because guidance needs it, and padding is masked. The
autoencoder learns with our loss and our peak rate, because the perceptual loss of their own example needs a network
trained on photographs, and its rate of 4.5e-6 is for finetuning. Of their ways to compute attention, it takes the one
that we found fastest on a CPU. Minutes are the processor time of the training steps and nothing else, so with
--threads 1 they are minutes of one core.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1]))  # for figures/common.py

import diffusers
import diffusers_networks
import numpy as np
import torch
import torch.nn.functional as F
from common import Parser
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.models.attention_processor import AttnProcessor
from diffusers.training_utils import EMAModel
from PIL import Image
from quality import SPLITS, chosen, draw
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn

from minidiffusion.data import to_float, to_uint8
from minidiffusion.data.emoji import load_emoji
from minidiffusion.nets import Autoencoder
from minidiffusion.nets.embedding import is_word
from minidiffusion.systems.batches import Batches
from minidiffusion.systems.contrastive import CLIP
from minidiffusion.systems.first_stage import reconstruction_loss
from minidiffusion.systems.latent_diffusion import DROP, SCALE
from minidiffusion.systems.prompts import noise, read
from minidiffusion.systems.recipes import AUTOENCODER_DRAFT, LATENT_DIFFUSION_DRAFT
from minidiffusion.training.checkpoint import load
from minidiffusion.training.device import autocast

BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
SAVE_SECONDS = 120
CPU = torch.device("cpu")


class KL(nn.Module):
    """An AutoencoderKL with the names of our Autoencoder, so that it can learn with our loss."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net
        self.register_buffer("scale", torch.ones(()))

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        posterior = self.net.encode(x).latent_dist
        return posterior.mean.float(), 0.5 * posterior.logvar.float()

    def reconstruct(self, z: Tensor) -> Tensor:
        return self.net.decode(z).sample.float()


class Training:
    """A network, its optimiser and its averaged weights; everything goes into one safetensors file."""

    def __init__(self, net: nn.Module, file: Path, rate: float, resume: bool):
        self.net, self.file, self.seconds, self.steps = net, file, 0.0, 0
        self.optimiser = torch.optim.AdamW(net.parameters(), lr=rate, betas=(0.9, 0.999), weight_decay=1e-2)
        self.ema = EMAModel(net.parameters(), decay=0.9999)
        self.generator = Generator().manual_seed(0)
        self.curve: list[dict[str, float]] = []
        if resume and file.exists():
            self.restore(load_file(file))

    def run(self, minutes: float, loss: Callable[[Generator], Tensor], name: str) -> None:
        """Take steps until they have used so many minutes, those before a resume included; then leave the averages."""
        saved, recent = time.perf_counter(), 0.0
        while self.seconds < 60 * minutes:
            started = time.process_time()
            with autocast(CPU):
                value = loss(self.generator)
            value.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad()
            self.ema.step(self.net.parameters())
            self.steps += 1
            self.seconds += time.process_time() - started
            recent = value.item() if recent == 0 else 0.98 * recent + 0.02 * value.item()
            if self.steps % 50 == 0:
                self.curve.append(
                    {"step": self.steps, "minutes": round(self.seconds / 60, 3), "loss": round(recent, 5)}
                )
                print(name, self.curve[-1], flush=True)
            if time.perf_counter() - saved > SAVE_SECONDS:
                self.save()
                saved = time.perf_counter()
        self.save()
        self.ema.copy_to(self.net.parameters())
        self.net.eval().requires_grad_(False)

    def save(self) -> None:
        state = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        state |= {f"ema.{i}": tensor for i, tensor in enumerate(self.ema.shadow_params)}
        for i, moments in self.optimiser.state_dict()["state"].items():
            state |= {f"optimiser.{i}.{key}": tensor for key, tensor in moments.items()}
        curve = [[point[key] for key in ("step", "minutes", "loss")] for point in self.curve]
        state["curve"] = torch.tensor(curve, dtype=torch.float64).view(-1, 3)
        state["counts"] = torch.tensor([self.steps, self.seconds, self.ema.optimization_step], dtype=torch.float64)
        state |= {"generator": self.generator.get_state(), "generator.cpu": torch.get_rng_state()}
        part = self.file.with_suffix(".part")
        save_file({name: tensor.detach().contiguous() for name, tensor in state.items()}, part)
        part.replace(self.file)

    def restore(self, state: dict[str, Tensor]) -> None:
        self.net.load_state_dict({name[4:]: tensor for name, tensor in state.items() if name.startswith("net.")})
        self.ema.shadow_params = [state[f"ema.{i}"] for i in range(len(self.ema.shadow_params))]
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            if name.startswith("optimiser."):
                _, i, key = name.split(".")
                moments.setdefault(int(i), {})[key] = tensor
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": moments})
        steps, self.seconds, ema_steps = state["counts"].tolist()
        self.steps, self.ema.optimization_step = int(steps), int(ema_steps)
        self.curve = [dict(step=int(a), minutes=round(b, 3), loss=round(c, 5)) for a, b, c in state["curve"].tolist()]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["generator.cpu"])


def autoencoder_loss(net: KL, pictures: Tensor, batch: int) -> Callable[[Generator], Tensor]:
    def loss(generator: Generator) -> Tensor:
        x = to_float(pictures[torch.randint(len(pictures), (batch,), generator=generator)])
        eps = torch.randn(batch, net.net.config.latent_channels, 16, 16, generator=generator)
        return reconstruction_loss(net, x, eps).mean()  # type: ignore[arg-type]

    return loss


def unet_loss(
    net: nn.Module, latents: Tensor, batches: Batches, clip: CLIP, batch: int
) -> Callable[[Generator], Tensor]:
    scheduler = DDPMScheduler(**BETAS)

    def loss(generator: Generator) -> Tensor:
        index = batches.pictures(batch, generator)
        tokens, _ = batches.words(index, generator)
        tokens = tokens.masked_fill(torch.rand(batch, 1, generator=generator) < DROP, 0)
        with torch.no_grad():
            words = clip.text_encoder(tokens)
        z, eps = latents[index].float(), torch.randn(batch, *latents.shape[1:], generator=generator)
        t = torch.randint(0, 1000, (batch,), generator=generator)
        return F.mse_loss(asked(net, scheduler.add_noise(z, eps, t), t, words), eps)

    return loss


def asked(net: nn.Module, z: Tensor, t: Tensor, words: Tensor) -> Tensor:
    return net(z, t, words, encoder_attention_mask=is_word(words), return_dict=False)[0].float()


@torch.no_grad()
def all_latents(net: KL, pictures: Tensor) -> Tensor:
    """The means of all pictures, in unit variance and half precision, like those that our U-Net learns from."""
    with autocast(CPU):
        latents = torch.cat([net.moments(to_float(part))[0] for part in pictures.split(250)])
    net.scale.copy_(latents.std())
    return (latents / net.scale).half()


class Rival(NamedTuple):
    """It draws like our StableDiffusion, so that quality.py can judge it."""

    clip: CLIP
    autoencoder: KL
    unet: nn.Module

    @torch.no_grad()
    def draw(self, prompts: list[str], generator: list[Generator], scale: float = SCALE, steps: int = 25) -> Tensor:
        """Pictures by diffusers' DPM-Solver++, guided like ours; the generators give the same noise as for ours."""
        words = read(self.clip, prompts)
        x = noise((self.autoencoder.net.config.latent_channels, 16, 16), generator)
        scheduler = DPMSolverMultistepScheduler(**BETAS)
        scheduler.set_timesteps(steps)
        both = torch.cat([torch.zeros_like(words), words])
        with autocast(CPU):
            for t in scheduler.timesteps:
                without, guided = asked(self.unet, torch.cat([x, x]), t, both).chunk(2)
                x = scheduler.step(without + scale * (guided - without), t, x, return_dict=False)[0]
            return self.autoencoder.reconstruct(x * self.autoencoder.scale).clamp(-1, 1)


def write_sheet(pictures: Tensor, file: Path, columns: int = 8) -> None:
    rows = [torch.cat(list(row), dim=2) for row in to_uint8(pictures).split(columns) if len(row) == columns]
    Image.fromarray(torch.cat(rows, dim=1).permute(1, 2, 0).numpy()).save(file)


def main() -> None:
    parser = Parser(__doc__ or "")
    parser.add_argument("--clip", type=Path, required=True, help="our frozen CLIP, as `minidiffusion train` saves it")
    parser.add_argument("--out", type=Path, required=True, help="the folder for all results")
    parser.add_argument("--minutes-autoencoder", type=float, default=20.0)
    parser.add_argument("--minutes-unet", type=float, default=90.0)
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="of the U-Net; the example's is 1e-4")
    parser.add_argument("--count", type=int, default=500, help="pictures to draw for each split")
    parser.add_argument("--steps", type=int, default=25, help="of the sampler")
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse()
    out, clip = arguments.out, load(arguments.clip)
    out.mkdir(parents=True, exist_ok=True)
    pictures, captions = load_emoji("train")
    torch.manual_seed(0)

    first = KL(diffusers_networks.autoencoder(Autoencoder()).to(memory_format=torch.channels_last))
    training = Training(first, out / "autoencoder.safetensors", AUTOENCODER_DRAFT.learning_rate, arguments.resume)
    training.run(
        arguments.minutes_autoencoder, autoencoder_loss(first, pictures, AUTOENCODER_DRAFT.batch_size), "autoencoder"
    )
    latents = all_latents(first, pictures)

    unet = diffusers_networks.unet(LATENT_DIFFUSION_DRAFT.build(None).net).to(memory_format=torch.channels_last)
    unet.set_attn_processor(AttnProcessor())  # in bfloat16 a third faster than the fused kernel
    batches = Batches.of(captions, clip.tokenizer)
    second = Training(unet, out / "unet.safetensors", arguments.learning_rate, arguments.resume)
    second.run(
        arguments.minutes_unet, unet_loss(unet, latents, batches, clip, LATENT_DIFFUSION_DRAFT.batch_size), "unet"
    )

    system, drawn = Rival(clip, first, unet), {}
    for split in SPLITS:
        _, known, index = chosen(split, arguments.count)
        every = known.prompts()
        drawn[split] = draw(system, [every[i] for i in index])
        write_sheet(drawn[split][:64], out / f"{split}.png")
    np.savez(out / "pictures.npz", **{split: to_uint8(x).numpy() for split, x in drawn.items()})
    about: dict[str, Any] = {
        "diffusers": diffusers.__version__,
        "threads": torch.get_num_threads(),
        "parameters": {name: diffusers_networks.weights(net) for name, net in (("autoencoder", first), ("unet", unet))},
        "minutes": {"autoencoder": arguments.minutes_autoencoder, "unet": arguments.minutes_unet},
        "steps": {"autoencoder": training.steps, "unet": second.steps, "sampler": arguments.steps},
        "learning_rate": arguments.learning_rate,
        "curves": {"autoencoder": training.curve, "unet": second.curve},
    }
    (out / "about.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
