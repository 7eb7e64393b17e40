// The roofline of each device with a point for each kernel, and every ladder as bars.

const WIDTH = 760;
const TALL = 380;
const EDGE = { left: 62, right: 16, top: 12, bottom: 42 };

const BENCH = DATA.bench;
const families = [...new Set(BENCH.rows.map((r) => r.family))];
const colour = (family) => `var(--series-${families.indexOf(family) % 8})`;
const devices = [...new Set(BENCH.rows.map((r) => r.device))];

/** What a kernel does more or less than is written. */
function executed(r) {
  if (r.gflop_executed === r.gflop_written) return "";
  return `${number(r.gflop_executed)} GFLOP executed of ${number(r.gflop_written)} written, `;
}

/** A row in words. */
function told(r) {
  const share = (100 * r.roofline).toFixed(0);
  return `${r.family} ${r.size}, ${r.kernel}: ${r.about}. ${number(r.us)} µs, ${number(r.gflops)} GFLOP/s, ` +
    `${number(r.gbs)} GB/s, ${executed(r)}${share} % of the roofline, ${number(r.speedup)} × the first rung. ${r.rounds} rounds, the slowest ${(100 * r.spread).toFixed(0)} % above the best.`;
}

function roofline(device) {
  const rows = BENCH.rows.filter((r) => r.device === device);
  const peak = Math.max(...rows.map((r) => r.machine.peak_gflops));
  const slopes = rows.map((r) => r.machine.bandwidth_gbs);
  const [slow, fast] = [Math.min(...slopes), Math.max(...slopes)];
  const { x, y } = DATA.axes[device];
  const scale = ([lo, hi], from, to) => (v) => from + ((to - from) * Math.log(v / lo)) / Math.log(hi / lo);
  const px = scale(x, EDGE.left, WIDTH - EDGE.right);
  const py = scale(y, TALL - EDGE.bottom, EDGE.top);
  const parts = [];
  for (const t of logTicks(...x)) {
    parts.push(svg("line", { class: "grid", x1: px(t), x2: px(t), y1: EDGE.top, y2: TALL - EDGE.bottom }));
    parts.push(svg("text", { x: px(t), y: TALL - EDGE.bottom + 16, "text-anchor": "middle" }, logLabel(t)));
  }
  for (const t of logTicks(...y)) {
    parts.push(svg("line", { class: "grid", x1: EDGE.left, x2: WIDTH - EDGE.right, y1: py(t), y2: py(t) }));
    parts.push(svg("text", { x: EDGE.left - 6, y: py(t) + 4, "text-anchor": "end" }, logLabel(t)));
  }
  parts.push(svg("text", { x: (WIDTH + EDGE.left) / 2, y: TALL - 6, "text-anchor": "middle" }, "flop per byte"));
  parts.push(svg("text", { x: 14, y: TALL / 2, transform: `rotate(-90 14 ${TALL / 2})`, "text-anchor": "middle" }, "GFLOP/s"));
  const roof = (bandwidth, kind) => {
    const corner = Math.min(Math.max(peak / bandwidth, x[0]), x[1]);
    const start = Math.max(x[0], y[0] / bandwidth);
    const points = [[start, Math.min(peak, start * bandwidth)], [corner, peak], [x[1], peak]];
    parts.push(svg("polyline", { class: kind, points: points.map(([a, b]) => `${px(a)},${py(b)}`).join(" ") }));
  };
  roof(fast, "roof");
  if (slow < fast * 0.9) roof(slow, "roof lower");
  const words = el("p", { class: "told small muted", role: "status" }, "Hover over a kernel for details.");
  for (const r of [...rows].sort((a, b) => a.is_used - b.is_used)) {
    const say = () => words.replaceChildren(told(r));
    const place = { cx: px(r.intensity), cy: py(r.gflops), r: r.is_used ? 6 : 4.5, fill: colour(r.family) };
    const label = { tabindex: 0, role: "img", "aria-label": told(r), class: r.is_used ? "used" : "step" };
    parts.push(svg("circle", { ...place, ...label, onmouseenter: say, onfocus: say, onclick: say }));
  }
  const key = (family) => {
    const dot = svg("svg", { width: 10, height: 10, "aria-hidden": "true" }, svg("circle", { cx: 5, cy: 5, r: 5, fill: colour(family) }));
    return el("span", {}, dot, family);
  };
  const roofs = slow < fast * 0.9
    ? `bandwidth ${number(fast)} GB/s if operands fit into a cache, ${number(slow)} GB/s for the largest (dashed)`
    : `bandwidth ${number(fast)} GB/s`;
  return el(
    "figure",
    { class: "card roofline" },
    el("figcaption", {}, el("h3", {}, device), el("p", { class: "muted small" }, `Peak ${number(peak)} GFLOP/s, ${roofs}. Filled dots: kernels in use.`)),
    el("div", { class: "keys" }, ...families.filter((f) => rows.some((r) => r.family === f)).map(key)),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${TALL}`, role: "group", "aria-label": `Roofline of ${device}` }, ...parts),
    words,
  );
}

/** The kernels for one work on one device, fastest longest. */
function ladder(rows) {
  const best = Math.max(...rows.map((r) => r.gflops));
  const line = (r) => {
    const bar = el("div", { class: "bar", style: `width:${(100 * r.gflops) / best}%;background:${colour(r.family)}` });
    const cells = [number(r.us), `${(100 * r.spread).toFixed(0)} %`, number(r.gflop_written), number(r.gflop_executed), number(r.gflops), number(r.gbs), `${(100 * r.roofline).toFixed(0)} %`, number(r.speedup)];
    if (BENCH.baseline) cells.push(number(r.baseline_ratio));
    return el(
      "tr",
      { class: r.is_used ? "runs" : "" },
      el("th", { scope: "row" }, r.kernel),
      el("td", { class: "length" }, bar),
      ...cells.map((c) => el("td", {}, c)),
      el("td", { class: "muted" }, r.about),
    );
  };
  const head = ["kernel", "", "µs", "spread", "GFLOP", "executed", "GFLOP/s", "GB/s", "of roofline", "× first", ""];
  if (BENCH.baseline) head.splice(-1, 0, "µs / baseline");
  const top = el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h))));
  const [first] = rows;
  return el(
    "div",
    { class: "card ladder" },
    el("h3", {}, `${first.family} ${first.size} on ${first.device}`),
    el("div", { class: "scroll" }, el("table", { class: "numbers" }, top, el("tbody", {}, ...rows.map(line)))),
  );
}

const page = document.getElementById("page");
page.append(
  el("h1", {}, "Kernels"),
  el("p", { class: "muted" },
    "Every kernel was compared with plain loops in f64, then timed alternating with the others of its ladder; the best round counts. " +
    "Spread: how much longer the slowest round took."),
);
for (const warning of BENCH.warnings) page.append(el("p", { class: "warning", role: "note" }, `Warning: ${warning}`));
for (const win of BENCH.wins) {
  const words = win.batch === null ? "is not faster than the cpu at the batches timed" : `is faster than the cpu from a batch of ${win.batch} on`;
  page.append(el("p", {}, `At a layer of 1200 by 1200, ${win.device} ${words}.`));
}
section("Roofline", el("div", { class: "columns" }, ...devices.map(roofline)));
const groups = Map.groupBy(BENCH.rows, (r) => `${r.family} ${r.size} ${r.device}`);
section("Ladders", ...[...groups.values()].map(ladder));
const origin = BENCH.baseline ? [...DATA.origin, ["baseline", `${BENCH.baseline.file}, of ${BENCH.baseline.origin.date}`]] : DATA.origin;
section("Origin", table(["", ""], origin, "origin"));
