// Points of the plane or the line as a plot: where they are, what D says there, where the loss wants them to go.

const PLOT = 640;

/** D(x) all over the space, one pixel a cell: orange where D says 0, white at 1/2, blue at 1. */
function judged(loss) {
  const { d, cells } = DATA.space;
  const text = DATA.space.judged[loss];
  return text ? canvas(bytes(text), 0, { shape: { height: d === 1 ? 1 : cells, width: cells, channels: 1 }, signed: true }) : null;
}

/** From a point to pixels of the plot; on the line all points of a kind are at one height. */
function placed(point, height, level) {
  const [x, y] = DATA.space.ranges.map(([lo, hi], i) => (point[i] - lo) / (hi - lo));
  return [x * PLOT, y === undefined ? level * height : (1 - y) * height];
}

function dots(c, points, height, level, radius, look) {
  Object.assign(c, look);
  for (const point of points) {
    if (!point.every(Number.isFinite)) continue; // one that training has lost
    c.beginPath();
    c.arc(...placed(point, height, level), radius, 0, 2 * Math.PI);
    c.fill();
    c.stroke();
  }
}

/** An arrow in pixels. */
function arrow(c, [x, y], [dx, dy]) {
  const length = Math.hypot(dx, dy);
  if (!(length > 3)) return;
  const [ux, uy] = [dx / length, dy / length];
  const head = Math.min(10, length / 2);
  const [tx, ty] = [x + dx, y + dy];
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(tx, ty);
  for (const side of [1, -1]) {
    c.moveTo(tx, ty);
    c.lineTo(tx - head * (ux + side * 0.5 * uy), ty - head * (uy - side * 0.5 * ux));
  }
  c.stroke();
}

/** D(x) over the line, from 0 at the bottom to 1 at the top. */
function curve(c, loss, height) {
  const text = DATA.space.judged[loss];
  if (!text) return;
  Object.assign(c, { strokeStyle: "#1d2227", lineWidth: 3 });
  c.beginPath();
  const values = bytes(text);
  values.forEach((v, i) => c.lineTo(((i + 0.5) / values.length) * PLOT, (1 - v / 255) * height));
  c.stroke();
}

/** The plot of a value that is points, or gradients in points. */
function plot(p) {
  const { d, ranges } = DATA.space;
  const height = d === 1 ? PLOT / 2 : PLOT;
  const element = el("canvas", { width: PLOT, height, class: "plot", role: "img", "aria-label": `${p.at.length} points with D's value around them` });
  const c = element.getContext("2d");
  const ground = judged(p.judged);
  if (ground) c.drawImage(ground, 0, 0, PLOT, height);
  if (d === 1) curve(c, p.judged, height);
  if (p.real) dots(c, p.real, height, 0.95, 4, { fillStyle: "#ffffff", strokeStyle: "#5b6570", lineWidth: 1.5 });
  const norms = (p.gradient ?? []).map((g) => Math.hypot(...g)).filter(Number.isFinite);
  const longest = Math.max(0, ...norms);
  if (longest > 0) {
    Object.assign(c, { strokeStyle: "#1d2227", lineWidth: 2 });
    const scale = (0.14 * PLOT) / longest;
    // Downhill is against the gradient; on the canvas y points down.
    p.at.forEach((point, i) => arrow(c, placed(point, height, 0.88), [-p.gradient[i][0] * scale, (p.gradient[i][1] ?? 0) * scale]));
  }
  dots(c, p.at, height, 0.88, 4, { fillStyle: "#1d2227", strokeStyle: "#ffffff", lineWidth: 1 });
  const range = ranges.map(([lo, hi]) => `${number(lo)} to ${number(hi)}`);
  const words = [
    d === 1 ? `x from ${range[0]}; the curve is D(x) from 0 to 1` : `${range[0]} to the right, ${range[1]} upwards`,
    "background: orange where D is 0, white at ½, blue at 1",
    p.real ? "black: these points, white: the data" : "black: these points",
  ];
  if (p.gradient) words.push(`arrows: −dL/dx, the descent direction; the longest is ${number(longest)}`);
  return el("figure", { class: "picture" }, element, el("figcaption", { class: "muted small" }, `${words.join("; ")}.`));
}
