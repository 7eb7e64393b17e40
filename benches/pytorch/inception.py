"""Features and logits of the Inception network of FID in PyTorch, on the CPU: what `ganforge bench inception` times, in its words.

    python benches/pytorch/inception.py --threads 2 --json
    python benches/pytorch/inception.py --threads 2 --batch 50 --nchw

The same layers and sizes, with random weights; batch norm is folded into the filters before, unless --unfolded, as the programs
for FID have it.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from origin import origin
from timing import report, timed

WARM_UP = 2
PARAMETERS = 23_850_960


class Unit(nn.Module):
    """A convolution, batch norm, a ReLU; padded to keep the image's size, unless `valid`."""

    def __init__(self, inputs, outputs, height, width=None, stride=1, valid=False):
        super().__init__()
        kernel = (height, width or height)
        pad = (0, 0) if valid or stride > 1 else tuple((k - 1) // 2 for k in kernel)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3)
        self.outputs = outputs

    def fold(self):
        self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)), inplace=True)


class Pool(nn.Module):
    """Over 3 x 3 cells: the maximum of every second, or maximum or mean around each cell."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.kind == "halved":
            return F.max_pool2d(x, 3, 2)
        if self.kind == "maximum":
            return F.max_pool2d(x, 3, 1, 1)
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class Together(nn.Module):
    """Branches of the same input, their channels one after the other."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def chain(inputs, *steps):
    """Steps one after the other: (outputs, height, width) of a unit, with a stride of 2 as a fourth number, or a module."""
    modules = []
    for step in steps:
        if isinstance(step, tuple):
            modules.append(Unit(inputs, *step))
            inputs = step[0]
        else:
            modules.append(step)
    return nn.Sequential(*modules)


def block5(inputs, pooled):
    return Together(
        chain(inputs, (64, 1)),
        chain(inputs, (48, 1), (64, 5)),
        chain(inputs, (64, 1), (96, 3), (96, 3)),
        chain(inputs, Pool("mean"), (pooled, 1)),
    )


def block6(c):
    return Together(
        chain(768, (192, 1)),
        chain(768, (c, 1), (c, 1, 7), (192, 7, 1)),
        chain(768, (c, 1), (c, 7, 1), (c, 1, 7), (c, 7, 1), (192, 1, 7)),
        chain(768, Pool("mean"), (192, 1)),
    )


def block7(inputs, pool):
    def fork():
        return Together(Unit(384, 384, 1, 3), Unit(384, 384, 3, 1))

    return Together(
        chain(inputs, (320, 1)),
        chain(inputs, (384, 1), fork()),
        chain(inputs, (448, 1), (384, 3), fork()),
        chain(inputs, Pool(pool), (192, 1)),
    )


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        stem = [Unit(3, 32, 3, stride=2), Unit(32, 32, 3, valid=True), Unit(32, 64, 3), Pool("halved")]
        stem += [Unit(64, 80, 1), Unit(80, 192, 3, valid=True), Pool("halved")]
        six = Together(chain(288, (384, 3, 3, 2)), chain(288, (64, 1), (96, 3), (96, 3, 3, 2)), Pool("halved"))
        seven = Together(
            chain(768, (192, 1), (320, 3, 3, 2)),
            chain(768, (192, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3, 2)),
            Pool("halved"),
        )
        fives = [block5(192, 32), block5(256, 64), block5(288, 64)]
        sixes = [six, block6(128), block6(160), block6(160), block6(192)]
        sevens = [seven, block7(1280, "mean"), block7(2048, "maximum")]
        self.maps = nn.Sequential(*stem, *fives, *sixes, *sevens)
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        features = self.maps(x).mean((2, 3))
        return features, features @ self.fc.weight.T


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, help="threads to compute with [default: all cores]")
    parser.add_argument("--batch", type=int, default=16, help="images at once [default: 16]")
    parser.add_argument("--steps", type=int, default=10, help="batches to time [default: 10]")
    parser.add_argument("--nchw", action="store_true", help="channels first in memory")
    parser.add_argument("--unfolded", action="store_true", help="batch norm by itself")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    if min(n for n in (args.batch, args.steps, args.threads) if n is not None) < 1:
        parser.error("--threads, --batch and --steps: expected whole numbers from 1 on")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    net = Inception().eval()
    parameters = sum(p.numel() for p in net.parameters())
    if parameters != PARAMETERS:
        raise SystemExit(f"{parameters} parameters, expected {PARAMETERS}")
    if not args.unfolded:
        for unit in [m for m in net.modules() if isinstance(m, Unit)]:
            unit.fold()
    x = torch.rand(args.batch, 3, 299, 299) * 2 - 1
    if not args.nchw:
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    found = {"what": f"features of inception, batch {args.batch}", "origin": origin()}
    with torch.inference_mode():
        times = timed(lambda _: net(x), WARM_UP, args.steps)
    report(found, times, args.batch, args.json)
    if not args.json:
        print(f"images           {args.batch / min(times) * 1e3:.2f} per second, of the fastest")


main()
