// Line charts in SVG: axes, error bands, values under the pointer, the same values as a table.

const HEIGHT = 250;
const MARGIN = { left: 56, right: 14, top: 10, bottom: 36 };

/** Numbers of the form 1, 2 or 5 times a power of ten, about `count` of them from `min` to `max`. */
function ticks(min, max, count) {
  const raw = (max - min) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((s) => s * power >= raw * 0.999) * power;
  const found = [];
  for (let i = Math.ceil(min / step - 1e-9); i * step <= max + step * 1e-9; i++) {
    found.push(Number((i * step).toPrecision(12)));
  }
  return found;
}

/** The label of a tick on a linear axis: with all digits that tell it from the next one. */
function tickLabel(t) {
  return Number(number(t)) === t ? number(t) : String(t);
}

/** Powers of ten from `min` to `max`, with 2 and 5 between them where there are few. */
function logTicks(min, max) {
  const [low, high] = [Math.floor(Math.log10(min)), Math.ceil(Math.log10(max))];
  const every = Math.ceil((high - low) / 6);
  const between = high - low <= 2 ? [1, 2, 5] : [1];
  const found = [];
  for (let k = low; k <= high; k += every) for (const b of between) found.push(b * 10 ** k);
  return found.filter((t) => t >= min * 0.999 && t <= max * 1.001);
}

/** The label of a tick on a logarithmic axis: 0.01, 10, or a power such as 10⁻⁵. */
function logLabel(t) {
  const k = Math.round(Math.log10(t));
  if (Math.abs(k) <= 3 || Math.abs(t / 10 ** k - 1) > 1e-6) return number(t);
  return "10" + String(k).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
}

/** The place in the ascending list `x` of the number nearest to `at`. */
function nearest(x, at) {
  let [low, high] = [0, x.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (x[middle] < at) low = middle;
    else high = middle;
  }
  return at - x[low] <= x[high] - at ? low : high;
}

/** What the values to be shown lie between, with some air; on a logarithmic axis whole factors. */
function extent(values, log, wanted) {
  let [min, max] = [Math.min(...wanted), Math.max(...wanted)];
  for (const v of values) {
    if (v === null || (log && v <= 0)) continue;
    min = Math.min(min, v);
    max = Math.max(max, v);
  }
  if (min > max) return [0.1, 1];
  if (log) return max / min < 10 ? [min / 2, max * 2] : [min / 1.3, max * 1.3];
  const air = max > min ? (max - min) * 0.05 : Math.abs(max) * 0.05 || 1;
  return wanted.length > 1 && min === wanted[0] && max === wanted[1] ? wanted : [min - air, max + air];
}

/** A short line in the look of a series. */
function swatch(s) {
  const line = { x1: 0, y1: 5, x2: 20, y2: 5, stroke: s.color, "stroke-width": 3, "stroke-dasharray": s.dash ?? "none" };
  return svg("svg", { width: 20, height: 10, "aria-hidden": "true" }, svg("line", line));
}

/**
 * A chart as a figure.
 *
 * series: [{ name, color, dash?, x, y, band?, between? }], x ascending, y with null where there is no value, band the half
 * width of an error band, between: the lower and the upper edges of one that is not even; xName; log; isXLog, for x above 0; reference: { y, name }, a dashed line; range: what the y axis shows at least.
 */
