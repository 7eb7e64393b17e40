// Box plots of the cells, heat maps of pairs of keys, bars of what matters.

const ROW = 24;

/** A box plot a row for each cell, of its best settings or of all that have a score. */
function boxes(cells, which) {
  const known = cells.filter((c) => c[which]);
  const values = known.flatMap((c) => [...c[which].whiskers, ...c[which].beyond]);
  const range = airy(values, DATA.is_log);
  const draw = (width, say) => {
    const longest = Math.max(...cells.map((c) => cellName(c).length));
    const left = Math.min(longest * LETTER + 14, width * 0.42);
    const [right, top, bottom] = [width - 118, 6, 34];
    const height = top + ROW * cells.length + bottom;
    const { place, ticks } = scaled(range, DATA.is_log, 6);
    const x = (v) => left + place(v) * (right - left);
    const parts = ticks.flatMap(([at, label]) => {
      const tick = left + at * (right - left);
      return [stroke("grid", [tick, top], [tick, height - bottom]), words(tick, height - bottom + 16, "middle", label)];
    });
    parts.push(words(right, height - 3, "end", DATA.score));
    cells.forEach((cell, i) => {
      const y = top + ROW * (i + 0.5);
      const spread = cell[which];
      const spoken = boxWords(cell, spread);
      const failed = cell.runs[1] > 0 ? `, ${cell.runs[1]} failed` : "";
      parts.push(
        svg(
          "g",
          { class: "box", tabindex: 0, role: "img", "aria-label": spoken, onmouseenter: () => say(spoken), onfocus: () => say(spoken), onmouseleave: () => say() },
          svg("rect", { class: "row", x: 0, y: y - ROW / 2, width, height: ROW }),
          words(left - 8, y + 4, "end", fitted(cellName(cell), left - 14), { class: "name" }),
          ...(spread ? box(spread, x, y) : []),
          words(right + 10, y + 4, "start", `${spread?.n ?? 0} of ${cell.settings}${failed}`, failed ? { class: "bad" } : {}),
        ),
      );
    });
    const label = `Box plots of ${DATA.score} for ${cells.length} cells`;
    return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": label }, ...parts);
  };
  return draw;
}

/** The parts of a box plot around a height. */
function box({ quartiles: [q1, median, q3], whiskers, beyond }, x, y) {
  return [
    stroke("whisker", [x(whiskers[0]), y], [x(q1), y]),
    stroke("whisker", [x(q3), y], [x(whiskers[1]), y]),
    ...whiskers.map((w) => stroke("whisker", [x(w), y - 4], [x(w), y + 4])),
    svg("rect", { class: "quartiles", x: x(q1), y: y - 7, width: Math.max(x(q3) - x(q1), 1), height: 14 }),
    stroke("median", [x(median), y - 7], [x(median), y + 7]),
    ...beyond.map((v) => svg("circle", { class: "beyond", cx: x(v), cy: y, r: 2.5 })),
  ];
}

/** A row of box plots in words. */
function boxWords(cell, spread) {
  const runs = `${cell.runs[1]} of ${cell.runs[0]} runs failed`;
  if (!spread) return `${cellName(cell)}: none of ${cell.settings} settings has a score; ${runs}`;
  const { n, quartiles: [q1, median, q3], whiskers, beyond } = spread;
  const [least, most] = extent([...whiskers, ...beyond]);
  return (
    `${cellName(cell)}: ${n} of ${cell.settings} settings, median ${number(median)}, quartiles ${number(q1)} and ${number(q3)}, ` +
    `from ${number(least)} to ${number(most)}; ${runs}`
  );
}

