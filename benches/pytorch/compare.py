"""A training step of ganforge and of PyTorch by turns, each figure the median of the runs' medians, as README has them.

    cargo build --release
    python benches/pytorch/compare.py                 # this machine's widest instruction set, all cores and one
    python benches/pytorch/compare.py --isa avx2

Prints a table in Markdown.
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


def run(command, isa):
    """What it prints as JSON."""
    more = dict(NARROWER[isa], **({"GANFORGE_ISA": isa} if isa else {}))
    done = subprocess.run(command, env=dict(os.environ, **more), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: failed with code {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100, help="steps of each run")
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--threads", type=int, action="append", help="may be repeated [default: all cores, and 1]")
    parser.add_argument("--isa", choices=["avx2", "avx512"], help="of both programs [default: the widest there is]")
    parser.add_argument("--update", choices=["alternating", "simultaneous"], default="alternating")
    parser.add_argument("--program", type=pathlib.Path, default=HERE.parents[1] / "target/release/ganforge")
    args = parser.parse_args()
    if not args.program.is_file():
        sys.exit(f"{args.program}: not there; `cargo build --release` makes it, --program names another")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    common = ["--update", args.update, "--batch", str(args.batch), "--steps", str(args.steps), "--json", "--threads"]
    rows, first = [], None
    for threads in args.threads or sorted({cores, 1}, reverse=True):
        ours, theirs = [], []
        for _ in range(args.pairs):
            ours.append(run([args.program, "bench", "step", PRESET, *common, str(threads)], args.isa))
            theirs.append(run([sys.executable, HERE / "step.py", *common, str(threads)], args.isa))
        first = first or (ours[0]["origin"], theirs[0]["origin"])
        rows.append(row(threads, ours, theirs))
    for origin in first:
        print(
            f"{origin['program']} {origin['version']}, {origin['isa']}, on {origin['processor']}, {origin['date']}, "
            f"load average {origin['load']}; commit {origin['commit'][:12]}"
        )
    print(f"\n{args.pairs} pairs of {args.steps} steps by turns; {ours[0]['what']}\n")
    heads = ["kernels", "threads", "ours", f"PyTorch {first[1]['version'].split('+')[0]}", "ours / PyTorch"]
    heads += ["share of peak, nominal FLOP", "share of peak, executed FLOP"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    print("\n".join(rows))


def row(threads, ours, theirs):
    median = lambda runs: statistics.median(r["median_ms"] for r in runs)
    ratios = sorted(a["median_ms"] / b["median_ms"] for a, b in zip(ours, theirs))
    share = lambda key: f"{100 * statistics.median(r[key] for r in ours):.0f} %"
    unusable = sum(not r["is_usable"] for r in ours + theirs)
    note = f" ({unusable} of {2 * len(ours)} runs unusable: this machine is busy)" if unusable else ""
    return (
        f"| {ours[0]['origin']['isa']} | {threads} | {median(ours):.1f} ms | {median(theirs):.1f} ms | {median(ours) / median(theirs):.2f} "
        f"(pairs: {ratios[0]:.2f} to {ratios[-1]:.2f}){note} | {share('share_of_peak')} | {share('executed_share_of_peak')} |"
    )


main()