function chart({ title, note, series, xName, log = false, isXLog = false, reference, range = [] }) {
  const area = el("div", { class: "plot" });
  const tip = el("div", { class: "tip", role: "status", hidden: "" });
  const figure = el(
    "figure",
    { class: "card chart" },
    el("figcaption", {}, el("h3", {}, title), note ? el("p", { class: "muted small" }, note) : null),
    series.length > 1 ? legend(series) : null,
    el("div", { class: "frame" }, area, tip),
    folded("values as a table", () => valueTable(series, xName)),
  );
  const spoken = `${title}. ` + series.map((s) => `${s.name}: ${spokenRange(s)}`).join("; ");
  let cursor = null;

  const draw = () => {
    const width = Math.max(area.clientWidth, 260);
    area.replaceChildren(plot({ width, series, xName, log, isXLog, reference, range, spoken }));
    area.firstChild.onpointermove = area.firstChild.onpointerdown = (event) => {
      const box = area.getBoundingClientRect();
      point(area.firstChild.toX(event.clientX - box.left));
    };
    area.firstChild.onpointerleave = area.firstChild.onblur = () => point(null);
    area.firstChild.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const longest = series.reduce((a, b) => (b.x.length > a.x.length ? b : a));
      const at = cursor === null ? longest.x.length - 1 : nearest(longest.x, cursor) + step;
      point(longest.x[Math.min(Math.max(at, 0), longest.x.length - 1)]);
    };
  };
  const point = (at) => {
    cursor = at;
    const seen = area.firstChild.mark(at);
    tip.hidden = seen.length === 0;
    if (tip.hidden) return;
    const line = (s) => el("div", {}, swatch(s.series), ` ${s.series.name} `, el("b", {}, number(s.y)), s.error);
    tip.replaceChildren(el("div", { class: "muted" }, `${xName} ${number(seen[0].x)}`), ...seen.map(line));
    const left = seen[0].left;
    tip.style.left = left > area.clientWidth / 2 ? "" : `${left + 12}px`;
    tip.style.right = left > area.clientWidth / 2 ? `${area.clientWidth - left + 12}px` : "";
  };
  new ResizeObserver(draw).observe(area);
  return figure;
}

function legend(series) {
  const entry = (s) => el("li", {}, swatch(s), ` ${s.name}`);
  return el("ul", { class: "legend" }, ...series.map(entry));
}

/** "0.69 at first, 0.41 at last, between 0.38 and 0.7", for those who cannot see the line. */
function spokenRange(s) {
  const y = s.y.filter((v) => v !== null);
  if (y.length === 0) return "no values";
  const [min, max] = y.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [y[0], y[0]]);
  return `${number(y[0])} at first, ${number(y[y.length - 1])} at last, between ${number(min)} and ${number(max)}`;
}

/** At most 200 rows of values; metrics.csv has them all. */
function valueTable(series, xName) {
  const parts = series.map((s) => {
    const every = Math.ceil(s.x.length / 200);
    const places = s.x.map((_, i) => i).filter((i) => i % every === 0 || i === s.x.length - 1);
    return { s, places, every };
  });
  const xs = [...new Set(parts.flatMap(({ s, places }) => places.map((i) => s.x[i])))].sort((a, b) => a - b);
  const maps = parts.map(({ s, places }) => new Map(places.map((i) => [s.x[i], number(s.y[i]) + errorText(s, i)])));
  const rows = xs.map((x) => [number(x), ...maps.map((m) => m.get(x) ?? "")]);
  const every = Math.max(...parts.map((p) => p.every));
  const note = every > 1 ? el("p", { class: "muted small" }, `one row in ${every}`) : null;
  return el("div", { class: "values" }, note ?? "", table([xName, ...series.map((s) => s.name)], rows, "numbers"));
}

/** The lower and the upper edge of a series' error band, or null. */
function edges(s, i) {
  if (s.between) return [s.between[0][i], s.between[1][i]];
  return s.band && s.band[i] !== null && s.y[i] !== null ? [s.y[i] - s.band[i], s.y[i] + s.band[i]] : null;
}

function errorText(s, i) {
  if (s.between) return ` (${number(s.between[0][i])} to ${number(s.between[1][i])})`;
  return s.band ? ` ± ${number(s.band[i])}` : "";
}

