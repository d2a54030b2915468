"""diffusers' networks at the size of ours: as many levels, and those widths that give nearly as many weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from minidiffusion.nets import Autoencoder, UNet

SIZES = [i / 16 for i in range(8, 21)]


def weights(net: nn.Module) -> int:
    return sum(weight.numel() for weight in net.parameters())


def unet(ours: UNet) -> nn.Module:
    """A UNet2DConditionModel with the blocks of Stable Diffusion's: cross-attention at all levels but the coarsest,
    and in the middle."""
    from diffusers import UNet2DConditionModel

    config = ours.config

    def make(size: float) -> nn.Module:
        widths = [max(16, 16 * round(size * width / 16)) for width in config["widths"]]
        levels = len(widths)
        return UNet2DConditionModel(
            in_channels=config["channels"],
            out_channels=config["channels"],
            block_out_channels=widths,
            layers_per_block=1,
            down_block_types=["CrossAttnDownBlock2D"] * (levels - 1) + ["DownBlock2D"],
            up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * (levels - 1),
            cross_attention_dim=config["context"],
            # in spite of its name, this is the number of heads; each has 32 channels or a few more, as in our network
            attention_head_dim=[next(n for n in range(max(1, w // 32), 0, -1) if w % n == 0) for w in widths],
            norm_num_groups=16,
        )

    return nearest(make, weights(ours))


def autoencoder(ours: Autoencoder) -> nn.Module:
    """An AutoencoderKL with three levels, so that four pixels along a side become one latent, as in our autoencoder."""
    from diffusers import AutoencoderKL

    def make(size: float) -> nn.Module:
        widths = [8 * round(size * width / 8) for width in (64, 128, 128)]
        return AutoencoderKL(
            down_block_types=["DownEncoderBlock2D"] * 3,
            up_block_types=["UpDecoderBlock2D"] * 3,
            block_out_channels=widths,
            layers_per_block=1,
            latent_channels=ours.latent,
            norm_num_groups=8,
        )

    return nearest(make, weights(ours))


def nearest(make: Callable[[float], nn.Module], count: int) -> nn.Module:
    """make(size), with the size that gives it nearly `count` weights."""

    def difference(size: float) -> int:
        with torch.device("meta"):  # to count weights, we need not have them
            return abs(weights(make(size)) - count)

    return make(min(SIZES, key=difference))
