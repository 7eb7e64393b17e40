// What the plots of a study share: figures that are drawn anew for each width, axes, shades of a score.

/** Pixels of a letter in a plot, on average. */
const LETTER = 7;

/** Text that fits into so many pixels. */
function fitted(text, pixels) {
  const most = Math.max(Math.floor(pixels / LETTER), 2);
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
}

/**
 * A figure whose drawing is made for the width that there is: draw(width, say) gives an element of SVG; what it says with
 * say(text) stands below it. rows: head and rows of the same values as a table.
 */
function figure({ title, note, hint, draw, rows, least = 300 }) {
  const area = el("div", { class: "plot" });
  const words = el("p", { class: "told small muted", role: "status" }, hint ?? "");
  const say = (text) => words.replaceChildren(text ?? hint ?? "");
  let drawn = 0;
  const redraw = () => {
    drawn = area.clientWidth;
    area.replaceChildren(draw(Math.max(drawn, least), say));
  };
  // A drawing may change the height, of which nobody need be told within the same frame.
  const resized = () => requestAnimationFrame(() => drawn === area.clientWidth || redraw());
  new ResizeObserver(resized).observe(area);
  const made = el(
    "figure",
    { class: "card chart study" },
    el("figcaption", {}, el("h3", {}, title), note ? el("p", { class: "muted small" }, note) : null),
    el("div", { class: "scroll" }, area),
    hint ? words : null,
    rows ? folded("values as a table", () => el("div", { class: "values" }, table(rows.head, rows.rows, "numbers"))) : null,
  );
  made.redraw = redraw;
  return made;
}

/** Where values lie between two ends: place(v) from 0 to 1; ticks: [place, label], about `count` of them. */
function scaled([min, max], isLog, count) {
  const f = isLog ? Math.log10 : (v) => v;
  const [low, high] = [f(min), f(max)];
  const place = (v) => (high > low ? (f(v) - low) / (high - low) : 0.5);
  let at = isLog ? logTicks(min, max) : ticks(min, max, count);
  // Within one power of ten there are too few of its kind.
  if (isLog && at.length < 3) at = ticks(min, max, count);
  const label = (t) => (isLog && Number(number(t)) === t ? logLabel(t) : tickLabel(t));
  return { place, ticks: at.filter((t) => !isLog || t > 0).map((t) => [place(t), label(t)]) };
}

/** The smallest and the largest of the values, of which there may be more than a function takes arguments. */
function extent(values) {
  return [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
}

/** Both ends of the values with some air around them. */
function airy(values, isLog) {
  const [min, max] = extent(values);
  if (isLog) {
    const air = max > min ? (max / min) ** 0.04 : 1.1;
    return [min / air, max * air];
  }
  const air = (max - min) * 0.04 || Math.abs(max) * 0.05 || 1;
  return [min - air, max + air];
}

/** A line from a to b. */
function stroke(kind, a, b, more = {}) {
  return svg("line", { class: kind, x1: a[0], y1: a[1], x2: b[0], y2: b[1], ...more });
}

/** Words at a place. */
function words(x, y, anchor, text, more = {}) {
  return svg("text", { x, y, "text-anchor": anchor, ...more }, text);
}

/** How good a score is between the best and the worst: 0 to 1, on the axis that scores have. */
function rank(score, [best, worst]) {
  const f = DATA.is_log ? Math.log : (v) => v;
  return best === worst ? 0 : Math.min(Math.max((f(score) - f(best)) / (f(worst) - f(best)), 0), 1);
}

/** The colour of a rank: strong for the best, faint for the worst. */
function shade(at) {
  return `color-mix(in oklab, var(--series-0) ${Math.round(100 - 88 * at)}%, var(--card))`;
}

/** The best and the worst of some scores. */
function ends(scores) {
  const [low, high] = extent(scores);
  return DATA.is_lower_better ? [low, high] : [high, low];
}

/** A cell in words. */
function cellName(cell) {
  const named = DATA.cell_keys.map((c, i) => [DATA.space[c].key, cell.values[i]]);
  if (named.length === 0) return "all settings";
  return named.length === 1 ? named[0][1] : named.map(([, value]) => value).join(", ");
}

/** Settings in words: lr = 1e-4, k = 5. */
function told(labels) {
  return DATA.space.map((d, c) => `${d.key} = ${labels[c]}`).join(", ");
}
