"""A training step in PyTorch, on the CPU: what `ganforge bench step` times, in its words. The paper's MNIST nets, or those of a
convolutional preset.

    python benches/pytorch/step.py --threads 2 --json
    python benches/pytorch/step.py dcgan28 --threads 2 --nchw
"""

import argparse

import torch

import images
from nets import PIXELS, PRESET, Training
from origin import origin
from timing import report, timed

WARM_UP = 10
# Of convolutional nets, whose steps are long.
WARM_UP_IMAGES = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset", nargs="?", default=PRESET, choices=[PRESET, *images.PRESETS])
    parser.add_argument("--threads", type=int, help="threads to compute with [default: all cores]")
    parser.add_argument("--batch", type=int, help="images per update [default: 100, of a convolutional preset 64]")
    parser.add_argument("--steps", type=int, help="steps to time [default: 100, of a convolutional preset 12]")
    parser.add_argument("--nchw", action="store_true", help="of a convolutional preset: channels first in memory")
    parser.add_argument("--sn", action="store_true", help="spectral norm in D instead of batch norm")
    parser.add_argument("--gp", action="store_true", help="a gradient penalty on D instead of batch norm")
    parser.add_argument("--k", type=int, help="updates of D per update of G [default: the preset's]")
    parser.add_argument("--update", choices=["alternating", "simultaneous"], default="alternating")
    parser.add_argument("--json", action="store_true", help="print JSON, also to be a --baseline of ganforge bench step")
    args = parser.parse_args()
    is_mnist = args.preset == PRESET
    if args.batch is None:
        args.batch = 100 if is_mnist else 64
    if args.steps is None:
        args.steps = 100 if is_mnist else 12
    if is_mnist and (args.nchw or args.sn or args.gp or args.k):
        parser.error(f"--nchw, --sn, --gp, --k: not of {PRESET}")
    if not is_mnist and args.update != "alternating":
        parser.error(f"--update {args.update}: only of {PRESET}")
    if min(n for n in (args.batch, args.steps, args.threads, args.k) if n is not None) < 1:
        parser.error("--threads, --batch, --steps and --k: expected whole numbers from 1 on")
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    found = {
        "what": f"training step of {args.preset}, {args.update} updates, batch {args.batch}",
        "origin": origin(),
    }
    if is_mnist:
        training, warm_up = Training(), WARM_UP
        batches = torch.rand(20 * args.batch, PIXELS).split(args.batch)
    else:
        training, warm_up = images.Training(args.preset, args.sn, args.gp, args.nchw, args.k), WARM_UP_IMAGES
        batches = [training.examples(training.k * args.batch)]
        if training.k > 1:
            found["what"] = found["what"].replace("updates", f"updates with k = {training.k}")
    step = getattr(training, args.update)
    times = timed(lambda i: step(batches[i % len(batches)]), warm_up, args.steps)
    report(found, times, args.batch, args.json)


main()
