// Feature maps and filters as tiles, and which pixels of an earlier image a pixel sees.

/** Rows of tiles in one part of a picture. */
function tileRows(p) {
  return Math.ceil(p.count / p.columns);
}

/** Where tile k of a part begins: one pixel lies between tiles, three between parts. */
function corner(p, part, k) {
  const { height, width } = p.shape;
  const top = part * (tileRows(p) * (height + 1) + 2);
  return [(k % p.columns) * (width + 1), top + Math.floor(k / p.columns) * (height + 1)];
}

/** All tiles of a picture on one canvas of one pixel per value. */
function mosaic(p, label) {
  const { height, width, channels } = p.shape;
  const size = [p.columns * (width + 1) - 1, p.parts * (tileRows(p) * (height + 1) + 2) - 3];
  const element = el("canvas", { width: size[0], height: size[1], class: "pixels", role: "img", "aria-label": `${label}: ${p.what}` });
  const image = new ImageData(...size);
  const data = bytes(p.data);
  let at = 0;
  for (let tile = 0; tile < p.parts * p.count; tile++) {
    const [x, y] = corner(p, Math.floor(tile / p.count), tile % p.count);
    for (let i = 0; i < height * width; i++, at += channels) {
      const place = (y + Math.floor(i / width)) * size[0] + x + (i % width);
      image.data.set([...pixel(data, at, p), 255], 4 * place);
    }
  }
  element.getContext("2d").putImageData(image, 0, 0);
  return element;
}

