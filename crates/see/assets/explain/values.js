// A value of the step as a card: what it is, statistics, histogram, picture.

const DIVERGING = [[194, 84, 15], [255, 255, 255], [28, 107, 176]];

/** The bytes of a picture. */
function bytes(text) {
  const raw = atob(text);
  return Uint8Array.from(raw, (c) => c.charCodeAt(0));
}

/** The colour of a byte: grey where nothing is negative, else from orange through white to blue. */
function color(byte, signed) {
  if (!signed) return [byte, byte, byte];
  const t = (byte - 128) / 127;
  const end = DIVERGING[t < 0 ? 0 : 2];
  return end.map((c, i) => Math.round(255 + (c - 255) * Math.min(Math.abs(t), 1)));
}

/** The colour of a pixel of a picture that begins at a byte: three channels are its colours. */
function pixel(data, at, { shape, signed, grey }) {
  return shape.channels === 3 ? [0, 1, 2].map((c) => data[at + c]) : color(data[at], signed && !grey);
}

/** One image, or a matrix, on a canvas of one pixel per value. */
function canvas(data, at, p) {
  const { height, width, channels } = p.shape;
  const element = el("canvas", { width, height, class: "pixels" });
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i++) image.data.set([...pixel(data, at + channels * i, p), 255], 4 * i);
  element.getContext("2d").putImageData(image, 0, 0);
  return element;
}

/** What the colours of a picture mean. */
function scaleText({ shape, signed, grey, top }) {
  const most = number(top);
  if (!signed) return `black 0, white ${most}`;
  if (grey) return `black −${most}, white ${most}`;
  return shape.channels === 3 ? `grey 0, dark −${most}, bright ${most}` : `orange −${most}, white 0, blue ${most}`;
}

/** The picture of a value with what it shows. */
function picture(value, label) {
  const p = value.picture;
  if (!p) return null;
  if (p.kind === "points") return plot(p);
  const caption = el("figcaption", { class: "muted small" }, `${p.what}; ${scaleText(p)}`);
  if (p.kind === "tiles") return el("figure", { class: "picture" }, tiles(p, label).element, caption);
  const data = bytes(p.data);
  const { count, height, width, channels } = p.shape;
  const each = height * width * channels;
  const images = Array.from({ length: count }, (_, i) => canvas(data, i * each, p));
  return el("figure", { class: "picture" }, el("div", { class: p.kind, role: "img", "aria-label": `${label}: ${p.what}` }, ...images), caption);
}

/** Counts as bars; their heights are square roots, so that rare values can be seen beside many zeros. */
function histogram(value) {
  const { bins, min, max } = value;
  if (bins.length === 0) return null;
  const [w, h] = [320, 64];
  const top = Math.sqrt(Math.max(...bins));
  const width = w / bins.length;
  const bar = (n, i) => {
    const height = n === 0 ? 0 : Math.max((Math.sqrt(n) / top) * h, 1.5);
    return svg("rect", { x: (i * width).toFixed(1), y: (h - height).toFixed(1), width: (width - 1).toFixed(1), height: height.toFixed(1) });
  };
  const zero = min < 0 && max > 0 ? (-min / (max - min)) * w : null;
  const line = zero === null ? null : svg("line", { x1: zero, y1: 0, x2: zero, y2: h });
  const label = `Histogram of ${value.n} values from ${number(min)} to ${number(max)}`;
  const ends = [number(min), zero === null ? "" : "0", number(max)];
  const place = zero === null ? "50%" : `${Math.min(Math.max((100 * zero) / w, 18), 82)}%`;
  return el(
    "div",
    { class: "histogram" },
    svg("svg", { viewBox: `0 0 ${w} ${h}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bins.map(bar), ...(line ? [line] : [])),
    el("div", { class: "ends muted small" }, el("span", {}, ends[0]), el("span", { style: `left: ${place}` }, ends[1]), el("span", {}, ends[2])),
  );
}

/** The shape as people write it. */
function shapeText(shape) {
  return shape.length === 0 ? "a number" : shape.join(" × ");
}

/** A value as a card; `role` says what it is here. */
function card(id, role, kind = "") {
  const [node, value] = [DATA.nodes[id], DATA.values[id]];
  const name = el("a", { href: `#n${id}`, class: "label", onclick: (e) => follow(e, id) }, node.label);
  const head = el("header", {}, el("span", { class: "role" }, role), name, el("span", { class: "muted small" }, shapeText(node.shape)));
  if (!value) return el("article", { class: `card value ${kind}` }, head);
  const rows = [
    ["mean", number(value.mean)],
    ["sd", number(value.sd)],
    ["min", number(value.min)],
    ["max", number(value.max)],
    ["norm", number(value.norm)],
    ["zeros", `${((100 * value.zeros) / value.n).toFixed(1)} %`],
  ];
  if (value.bad > 0) rows.push(["not finite", value.bad]);
  const stats =
    value.n === 1
      ? el("p", { class: "scalar" }, number(value.mean))
      : el("dl", { class: "stats" }, ...rows.map(([k, v]) => el("div", {}, el("dt", {}, k), el("dd", {}, v))));
  const shown = kind === "out" && value.sees ? sight(id) : picture(value, node.label);
  return el("article", { class: `card value ${kind}`, "data-node": id }, head, stats, histogram(value), shown);
}
