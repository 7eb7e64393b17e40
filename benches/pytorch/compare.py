"""A training step of ganforge and of PyTorch by turns, each figure the median of the runs' medians, as README has them.

    cargo build --release
    python benches/pytorch/compare.py                 # this machine's widest instruction set, all cores and one
    python benches/pytorch/compare.py --isa avx2
    python benches/pytorch/compare.py dcgan28 resnet32 --isa avx2 --threads 2
    python benches/pytorch/compare.py inception --threads 2   # a batch of the network of FID instead of a step

Convolutional presets and the network of FID are compared with both of PyTorch's layouts in memory, by turns; the ratio is that to
the faster one. Prints a table in Markdown.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

from nets import PRESET

HERE = pathlib.Path(__file__).resolve().parent
# What keeps PyTorch and its libraries for products to a narrower instruction set.
NARROWER = {
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {},
    None: {},
}
# The network of FID, where a preset might stand: images per batch.
INCEPTION, IMAGES = "inception", 16
# The layers of D in each convolutional preset, and those of them with batch norm.
LAYERS_OF_D = {
    "dcgan28": (["h0", "h1", "out"], ["h1"]),
    "infogan28": (["h0", "h1", "h2", "out"], ["h1", "h2"]),
    "dcgan64": (["h0", "h1", "h2", "h3", "out"], ["h1", "h2", "h3"]),
    "sndcgan32": ([], []),
    "resnet32": ([], []),
}
KNOWN = [PRESET, *LAYERS_OF_D, INCEPTION]


def run(command, isa):
    """What it prints as JSON."""
    more = dict(NARROWER[isa], **({"GANFORGE_ISA": isa} if isa else {}))
    done = subprocess.run(command, env=dict(os.environ, **more), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: failed with code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def settings(preset, args):
    """The keys that make ours what the options ask for: spectral norm or a gradient penalty in D instead of batch norm."""
    layers, with_norm = LAYERS_OF_D[preset]
    keys = []
    if args.sn or args.gp:
        keys += [f'discriminator.layer.{layer}.norm="none"' for layer in with_norm]
    if args.sn:
        keys += [f'discriminator.layer.{layer}.transform="spectral_norm"' for layer in layers]
    if args.gp:
        keys.append('discriminator.penalty=[{kind="gp"}]')
    if args.k:
        keys.append(f"train.k={args.k}")
    return [word for key in keys for word in ("--set", key)]


class Comparison:
    """A preset's rows: one for each number of threads."""

    def __init__(self, preset, args):
        self.preset, self.args, self.is_mnist = preset, args, preset == PRESET
        self.batch = args.batch or (100 if self.is_mnist else IMAGES if preset == INCEPTION else 64)
        self.steps = args.steps or (100 if self.is_mnist else 12)
        self.first = None

    def commands(self, threads):
        """Ours, and PyTorch's by layout."""
        args = self.args
        common = ["--batch", str(self.batch), "--steps", str(self.steps), "--json", "--threads", str(threads)]
        if self.preset == INCEPTION:
            theirs = [sys.executable, HERE / "inception.py", *common]
            ours = [args.program, "bench", "inception", *common]
            return ours, {"channels last": theirs, "channels first": [*theirs, "--nchw"]}
        common += ["--update", args.update]
        ours = [args.program, "bench", "step", self.preset, *common]
        theirs = [sys.executable, HERE / "step.py", self.preset, *common]
        if self.is_mnist:
            return ours, {"": theirs}
        ours += settings(self.preset, args)
        theirs += ["--sn"] * args.sn + ["--gp"] * args.gp + (["--k", str(args.k)] if args.k else [])
        return ours, {"channels last": theirs, "channels first": [*theirs, "--nchw"]}

    def row(self, threads):
        ours_command, layouts = self.commands(threads)
        ours, theirs = [], {layout: [] for layout in layouts}
        for _ in range(self.args.pairs or (5 if self.is_mnist else 3)):
            ours.append(run(ours_command, self.args.isa))
            for layout, command in layouts.items():
                theirs[layout].append(run(command, self.args.isa))
        self.first = self.first or (ours[0]["origin"], next(iter(theirs.values()))[0]["origin"])
        faster = min(theirs, key=lambda layout: median(theirs[layout]))
        ratios = sorted(a["median_ms"] / b["median_ms"] for a, b in zip(ours, theirs[faster]))
        share = lambda key: f"{100 * statistics.median(r[key] for r in ours):.0f} %"
        all_runs = [*ours, *(r for runs in theirs.values() for r in runs)]
        unusable = sum(not r["is_usable"] for r in all_runs)
        note = f" ({unusable} of {len(all_runs)} runs unusable: this machine is busy)" if unusable else ""
        times = ", ".join(f"{median(runs):.1f} ms{f' {layout}' if layout else ''}" for layout, runs in theirs.items())
        return (
            f"| {self.name(ours)} | {ours[0]['origin']['isa']} | {threads} | {median(ours):.1f} ms | {times} "
            f"| {median(ours) / median(theirs[faster]):.2f} (pairs: {ratios[0]:.2f} to {ratios[-1]:.2f}){note} "
            f"| {share('share_of_peak')} | {share('executed_share_of_peak')} |"
        )

    def name(self, ours):
        more = ["spectral norm"] * self.args.sn + ["gradient penalty"] * self.args.gp
        return ", ".join([ours[0]["what"].removeprefix("training step of "), *more])