/** The figure of box plots, with both choices of settings. */
function boxFigure() {
  const cells = DATA.cells.length > 0 ? DATA.cells : [DATA.all];
  let which = "top";
  const names = { top: "best 5 %", scores: "all with a score" };
  const button = (name) =>
    el("button", { type: "button", "aria-pressed": String(name === which), onclick: () => choose(name) }, names[name]);
  const buttons = { top: button("top"), scores: button("scores") };
  const keys = DATA.cell_keys.map((c) => DATA.space[c].key).join(" and ");
  const some = cells.length < DATA.cells_in_all ? ` The best ${cells.length} of ${DATA.cells_in_all} cells.` : "";
  const spread = (s) => [s?.n ?? 0, s?.quartiles[1], s?.quartiles[0], s?.quartiles[2]].map(number);
  const made = figure({
    title: DATA.cell_keys.length > 0 ? `${DATA.score} by ${keys}` : `${DATA.score} of all settings`,
    note:
      "Box: quartiles and median of the settings' scores; whiskers: the last score within 1.5 box widths of it; dots: scores beyond. " +
      `At the right how many settings these are of how many, and runs that failed.${some}`,
    hint: "Hover over a row, or move to it with the tab key, for its numbers.",
    draw: (width, say) => boxes(cells, which)(width, say),
    rows: {
      head: ["cell", "settings", "runs", "failed", "best 5 %", "median", "lower quartile", "upper quartile", "all", "median", "lower quartile", "upper quartile"],
      rows: cells.map((c) => [cellName(c), number(c.settings), ...c.runs.map(number), ...spread(c.top), ...spread(c.scores)]),
    },
  });
  const choose = (name) => {
    which = name;
    for (const [n, b] of Object.entries(buttons)) b.setAttribute("aria-pressed", String(n === name));
    made.redraw();
  };
  made.querySelector("figcaption").append(el("div", { class: "choice" }, buttons.top, buttons.scores));
  return made;
}

/** What stands along an axis of a heat map: [place from 0 to 1, label], names or numbers. */
function mapTicks(map, side, count) {
  const dimension = DATA.space[map.keys[side]];
  const places = map.places[side];
  const middle = (i) => (i + 0.5) / places.length;
  if (dimension.values) return { isNames: true, ticks: dimension.values.map((v, i) => [middle(i), v]) };
  if (!map.is_seen) return { isNames: false, ticks: scaled(dimension.range, dimension.is_log, count).ticks };
  const every = Math.ceil(places.length / count);
  const all = places.map((u, i) => [middle(i), number(Number(valueAt(dimension, u).toPrecision(3)))]);
  return { isNames: false, ticks: all.filter((_, i) => i % every === 0) };
}

/** The number at a place of a key's range. */
function valueAt({ range: [low, high], is_log }, u) {
  return is_log ? low * (high / low) ** u : low + (high - low) * u;
}

/** The value at a place of a map's axis, in words. */
function mapValue(map, side, i) {
  const dimension = DATA.space[map.keys[side]];
  return dimension.values ? dimension.values[i] : number(Number(valueAt(dimension, map.places[side][i]).toPrecision(3)));
}

/** A heat map as a figure; the key whose names take more room goes up. */
function heatMap(given) {
  const letters = (side) => (DATA.space[given.keys[side]].values ?? []).join("").length;
  const map = letters(0) > letters(1) ? turned(given) : given;
  const scores = map.scores.flat().filter((s) => s !== null);
  const range = ends(scores);
  const keys = map.keys.map((c) => DATA.space[c].key);
  const tell = (i, j) => `${keys[0]} = ${mapValue(map, 0, i)}, ${keys[1]} = ${mapValue(map, 1, j)}: ${DATA.score} ${number(map.scores[j][i])}`;
  const [nx, ny] = map.places.map((p) => p.length);
  // As many digits as tell the best from the worst.
  const digits = [3, 4, 5, 6].find((d) => range[0].toPrecision(d) !== range[1].toPrecision(d)) ?? 3;
  const short = (score) => number(Number(score.toPrecision(digits)));
  const isWritten = nx * ny <= 80;
  const draw = (width, say) => {
    const up = mapTicks(map, 1, 6);
    const left = Math.min(Math.max(...up.ticks.map(([, l]) => l.length)) * LETTER + 38, width * 0.42);
    const inner = width - left - 24;
    const along = mapTicks(map, 0, Math.max(Math.floor(inner / 60), 2));
    const isTight = along.isNames && Math.max(...along.ticks.map(([, l]) => l.length)) * LETTER > inner / nx - 4;
    const below = isTight ? Math.min(Math.max(...along.ticks.map(([, l]) => l.length)) * LETTER * 0.7 + 40, 150) : 40;
    const tall = isWritten ? 30 : Math.max(Math.min(260 / ny, 30), 8);
    const [top, bottom] = [6, 6 + tall * ny];
    const parts = [];
    map.scores.forEach((row, j) =>
      row.forEach((score, i) => {
        const [x, y] = [left + (inner * i) / nx, bottom - tall * (j + 1)];
        const at = score === null ? null : rank(score, range);
        const place = { x: x.toFixed(1), y: y.toFixed(1), width: (inner / nx + 0.3).toFixed(1), height: (tall + 0.3).toFixed(1) };
        const look = at === null ? { class: "empty" } : { style: `fill:${shade(at)}` };
        parts.push(svg("rect", { ...place, ...look, onmouseenter: () => say(tell(i, j)) }));
        if (isWritten && score !== null && inner / nx > short(score).length * LETTER) {
          const color = at < 0.5 ? "var(--card)" : "var(--ink)";
          parts.push(words(x + inner / nx / 2, y + tall / 2 + 4, "middle", short(score), { class: "score", style: `fill:${color}` }));
        }
      }),
    );
    for (const [at, label] of up.ticks) parts.push(words(left - 6, bottom - at * (bottom - top) + 4, "end", fitted(label, left - 34)));
    for (const [at, label] of along.ticks) {
      const x = left + at * inner;
      const turn = isTight ? { transform: `rotate(-40 ${x} ${bottom + 14})` } : {};
      parts.push(words(x, bottom + 16, isTight ? "end" : "middle", fitted(label, isTight ? 190 : inner), turn));
    }
    parts.push(words(left + inner / 2, bottom + below - 6, "middle", keys[0], { class: "name" }));
    const middle = (top + bottom) / 2;
    parts.push(words(12, middle, "middle", fitted(keys[1], bottom - top + 30), { class: "name", transform: `rotate(-90 12 ${middle})` }));
    const height = bottom + below;
    return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spoken, onmouseleave: () => say() }, ...parts);
  };
  const spoken = `${DATA.score} by ${keys.join(" and ")}: best ${number(range[0])}, worst ${number(range[1])}`;
  const what = map.is_seen ? "means of the settings that were tried" : "what the process expects, mean over all other keys";
  const rows = map.scores.map((row, j) => [mapValue(map, 1, j), ...row.map((s) => number(s === null ? null : Number(s.toPrecision(4))))]);
  return figure({
    title: `${keys[0]} and ${keys[1]}`,
    note: `${what}; dark: ${number(Number(range[0].toPrecision(4)))}, faint: ${number(Number(range[1].toPrecision(4)))}`,
    hint: "Hover over a place for its score.",
    draw,
    rows: { head: [`${keys[1]} \\ ${keys[0]}`, ...map.places[0].map((_, i) => mapValue(map, 0, i))], rows: rows.reverse() },
  });
}

