"""The table of run.sh, in Markdown, from the files that it left in a folder."""

import json
import sys
from pathlib import Path


def read(path):
    return json.loads(path.read_text()) if path.is_file() else None


def ratio(ours, theirs):
    return f"{theirs / ours:.2f}" if ours and theirs else ""


def number(us):
    return f"{us:,.2f}" if us is not None else ""


def main():
    out = Path(sys.argv[1])
    torch = read(out / "baseline.json")
    text = lambda name: (out / name).read_text().strip() if (out / name).is_file() else "unknown"
    print(f"Device: {text('device.txt')}; commit {text('commit.txt')}; compute-sanitizer: {text('sanitizer.txt')}.")
    if torch:
        print(f"PyTorch {torch['torch']} on {torch['device']}.")
    print("\n| what | precision | ours [us] | speed | PyTorch [us] | PyTorch / ours |\n|---|---|---|---|---|---|")

    def row(what, precision, ours, speed, theirs):
        print(f"| {what} | {precision} | {number(ours)} | {speed} | {number(theirs)} | {ratio(ours, theirs)} |")

    for precision in ("f32", "tf32", "bf16"):
        step, kernels = read(out / f"step-{precision}.json"), read(out / f"kernels-{precision}.json")
        if step:
            us = 1e3 * step["median_ms"]
            speed = f"{step['gflops']:,.0f} GFLOP/s"
            steps = torch["step"] if torch and precision == "f32" else {"": None}
            for mode, theirs in steps.items():
                name = f"iteration, against {mode}" if mode else "iteration"
                row(name, precision, us, speed, theirs)
            row("epoch of 500 iterations", precision, 500 * us, speed, None)
        for r in kernels["rows"] if kernels else []:
            theirs = None
            if torch and r["what"].startswith("product"):
                theirs = torch[precision].get(r["what"])
            elif precision != "f32":
                continue
            elif torch and r["what"].startswith("program y = x,"):
                theirs = torch["copy"]
            elif torch and r["what"].startswith("program"):
                theirs = torch["program"]
            elif torch:
                theirs = torch["parzen"]
            row(r["what"], precision, r["us"], f"{r['speed']:,.0f} {r['unit']}", theirs)


main()