/** The drawing, which can tell what is under a place (toX) and mark it (mark). */
function plot({ width, series, xName, log, isXLog, reference, range, spoken }) {
  const inner = { w: width - MARGIN.left - MARGIN.right, h: HEIGHT - MARGIN.top - MARGIN.bottom };
  const xs = series.flatMap((s) => [s.x[0], s.x[s.x.length - 1]]).filter((x) => x !== undefined);
  let [x0, x1] = [isXLog ? Math.min(...xs) : Math.min(0, ...xs), Math.max(...xs)];
  if (!(x1 > x0)) x1 = x0 + 1;
  const ends = (s) => (s.band || s.between ? s.y.flatMap((_, i) => edges(s, i) ?? []) : s.y);
  const [y0, y1] = extent(series.flatMap(ends), log, [...range, ...(reference ? [reference.y] : [])]);
  const scale = log ? Math.log10 : (v) => v;
  const [xScale, xBack] = isXLog ? [Math.log10, (v) => 10 ** v] : [(v) => v, (v) => v];
  const xPart = (x) => (xScale(x) - xScale(x0)) / (xScale(x1) - xScale(x0));
  const toLeft = (x) => MARGIN.left + xPart(x) * inner.w;
  const toTop = (y) => MARGIN.top + (1 - (scale(y) - scale(y0)) / (scale(y1) - scale(y0))) * inner.h;
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);
  const line = (kind, a, b) => svg("line", { class: kind, x1: a[0], y1: a[1], x2: b[0], y2: b[1] });
  const right = width - MARGIN.right;
  const bottom = HEIGHT - MARGIN.bottom;

  const parts = [];
  for (const t of log ? logTicks(y0, y1) : ticks(y0, y1, 5)) {
    parts.push(line("grid", [MARGIN.left, toTop(t)], [right, toTop(t)]));
    parts.push(text(MARGIN.left - 6, toTop(t) + 4, "end", log ? logLabel(t) : tickLabel(t)));
  }
  for (const t of isXLog ? logTicks(x0, x1) : ticks(x0, x1, Math.min(8, inner.w / 60))) {
    parts.push(line("tick", [toLeft(t), bottom], [toLeft(t), bottom + 4]));
    parts.push(text(toLeft(t), bottom + 17, "middle", number(t)));
  }
  parts.push(line("axis", [MARGIN.left, bottom], [right, bottom]));
  parts.push(text(right, HEIGHT - 4, "end", xName));
  if (reference) {
    parts.push(line("reference", [MARGIN.left, toTop(reference.y)], [right, toTop(reference.y)]));
    const above = toTop(reference.y) - 5;
    parts.push(text(right - 2, above < MARGIN.top + 8 ? above + 18 : above, "end", reference.name));
  }
  for (const s of series) if (s.band || s.between) parts.push(band(s, toLeft, toTop));
  for (const s of series) parts.push(...curve(s, log, toLeft, toTop));
  const marks = svg("g", { class: "marks" });
  const root = svg(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", tabindex: 0, "aria-label": spoken },
    ...parts,
    marks,
  );

  root.toX = (left) => xBack(xScale(x0) + ((left - MARGIN.left) / inner.w) * (xScale(x1) - xScale(x0)));
  root.mark = (at) => {
    marks.replaceChildren();
    if (at === null) return [];
    const seen = [];
    for (const s of series) {
      const i = nearest(s.x, at);
      if (s.x.length === 0 || s.y[i] === null || (log && s.y[i] <= 0)) continue;
      if (xPart(at) < xPart(s.x[0]) - 0.02 || xPart(at) > xPart(s.x[s.x.length - 1]) + 0.02) continue;
      const left = toLeft(s.x[i]);
      seen.push({ series: s, x: s.x[i], y: s.y[i], left, error: errorText(s, i) });
      marks.append(svg("circle", { cx: left, cy: toTop(s.y[i]), r: 4, fill: s.color }));
    }
    if (seen.length > 0) marks.prepend(line("cursor", [seen[0].left, MARGIN.top], [seen[0].left, bottom]));
    return seen;
  };
  return root;
}

/** The line of a series, broken where it has no value; values that are few or alone are dots too. */
function curve(s, log, toLeft, toTop) {
  const parts = [];
  let run = [];
  const end = () => {
    const look = { fill: "none", stroke: s.color, "stroke-width": 1.6, "stroke-dasharray": s.dash ?? "none", "stroke-linejoin": "round" };
    if (run.length > 1) parts.push(svg("polyline", { points: run.map((p) => p.map((c) => c.toFixed(1)).join()).join(" "), ...look }));
    if (run.length === 1 || s.x.length <= 40) parts.push(...run.map((p) => svg("circle", { cx: p[0], cy: p[1], r: 3, fill: s.color })));
    run = [];
  };
  s.x.forEach((x, i) => {
    if (s.y[i] === null || (log && s.y[i] <= 0)) end();
    else run.push([toLeft(x), toTop(s.y[i])]);
  });
  end();
  return parts;
}

/** The error band of a series. */
function band(s, toLeft, toTop) {
  const known = s.x.map((_, i) => i).filter((i) => edges(s, i) !== null);
  const edge = (i, which) => `${toLeft(s.x[i]).toFixed(1)},${toTop(edges(s, i)[which]).toFixed(1)}`;
  const points = [...known.map((i) => edge(i, 1)), ...known.reverse().map((i) => edge(i, 0))];
  return svg("polygon", { points: points.join(" "), fill: s.color, opacity: 0.2 });
}
