"""Train the judge of all systems: a contrastive model with another seed and other networks than the package's CLIP.

    python figures/systems/judge.py            # writes judge.safetensors, a file that does not ship

Its text encoder is a bidirectional GRU and its image encoder a convolutional network with batch norm on 32x32 pixels.
It learns from all pictures, also from those that the systems have never seen.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from minidiffusion.data.emoji import Captions, load_emoji
from minidiffusion.nets.text import PADDING
from minidiffusion.systems.batches import vocabulary
from minidiffusion.systems.contrastive import CLIP, fit_clip

SEED, STEPS = 2026, 1600
FILE = Path(__file__).with_name("judge.safetensors")


class GRUEncoder(nn.Module):
    """Tokens (batch, word) -> (batch, 1, 2 width): the mean over the words of a GRU that reads both ways."""

    def __init__(self, words: int, width: int = 96):
        super().__init__()
        self.embed = nn.Embedding(words + 2, width)
        self.gru = nn.GRU(width, width, batch_first=True, bidirectional=True)

    def forward(self, tokens: Tensor) -> Tensor:
        lengths = (tokens != PADDING).sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embed(tokens).float(), lengths, batch_first=True, enforce_sorted=False
        )
        with torch.autocast(tokens.device.type, enabled=False):
            out, _ = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return (out.sum(1) / lengths[:, None].to(out))[:, None]


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x))


class SmallPictures(nn.Module):
    """Pictures (batch, 3, 64, 64), averaged to 32x32 -> (batch, out)."""

    def __init__(self, out: int):
        super().__init__()
        layers: list[nn.Module] = [nn.AvgPool2d(2), nn.Conv2d(3, 64, 3, stride=2, padding=1), Residual(64)]
        for before, after in ((64, 128), (128, 256)):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), Residual(after)]
        self.body, self.pool = nn.Sequential(*layers), nn.Linear(256 * 16, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.body(x.contiguous(memory_format=torch.channels_last)).flatten(1))

    def features(self, x: Tensor) -> Tensor:
        """The mean over the places of the last layer, (batch, 256), for Frechet distances."""
        return self.body(x).float().mean((2, 3))


class Judge(CLIP):
    def __init__(self, vocabulary: list[str]):
        super().__init__(vocabulary, width=192, embedding=192)
        self.text_encoder, self.image_encoder = GRUEncoder(len(vocabulary)), SmallPictures(192)


def everything() -> tuple[Tensor, Captions]:
    """All pictures, seen and unseen, with their captions."""
    (x, seen), (more, unseen) = load_emoji("train"), load_emoji("test")
    fields = {name: getattr(seen, name) + getattr(unseen, name) for name in ("style", "group", "tone", "thing", "tags")}
    return torch.cat([x, more]), Captions([*seen, *unseen], **fields)


def load_judge() -> Judge:
    net = Judge(vocabulary(everything()[1]))
    net.load_state_dict(load_file(FILE))
    return net.eval().requires_grad_(False)


if __name__ == "__main__":
    torch.manual_seed(SEED)
    pictures, captions = everything()
    judge = Judge(vocabulary(captions))
    for step in tqdm(fit_clip(judge, pictures, captions, STEPS, ema_decay=0.99, seed=SEED), total=STEPS):
        ema = step.ema
    averaged = ema.state_dict()
    buffers = {k: v for k, v in judge.state_dict().items() if k in dict(judge.named_buffers())}  # of the batch norms
    # in half precision, which halves the file and changes no verdict
    save_file({k: v.half() if v.is_floating_point() else v for k, v in {**averaged, **buffers}.items()}, FILE)
