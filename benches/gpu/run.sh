#!/usr/bin/env bash
# Everything about the GPU of this machine in one call: builds, runs the tests on it, checks memory accesses where
# compute-sanitizer is there, times training, kernels and scores, times the same work in PyTorch, prints one table.
#
#   benches/gpu/run.sh [OUT]        OUT: folder for logs and table [default: target/gpu]
#
# Needs cargo and an NVIDIA driver, 550 or newer. For the baseline Python 3.10 or newer: `PYTHON=...` names one that has
# PyTorch; without, a virtual environment is made and PyTorch is fetched into it. `BASELINE=0` leaves it out.
set -euo pipefail
cd "$(dirname "$0")/../.."

out=${1:-target/gpu}
mkdir -p "$out"
out=$(cd "$out" && pwd)
ganforge() { cargo run --quiet --release -- "$@"; }

section() { printf '\n=== %s\n' "$*"; }

section "device"
if ! nvidia-smi --query-gpu=name,driver_version,power.limit,clocks.max.sm --format=csv,noheader | tee "$out/device.txt"; then
    echo "no NVIDIA driver answers: nvidia-smi failed" >&2
    exit 2
fi
git rev-parse HEAD | tee "$out/commit.txt"

section "build"
cargo build --release
ganforge info | grep '^cuda' | tee "$out/info.txt"

section "tests on the device"
cargo test --release -p ganforge-ptxvm --test all -- --nocapture kernels:: 2>&1 | tee "$out/tests.log"
cargo test --release -p ganforge-tensor --test all -- --nocapture parity:: fusions:: cuda:: captured_loop:: ladders:: 2>&1 | tee -a "$out/tests.log"
cargo test --release -p ganforge-gan --test all -- --nocapture device:: 2>&1 | tee -a "$out/tests.log"
if grep -q "skipped (gpu" "$out/tests.log"; then
    echo "the tests did not run on the GPU: $(grep -m 1 'skipped (gpu' "$out/tests.log")" >&2
    exit 1
fi

# A few steps of small nets, with each of the tools. Captured graphs are followed kernel by kernel. What they report is noted;
# the times are taken all the same, and the script fails at its end.
section "compute-sanitizer"
small=(trace tiny --steps 3 --set train.batch=10 --set train.update=alternating --device cuda --out "$out/trace.npz")
graphs=(bench step tiny --batch 10 --steps 20 --device cuda)
reports=()
sanitize() {
    local tool=$1
    shift
    compute-sanitizer --tool "$tool" --error-exitcode 1 target/release/ganforge "$@" 2>&1 | tee -a "$out/$tool.log" | tail -n 2 ||
        reports+=("$tool on $1 $2")
}
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
        : >"$out/$tool.log"
        sanitize "$tool" "${small[@]}"
        sanitize "$tool" "${graphs[@]}"
    done
    if [[ ${#reports[@]} == 0 ]]; then
        echo clean
    else
        printf '%s; ' "${reports[@]}"
        echo
    fi | tee "$out/sanitizer.txt"
else
    echo "not there" | tee "$out/sanitizer.txt"
fi

section "times"
for precision in f32 tf32 bf16; do
    ganforge bench gpu --device cuda --precision "$precision" --json >"$out/kernels-$precision.json"
    ganforge bench step mnist-2014 --batch 100 --update alternating --steps 2000 --device cuda --precision "$precision" \
        --json >"$out/step-$precision.json"
done
ganforge bench gpu --device cuda
ganforge bench step mnist-2014 --batch 100 --update alternating --steps 2000 --device cuda

if [[ ${BASELINE:-1} == 1 ]]; then
    section "the same in PyTorch"
    if [[ -z ${PYTHON:-} ]]; then
        python3 -m venv "$out/python"
        PYTHON=$out/python/bin/python
        "$PYTHON" -c 'import torch' 2>/dev/null || "$PYTHON" -m pip install --quiet torch numpy
    fi
    "$PYTHON" benches/gpu/baseline.py >"$out/baseline.json"
fi

section "table"
python3 benches/gpu/table.py "$out" | tee "$out/table.md"

if [[ ${#reports[@]} != 0 ]]; then
    echo "compute-sanitizer reports errors: see $out/sanitizer.txt and the logs beside it" >&2
    exit 1
fi