/** The same map with its axes in each other's place. */
function turned(map) {
  const scores = map.places[0].map((_, i) => map.scores.map((row) => row[i]));
  return { ...map, keys: [...map.keys].reverse(), places: [...map.places].reverse(), scores };
}

/** How much of the score's variance each key explains, as bars. */
function importance(process) {
  const order = process.shares.map((share, c) => ({ share, key: DATA.space[c].key })).sort((a, b) => b.share[1] - a.share[1]);
  const percent = (x) => `${Math.round(100 * x)} %`;
  const draw = (width) => {
    const left = Math.min(Math.max(...order.map((o) => o.key.length)) * LETTER + 14, width * 0.42);
    const right = width - 96;
    const most = Math.max(1, ...order.map((o) => o.share[1]));
    const x = (v) => left + (v / most) * (right - left);
    const height = ROW * order.length + 8;
    const parts = order.flatMap(({ key, share: [first, total] }, i) => {
      const y = 4 + ROW * (i + 0.5);
      return [
        words(left - 8, y + 4, "end", fitted(key, left - 14), { class: "name" }),
        svg("rect", { class: "total", x: left, y: y - 7, width: Math.max(x(total) - left, 1), height: 14 }),
        svg("rect", { class: "first", x: left, y: y - 7, width: Math.max(x(first) - left, 1), height: 14 }),
        words(x(Math.max(total, first)) + 8, y + 4, "start", `${percent(first)} / ${percent(total)}`),
      ];
    });
    const spoken = order.map((o) => `${o.key}: alone ${percent(o.share[0])}, with others ${percent(o.share[1])}`).join("; ");
    return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spoken }, ...parts);
  };
  return figure({
    title: "What matters",
    note:
      `Which share of the variance of ${DATA.score}${DATA.is_log ? ", on its logarithmic scale," : ""} a key explains, over its whole range: alone (dark), and together with others (faint). ` +
      `By a Gaussian process that saw ${count(process.settings, "setting")}; of settings that are left out, one at a time, it explains ${percent(Math.max(process.left_out, 0))} of the variance` +
      (process.left_out < 0.5 ? ": little, so do not trust these bars." : "."),
    draw,
    rows: { head: ["key", "alone", "with others"], rows: order.map((o) => [o.key, percent(o.share[0]), percent(o.share[1])]) },
  });
}