/** The tiles, and a drawing over them: `{ element, show(rectangles) }`, each rectangle `[tile, row, column, rows, columns]`. */
function tiles(p, label, onpick) {
  const image = mosaic(p, label);
  const over = svg("svg", { viewBox: `0 0 ${image.width} ${image.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const element = el("div", { class: "tiles", style: `max-width: ${12 * image.width}px` }, image, over);
  if (onpick) {
    element.classList.add("picked");
    element.onclick = (event) => {
      const frame = image.getBoundingClientRect();
      const x = Math.floor(((event.clientX - frame.left) / frame.width) * image.width);
      const y = Math.floor(((event.clientY - frame.top) / frame.height) * image.height);
      const { height, width } = p.shape;
      for (let tile = 0; tile < p.parts * p.count; tile++) {
        const [left, top] = corner(p, Math.floor(tile / p.count), tile % p.count);
        if (x >= left && x < left + width && y >= top && y < top + height) onpick(tile, y - top, x - left);
      }
    };
  }
  const show = (rectangles) => {
    const drawn = rectangles.map(([tile, row, column, rows, columns]) => {
      const [x, y] = corner(p, Math.floor(tile / p.count), tile % p.count);
      return svg("rect", { x: x + column, y: y + row, width: columns, height: rows });
    });
    over.replaceChildren(...drawn);
  };
  return { element, show };
}

/** The number that a byte of a picture stands for, nearly. */
function near(byte, p) {
  return p.signed ? ((byte - 128) / 127) * p.top : (byte / 255) * p.top;
}

/** `4`, or `4 × 5` where rows and columns differ. */
function pair(values, text = String) {
  const [a, b] = values.map(text);
  return a === b ? a : `${a} × ${b}`;
}

/** The windows between two images, each with what its results see. */
function windows(way, name) {
  const fraction = ([n, d]) => (d === 1 ? String(n) : `${n}/${d}`);
  const minus = (n) => String(n).replace("-", "−");
  const items = way.map((i) => {
    const w = DATA.sight.windows[i];
    const stride = w.stride && pair(w.stride, (s) => (w.scatters && s > 1 ? `1/${s}` : String(s)));
    const window = w.kernel ? `, kernel ${pair(w.kernel)}, stride ${stride}, pad ${pair(w.pad)}` : "";
    const seen = w.seen ? `sees ${pair(w.seen.size)}, moves by ${pair(w.seen.stride, fraction)}, first ${pair(w.seen.start, minus)}` : "no rule for all lines";
    return el("li", {}, el("b", {}, w.layer), ` ${w.op}${window}: ${w.image.join(" × ")} pixels; `, el("b", {}, seen));
  });
  return el(
    "div",
    { class: "windows" },
    el("ol", {}, ...items),
    el(
      "p",
      { class: "muted small" },
      `Line i of a result sees so many lines of ${name}, from first + i · moves by on; those before 0 or behind the end are not there. ` +
        "What a kernel k with stride s and pad p makes of an image that sees r lines, moves by d and begins at f: it sees r + (k − 1) d, moves by s d, begins at f − p d. " +
        "Transposed, at stride 1/s, a line sees every s-th step of the kernel, and this is the most that one sees.",
    ),
  );
}

/** "rows 4 to 13" */
function linesText(what, [lo, hi]) {
  return lo === hi ? `${what} ${lo}` : `${what}s ${lo} to ${hi}`;
}

/** The picture of an image in which a pixel can be chosen, by mouse or by numbers, and what that pixel sees. */
function sight(id) {
  const [node, value] = [DATA.nodes[id], DATA.values[id]];
  const p = value.picture;
  const { height, width, channels } = p.shape;
  const at = { tile: 0, row: Math.floor(height / 2), column: Math.floor(width / 2) };
  const data = bytes(p.data);
  const isGradient = node.stage === "backward";
  const own = tiles(p, node.label, (tile, row, column) => choose({ tile, row, column }));
  const field = (name, most) => {
    const input = el("input", { type: "number", min: 0, max: most, "aria-label": `${name} of a pixel of ${node.label}` });
    input.oninput = () => {
      const n = Math.min(Math.max(Math.round(input.valueAsNumber), 0), most);
      if (Number.isFinite(n)) choose({ [name === "channel" ? "tile" : name]: n }, input);
    };
    return input;
  };
  const fields = { row: field("row", height - 1), column: field("column", width - 1) };
  if (p.parts * p.count > 1) fields.tile = field("channel", p.parts * p.count - 1);
  const seen = value.sees.map((s, nth) => {
    const [source, text] = [DATA.values[s.of]?.picture, el(nth === 0 ? "p" : "span", { class: "sees", "aria-live": "polite" })];
    const name = DATA.nodes[s.of].label;
    const picture = source?.kind === "tiles" ? tiles(source, name) : null;
    const link = el("a", { href: `#n${s.of}`, onclick: (e) => follow(e, s.of) }, name);
    const where = ["", place({ node: s.of })].filter((w, i) => i === 0 || w).join(" ");
    const words = el("p", { class: "muted small" }, link, `${where}: ${source?.what ?? ""}`);
    const means = s.means ? el("p", { class: "muted small" }, "By means over the minibatch, as in batch norm, it depends on all other pixels, too; that is not shown.") : null;
    const way = folded(`how far a pixel sees, window by window: ${s.windows.length}`, () => windows(s.windows, name));
    const show = () => {
      const range = (lines, i) => DATA.sight.lines[lines].slice(2 * i, 2 * i + 2);
      const [rows, columns] = [range(s.rows, at.row), range(s.columns, at.column)];
      const verb = isGradient ? "gets its gradient through" : "sees";
      const from = `Row ${at.row}, column ${at.column}`;
      if (rows[0] < 0 || columns[0] < 0) {
        text.textContent = `${from} ${verb} nothing of ${name}.`;
        picture?.show([]);
        return;
      }
      const [h, w] = [rows[1] - rows[0] + 1, columns[1] - columns[0] + 1];
      const size = DATA.nodes[s.of].shape.slice(1, 3).join(" × ");
      text.textContent = `${from} ${verb} ${linesText("row", rows)}, ${linesText("column", columns)} of ${name}: ${h} × ${w} of ${size} pixels, all channels.`;
      const all = source?.kind === "tiles" ? source.parts * source.count : 0;
      picture?.show(Array.from({ length: all }, (_, tile) => [tile, rows[0], columns[0], h, w]));
    };
    const rest = [picture?.element ?? null, words, means, way];
    // The nearest image is shown, those behind it when they are asked for.
    const element = nth === 0 ? el("div", { class: "seen" }, text, ...rest) : el("details", { class: "seen" }, el("summary", {}, text), ...rest);
    return { element, show };
  });
  const number_ = el("output", { class: "muted small" });
  const choose = (next, typed) => {
    Object.assign(at, next);
    for (const [name, input] of Object.entries(fields)) if (input !== typed) input.value = at[name];
    own.show([[at.tile, at.row, at.column, 1, 1]]);
    const first = ((at.tile * height + at.row) * width + at.column) * channels;
    number_.textContent = `≈ ${Array.from({ length: channels }, (_, c) => number(near(data[first + c], p))).join(", ")}`;
    for (const s of seen) s.show();
  };
  choose({});
  const labels = { tile: p.parts > 1 ? "tile" : "channel", row: "row", column: "column" };
  const chooser = ["row", "column", "tile"].filter((name) => fields[name]).map((name) => el("label", {}, labels[name], fields[name]));
  return el(
    "div",
    {},
    el("figure", { class: "picture" }, own.element, el("figcaption", { class: "muted small" }, `${p.what}; ${scaleText(p)}`)),
    el("div", { class: "pixel" }, el("span", { class: "small" }, "a pixel:"), ...chooser, number_),
    ...seen.map((s) => s.element),
  );
}
