"""The projects that we compare. Each has a U-Net of the same shape, its own training loop and its own DDIM sampler.

The loops are the ones that each project documents, without logging and saving. Images are floats in [-1, 1] that are
already in memory, because we do not compare reading and decoding.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

import minidiffusion as md
from minidiffusion.training.recipes import RECIPES


class Case(NamedTuple):
    """Images of one shape, and the data set in the package that has it."""

    name: str
    channels: int
    side: int
    data: str


CASES = (Case("28x28x1", 1, 28, "fashion_mnist_6k"), Case("32x32x3", 3, 32, "emoji32"))


class Peer:
    """One project. `precision` is float32 or bfloat16; bfloat16 means autocast around the network."""

    name: str  # as the package index knows it
    module: str
    imports: str  # the imports that training and sampling need
    batch: int  # the batch size of its published example
    network_is: str  # how its network differs from the others of its size
    orders_memory = False  # whether its network sets its own memory format
    classes = 0  # above 0, it trains on (images, labels) and generates equally many of each class

    def network(self, case: Case, width: int = 32) -> nn.Module:
        """An untrained U-Net with three levels, attention at the coarsest, and two million parameters at width 32."""
        raise NotImplementedError

    def train(
        self, net: nn.Module, images: Tensor, batch: int, precision: str, planned: int = 100_000
    ) -> Iterator[nn.Module]:
        """Yields the network to sample with after each step. planned: number of steps, for a learning rate schedule."""
        raise NotImplementedError

    def draw(self, net: nn.Module, case: Case, count: int, steps: int, precision: str) -> Tensor:
        """`count` samples by deterministic DDIM, with `steps` calls of the network."""
        raise NotImplementedError

    def show(self, net: nn.Module, case: Case, count: int, precision: str) -> Tensor:
        """`count` samples as its example generates them, or by 25 steps of DDIM if the example takes hundreds."""
        return self.draw(net, case, count, 25, precision)

    def default_precision(self, device: torch.device) -> str:
        return "float32"

    def missing(self) -> str:
        """Why the project cannot be measured here; empty if it can."""
        try:
            importlib.import_module(self.module)
        except Exception as error:  # another package may fail in any way
            return f"{type(error).__name__}: {error}"
        return ""


def batches(images: Tensor, size: int) -> Iterator[Tensor]:
    loader = DataLoader(images, batch_size=size, shuffle=True, drop_last=True)  # type: ignore[arg-type]
    while True:
        yield from loader


def under(net: nn.Module, precision: str) -> nn.Module:
    """The same network with its forward pass under autocast and its output in float32."""
    if precision == "float32":
        return net
    device, kind = next(net.parameters()).device.type, type(net)

    class InBfloat16(kind):  # type: ignore[valid-type, misc]
        # a new class rather than a new `forward` on the object, so that a copy for the EMA uses its own weights
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            with torch.autocast(device, torch.bfloat16):
                answer = super().forward(*args, **kwargs)
            return tuple(part.float() for part in answer) if isinstance(answer, tuple) else answer.float()

    net.__class__ = InBfloat16
    return net


class Minidiffusion(Peer):
    name = module = "minidiffusion"
    imports = "import minidiffusion"
    batch = 128
    network_is = "adds the skip connections; group norm of 16 channels; attention after the level, 2 times"
    orders_memory = True
    recipe = RECIPES["fashion_mnist"]

    def network(self, case: Case, width: int = 32) -> nn.Module:
        sizes = self.recipe.sizes | dict(channels=case.channels, classes=self.classes)
        sizes["widths"] = (width, 2 * width, 4 * width)
        return md.nets.UNet(**sizes).to(memory_format=torch.channels_last)

    def denoiser(self, net: nn.Module) -> md.Denoiser:
        return md.Denoiser(net, md.schedule.cosine(), md.heads.V)

    def train(
        self, net: nn.Module, data: Tensor | tuple[Tensor, Tensor], batch: int, precision: str, planned: int = 100_000
    ) -> Iterator[nn.Module]:
        r = self.recipe
        settings = dict(learning_rate=r.learning_rate, weighting=r.weighting, ema_decay=r.ema_decay)
        for step in md.fit(self.denoiser(net), data, planned, batch_size=batch, precision=precision, **settings):
            yield step.ema.net

    def draw(
        self, net: nn.Module, case: Case, count: int, steps: int, precision: str, method: str = "ddim", **options: Any
    ) -> Tensor:
        denoise, device = self.denoiser(net).eval(), next(net.parameters()).device
        x_1 = md.prior((count, case.channels, case.side, case.side), denoise.schedule).to(device)
        labels = torch.arange(count, device=device) % self.classes if self.classes else None
        with md.training.device.autocast(device, precision):
            return md.sample(denoise, x_1, steps=steps, method=method, cond=labels, **options)

    def show(self, net: nn.Module, case: Case, count: int, precision: str) -> Tensor:
        return self.draw(net, case, count, 25, precision, "dpmpp_2m")  # as `minidiffusion sample`

    def default_precision(self, device: torch.device) -> str:
        return "bfloat16" if md.training.device.has_fast_bfloat16(device) else "float32"  # the choice that fit makes


class SmallMinidiffusion(Minidiffusion):
    """The ten-minute recipe with half a million parameters, trained without labels like the other projects."""

    name = "minidiffusion, 0.5 million"
    recipe = RECIPES["fashion_mnist_quick"]
    batch = recipe.batch_size

    def network(self, case: Case, width: int = 32) -> nn.Module:
        return super().network(case, width // 2)

    def show(self, net: nn.Module, case: Case, count: int, precision: str) -> Tensor:
        return self.draw(net, case, count, 25, precision, "edm_churn", eta=1.0)  # 48 calls of the network


class LabelledMinidiffusion(SmallMinidiffusion):
    """The ten-minute recipe unchanged: `minidiffusion train fashion_mnist_quick` learns the labels too."""

    name = "minidiffusion, 0.5 million, with labels"
    classes = 10


class Diffusers(Peer):
    """Its tutorial "Train a diffusion model", without Accelerate, which does nothing for one process in float32."""

    name = module = "diffusers"
    imports = "from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel"
    batch = 16
    network_is = (
        "concatenates the skip connections, one block more on the way up and two in the middle; group norm of 8 "
        "groups; attention after each block of the level and in the middle, 4 times"
    )

    def network(self, case: Case, width: int = 32) -> nn.Module:
        from diffusers import UNet2DModel

        return UNet2DModel(
            sample_size=case.side,
            in_channels=case.channels,
            out_channels=case.channels,
            layers_per_block=1,
            block_out_channels=(width, 2 * width, 13 * width // 4),
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        )

    def train(
        self, net: nn.Module, images: Tensor, batch: int, precision: str, planned: int = 100_000
    ) -> Iterator[nn.Module]:
        from diffusers import DDPMScheduler
        from diffusers.optimization import get_cosine_schedule_with_warmup

        under(net, precision).train()
        scheduler = DDPMScheduler(num_train_timesteps=1000)
        optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
        rate = get_cosine_schedule_with_warmup(optimiser, num_warmup_steps=500, num_training_steps=planned)
        for x0 in batches(images, batch):
            eps = torch.randn(x0.shape).to(x0.device)
            t = torch.randint(0, 1000, (len(x0),), device=x0.device)
            loss = F.mse_loss(net(scheduler.add_noise(x0, eps, t), t, return_dict=False)[0], eps)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            rate.step()
            optimiser.zero_grad()
            loss.item()  # because its progress bar shows the loss
            yield net

    def draw(self, net: nn.Module, case: Case, count: int, steps: int, precision: str) -> Tensor:
        from diffusers import DDIMScheduler

        under(net, precision).eval()
        scheduler = DDIMScheduler(num_train_timesteps=1000)
        scheduler.set_timesteps(steps)
        x = torch.randn(count, case.channels, case.side, case.side).to(next(net.parameters()).device)
        with torch.no_grad():
            for t in scheduler.timesteps:
                x = scheduler.step(net(x, t, return_dict=False)[0], t, x, return_dict=False)[0]
        return x


class DenoisingDiffusionPytorch(Peer):
    """The loop of its Trainer."""

    name, module = "denoising-diffusion-pytorch", "denoising_diffusion_pytorch"
    imports = "from denoising_diffusion_pytorch import GaussianDiffusion, Unet"
    batch = 16
    network_is = (
        "concatenates two skip connections a level; RMS norm; a 7x7 first convolution; linear attention at the finer "
        "levels, full attention at the coarsest and in the middle, 7 times in all"
    )

    def network(self, case: Case, width: int = 32) -> nn.Module:
        from denoising_diffusion_pytorch import Unet

        return Unet(7 * width // 8, dim_mults=(1, 2, 4), channels=case.channels)

    def diffusion(self, net: nn.Module, side: int, steps: int | None = None) -> nn.Module:
        from denoising_diffusion_pytorch import GaussianDiffusion

        diffusion = GaussianDiffusion(net, image_size=side, sampling_timesteps=steps)
        return diffusion.to(next(net.parameters()).device)

    def train(
        self, net: nn.Module, images: Tensor, batch: int, precision: str, planned: int = 100_000
    ) -> Iterator[nn.Module]:
        from ema_pytorch import EMA

        diffusion = self.diffusion(under(net, precision), images.shape[-1]).train()
        optimiser = torch.optim.Adam(diffusion.parameters(), lr=1e-4, betas=(0.9, 0.99))
        ema = EMA(diffusion, beta=0.995, update_every=10)
        for x0 in batches((images + 1) / 2, batch):
            loss = diffusion(x0)
            loss.item()
            loss.backward()
            nn.utils.clip_grad_norm_(diffusion.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            ema.update()
            yield ema.ema_model.model

    def draw(self, net: nn.Module, case: Case, count: int, steps: int, precision: str) -> Tensor:
        diffusion = self.diffusion(under(net, precision), case.side, steps).eval()
        return 2 * diffusion.sample(batch_size=count) - 1


class SmallDiffusion(Peer):
    """Its `training_loop` with the settings of its example fashion_mnist_unet, but torch's EMA and not torch_ema's."""

    name = module = "smalldiffusion"
    imports = "from smalldiffusion import Scaled, ScheduleLogLinear, Unet, samples, training_loop"
    batch = 1024
    network_is = (
        "concatenates the skip connections, one block more on the way up and two in the middle; group norm of 32 "
        "groups; dropout 0.1; attention of one head after each block of the level and in the middle, 4 times"
    )

    def network(self, case: Case, width: int = 32) -> nn.Module:
        from smalldiffusion import Scaled, Unet

        sizes = dict(ch=width, ch_mult=(1, 2, 3), num_res_blocks=1, embed_ch_mult=8)
        return Scaled(Unet)(case.side, case.channels, case.channels, attn_resolutions=(case.side // 4,), **sizes)

    def schedule(self) -> Any:
        from smalldiffusion import ScheduleLogLinear

        return ScheduleLogLinear(sigma_min=0.01, sigma_max=20, N=800)

    def accelerator(self, net: nn.Module) -> Any:
        from accelerate import Accelerator

        return Accelerator(cpu=next(net.parameters()).device.type == "cpu")

    def train(
        self, net: nn.Module, images: Tensor, batch: int, precision: str, planned: int = 100_000
    ) -> Iterator[nn.Module]:
        from smalldiffusion import training_loop

        loader = DataLoader(images, batch_size=batch, shuffle=True, drop_last=True)  # type: ignore[arg-type]
        under(net, precision)
        average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.999))
        for state in training_loop(loader, net, self.schedule(), self.accelerator(net), lr=7e-4):
            state.loss.item()
            average.update_parameters(net)
            yield average.module

    def draw(self, net: nn.Module, case: Case, count: int, steps: int, precision: str) -> Tensor:
        return self.walk(net, count, steps, precision, gam=1.0)

    def show(self, net: nn.Module, case: Case, count: int, precision: str) -> Tensor:
        return self.walk(net, count, 20, precision, gam=1.6)

    def walk(self, net: nn.Module, count: int, steps: int, precision: str, gam: float) -> Tensor:
        from smalldiffusion import samples

        sigmas = self.schedule().sample_sigmas(steps)
        under(net, precision).eval()
        *_, x0 = samples(net, sigmas, gam=gam, batchsize=count, accelerator=self.accelerator(net))
        return x0


class KDiffusion(Peer):
    """The loop of its train.py with its configuration for MNIST, without data augmentation."""

    name, module = "k-diffusion", "k_diffusion"
    imports = "import k_diffusion"
    batch = 64
    network_is = (
        "concatenates one skip connection a level; group norm of 32 channels; GELU; dropout 0.05; filtered resampling; "
        "attention after each block of the level, 4 times"
    )

    def config(self, case: Case, width: int = 32) -> dict[str, Any]:
        import k_diffusion as K

        model = dict(
            type="image_v1",
            input_channels=case.channels,
            input_size=[case.side, case.side],
            mapping_out=4 * width,
            depths=[1, 1, 2],
            channels=[width, 2 * width, 4 * width],
            self_attn_depths=[False, False, True],
            dropout_rate=0.05,
            sigma_data=0.6162,
            sigma_min=0.01,
            sigma_max=80.0,
            sigma_sample_density={"type": "cosine"},
        )
        optimiser = dict(type="adamw", lr=2e-4, betas=[0.95, 0.999], eps=1e-6, weight_decay=1e-3)
        return K.config.load_config(dict(model=model, dataset={"type": "mnist"}, optimizer=optimiser))

    def network(self, case: Case, width: int = 32) -> nn.Module:
        import k_diffusion as K

        return K.config.make_model(self.config(case, width))

    def train(
        self, net: nn.Module, images: Tensor, batch: int, precision: str, planned: int = 100_000
    ) -> Iterator[nn.Module]:
        import k_diffusion as K

        config = self.config(Case("", images.shape[1], images.shape[2], ""))
        net_ema = copy.deepcopy(net)
        wrap = K.config.make_denoiser_wrapper(config)
        model, model_ema = wrap(under(net, precision).train()), wrap(net_ema)
        optimiser = torch.optim.AdamW(net.parameters(), **{k: v for k, v in config["optimizer"].items() if k != "type"})
        ema_schedule = K.utils.EMAWarmup(power=0.6667, max_value=0.9999)
        density = K.config.make_sample_density(config["model"])
        for x0 in batches(images, batch):
            sigma = density([len(x0)], device=x0.device)
            losses = model.loss(x0, torch.randn_like(x0), sigma)
            losses.mean().item()
            losses.mean().backward()
            optimiser.step()
            optimiser.zero_grad()
            K.utils.ema_update(model, model_ema, ema_schedule.get_value())
            ema_schedule.step()
            yield net_ema

    def draw(self, net: nn.Module, case: Case, count: int, steps: int, precision: str) -> Tensor:
        import k_diffusion as K

        return self.walk(
            net, case, count, steps, precision, K.sampling.sample_euler
        )  # this is DDIM, written in sigma / alpha

    def show(self, net: nn.Module, case: Case, count: int, precision: str) -> Tensor:
        import k_diffusion as K

        solver = partial(K.sampling.sample_dpmpp_2m_sde, eta=0.0, solver_type="heun")
        return self.walk(net, case, count, 50, precision, solver)

    def walk(self, net: nn.Module, case: Case, count: int, steps: int, precision: str, solver: Any) -> Tensor:
        import k_diffusion as K

        device = next(net.parameters()).device
        model = K.config.make_denoiser_wrapper(self.config(case))(under(net, precision).eval())
        sigmas = K.sampling.get_sigmas_karras(steps, 0.01, 80.0, device=device)
        x = torch.randn(count, case.channels, case.side, case.side).to(device) * 80.0
        return solver(model, x, sigmas, disable=True)


PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (Minidiffusion(), Diffusers(), DenoisingDiffusionPytorch(), SmallDiffusion(), KDiffusion())
}


def installed() -> list[Peer]:
    """The projects that can be measured here. For the others, a line says why not."""
    there = []
    for peer in PEERS.values():
        if why := peer.missing():
            print(f"{peer.name} is skipped: {why}")
        else:
            there.append(peer)
    return there


def versions(peers: list[Peer]) -> dict[str, str]:
    return {peer.name: version(peer.name) for peer in peers}