def median(runs):
    return statistics.median(r["median_ms"] for r in runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET", help=f"{', '.join(KNOWN)} [default: {PRESET}]")
    parser.add_argument("--pairs", type=int, help="runs of each program [default: 5, of a convolutional preset 3]")
    parser.add_argument("--steps", type=int, help="steps of each run [default: 100, of a convolutional preset 12]")
    parser.add_argument("--batch", type=int, help="[default: 100, of a convolutional preset 64]")
    parser.add_argument("--threads", type=int, action="append", help="may be repeated [default: all cores, and 1]")
    parser.add_argument("--isa", choices=["avx2", "avx512"], help="of both programs [default: the widest there is]")
    parser.add_argument("--update", choices=["alternating", "simultaneous"], default="alternating")
    parser.add_argument("--sn", action="store_true", help="of convolutional presets: spectral norm in D instead of batch norm")
    parser.add_argument("--gp", action="store_true", help="of convolutional presets: a gradient penalty instead of batch norm in D")
    parser.add_argument("--k", type=int, help="of convolutional presets: updates of D per update of G [default: the preset's]")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parents[1] / "target/release/ganforge")
    args = parser.parse_args()
    if not args.program.is_file():
        sys.exit(f"{args.program}: not there; `cargo build --release` makes it, --program names another")
    args.presets = args.presets or [PRESET]
    for preset in args.presets:
        if preset not in KNOWN:
            parser.error(f"{preset}: expected {', '.join(KNOWN)}")
    if not LAYERS_OF_D.keys() >= set(args.presets) and (args.sn or args.gp or args.k):
        parser.error(f"--sn, --gp, --k: not of {PRESET} and {INCEPTION}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    all_threads, rows = args.threads or sorted({cores, 1}, reverse=True), []
    comparisons = [Comparison(preset, args) for preset in args.presets]
    for comparison in comparisons:
        for threads in all_threads:
            rows.append(comparison.row(threads))
            print(rows[-1], file=sys.stderr)
    first = comparisons[0].first
    for origin in first:
        print(
            f"{origin['program']} {origin['version']}, {origin['isa']}, on {origin['processor']}, {origin['date']}, "
            f"load average {origin['load']}; commit {origin['commit'][:12]}"
        )
    heads = ["training step", "kernels", "threads", "ours", f"PyTorch {first[1]['version'].split('+')[0]}", "ours / PyTorch"]
    heads += ["share of peak, nominal FLOP", "share of peak, executed FLOP"]
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    print("\n".join(rows))


main()
