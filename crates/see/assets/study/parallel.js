// Parallel coordinates: each of the settings is a line through its values, and ends at its score.

const PARALLEL = { height: 330, top: 44, bottom: 22, side: 70 };

function parallel(settings) {
  const scores = settings.map((s) => s.score).filter((s) => s !== null);
  const range = scores.length > 0 ? ends(scores) : [0, 1];
  const axis = airy(scores.length > 0 ? scores : [0, 1], DATA.is_log);
  const hasFailed = settings.some((s) => s.score === null);
  const { top, bottom, side, height } = PARALLEL;
  const low = height - bottom - (hasFailed ? 26 : 0);
  const names = [...DATA.space.map((d) => d.key), DATA.score];
  // The best are drawn last, on top.
  const order = [...settings].sort((a, b) => badness(b, range) - badness(a, range));
  const worseness = (i) => 1 - i / Math.max(order.length - 1, 1);
  const shades = new Map(order.map((s, i) => [s, shade(0.9 * Math.sqrt(worseness(i)))]));
  let chosen = null;

  const draw = (width, say) => {
    const gap = (width - 2 * side) / (names.length - 1);
    const x = (c) => side + gap * c;
    const score = scaled(axis, DATA.is_log, 6);
    const y = (at) => low - at * (low - top);
    const end = (s) => (s.score === null ? height - bottom : y(score.place(s.score)));
    const line = (s) => [...s.point.map((u, c) => [x(c), y(u)]), [x(names.length - 1), end(s)]];
    const path = (s) => line(s).map((p) => p.map((v) => v.toFixed(1)).join()).join(" ");
    const look = (s) =>
      s.score === null
        ? { class: "failed" }
        : { style: `stroke:${shades.get(s)}` };
    const isTight = names.some((name) => name.length * LETTER > gap - 12);
    const parts = order.map((s) => svg("polyline", { points: path(s), ...look(s) }));
    names.forEach((name, c) => {
      parts.push(stroke("axis", [x(c), top], [x(c), low]));
      const place = isTight ? [16 + (c % 2) * 14, 2 * gap - 12] : [30, gap];
      parts.push(words(x(c), place[0], "middle", fitted(name, place[1]), { class: "name" }));
      const dimension = DATA.space[c];
      const n = dimension?.values?.length;
      const marks = n ? dimension.values.map((v, i) => [(i + 0.5) / n, v]) : dimension ? scaled(dimension.range, dimension.is_log, 5).ticks : score.ticks;
      for (const [at, label] of marks) {
        parts.push(stroke("tick", [x(c) - 3, y(at)], [x(c) + 3, y(at)]));
        parts.push(words(x(c) + 6, y(at) + 4, "start", fitted(label, gap - 14), { class: "value" }));
      }
    });
    if (hasFailed) parts.push(words(x(names.length - 1) + 6, height - bottom + 4, "start", "failed", { class: "value bad" }));
    const marks = svg("g", { class: "marks" });
    const show = (s) => {
      chosen = s;
      marks.replaceChildren();
      if (!s) return say();
      marks.append(svg("polyline", { points: path(s), class: "halo" }), svg("polyline", { points: path(s), class: "chosen" }));
      const runs = s.runs.length > 1 ? ` (runs: ${s.runs.map((r) => (r === null ? "failed" : number(r))).join(", ")})` : "";
      say(`Settings ${s.number}, round ${s.round}: ${told(s.labels)}. ${s.score === null ? "Failed" : `${DATA.score} ${number(s.score)}`}${runs}`);
    };
    const spoken = `Parallel coordinates of ${settings.length} settings: ${names.join(", ")}`;
    const root = svg(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0, "aria-label": spoken, class: settings.length > 150 ? "many" : "" },
      ...parts,
      marks,
    );
    root.onpointermove = root.onpointerdown = (event) => {
      const box = root.getBoundingClientRect();
      show(under(order, line, event.clientX - box.left, event.clientY - box.top));
    };
    root.onpointerleave = root.onblur = () => show(null);
    root.onkeydown = (event) => {
      const step = { ArrowLeft: 1, ArrowUp: 1, ArrowRight: -1, ArrowDown: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const at = chosen ? order.indexOf(chosen) + step : order.length - 1;
      show(order[Math.min(Math.max(at, 0), order.length - 1)]);
    };
    return root;
  };
  const all = DATA.settings_in_all;
  return figure({
    title: "All settings",
    note:
      `Each line is one of the settings${settings.length < all ? `: the best ${settings.length} of ${all}` : ""}; the stronger, the better its ${DATA.score}` +
      (hasFailed ? "; dashed: failed." : "."),
    hint: "Hover over a line for its settings, or go through them from the best on with the arrow keys.",
    draw,
    least: 2 * side + 92 * (names.length - 1),
  });
}

function badness(setting, range) {
  return setting.score === null ? 2 : rank(setting.score, range);
}

/** The line that is nearest to a place. */
function under(settings, line, left, top) {
  let [found, least] = [null, 14];
  for (const s of settings) {
    const points = line(s);
    const next = points.findIndex((p) => p[0] >= left);
    if (next < 1) continue;
    const [a, b] = [points[next - 1], points[next]];
    const at = a[1] + ((b[1] - a[1]) * (left - a[0])) / (b[0] - a[0]);
    const away = Math.abs(at - top);
    if (away <= least) [found, least] = [s, away];
  }
  return found;
}
