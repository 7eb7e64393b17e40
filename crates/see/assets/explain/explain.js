// The walk: one stop at a time, with the keyboard or the mouse, and a map of where one is.

const STOPS = DATA.stops;
const PARTS = [...new Set(STOPS.map((s) => s.part))];
/** What each part of the walk is called. */
const TITLES = { forward: "Forward pass", update: "Updates", "loss/d": "Backward pass of D's loss", "loss/g": "Backward pass of G's loss", "loss/c": "Backward pass of C's loss" };
const TONES = { forward: "forward", update: "update", "loss/d": "of-d", "loss/g": "of-g", "loss/c": "of-d" };

let here = 0;
let shown = STOPS.map((_, i) => i);

/** What a stop is called. */
function title(stop) {
  return stop.part === "update" ? stop.name : DATA.nodes[stop.node].title;
}

/** Where in the model it is. */
function place(stop) {
  if (stop.part === "update") return "update";
  const node = DATA.nodes[stop.node];
  return node.scope === "top" ? "" : node.scope;
}

/** The first stop that is about a node, best one that computes it. */
function stopOf(id) {
  const wanted = [
    (s) => s.part === "forward" && s.node === id,
    (s) => s.lines?.includes(id),
    (s) => s.part === "update" && s.node === id,
    (s) => s.dy === id,
  ];
  for (const is of wanted) {
    const found = STOPS.findIndex(is);
    if (found >= 0) return found;
  }
  return -1;
}

function follow(event, id) {
  event.preventDefault();
  const at = stopOf(id);
  if (at >= 0) go(at);
}

/** A reference to a value inside of a line. */
function reference(id) {
  const node = DATA.nodes[id];
  const label = node ? node.label : `%${id}`;
  return stopOf(id) < 0 ? label : el("a", { href: `#n${id}`, onclick: (e) => follow(e, id) }, label);
}

/** `%14 = matmul(z, G.h0.w)` with its inputs as references. */
function line(id, role = "") {
  const node = DATA.nodes[id];
  const isSource = node.inputs.length === 0;
  const parts = [`${node.label} = `];
  let rest = node.formula;
  for (const input of node.inputs) {
    const label = DATA.nodes[input]?.label ?? `%${input}`;
    const at = rest.indexOf(label);
    parts.push(rest.slice(0, at), reference(input));
    rest = rest.slice(at + label.length);
  }
  parts.push(rest);
  const text = isSource && !node.formula.includes("constant") ? [node.formula] : parts;
  return el("div", { class: "line" }, el("code", {}, ...text), el("span", { class: "muted small" }, role));
}

/** Pages of the book, each to be unfolded. */
function chapters(names) {
  const known = names.filter((name) => DATA.pages[name]);
  const heading = (name) => DATA.pages[name].split("\n")[0].replace(/^#+ /, "");
  const made = (name) => () => el("div", { class: "chapter" }, ...markdown(DATA.pages[name]));
  return known.map((name) => folded(`the derivation, from the book: ${heading(name)}`, made(name)));
}

/** What the op's own documentation says; `wanted` is the line to look at here. */
function documentation(op, wanted) {
  const { doc, pages } = DATA.ops[op] ?? { doc: "", pages: [] };
  const [words, ...rest] = doc.split("```text\n");
  const formulas = (rest.join("").split("\n```")[0] ?? "").split("\n");
  let current = "";
  const rows = formulas.map((text) => {
    const key = /^(vjp|order 2|cost|source|errors):/.exec(text)?.[1];
    current = key ?? (/^\s/.test(text) ? current : "formula");
    const mark = current === wanted ? "wanted" : ["cost", "source", "errors"].includes(current) ? "muted" : "";
    return el("span", { class: mark }, `${text}\n`);
  });
  return el("section", { class: "card doc" }, el("p", { class: "muted small" }, ...inline(words.trim())), el("pre", {}, ...rows), ...chapters(pages));
}

/** The formula of a loss. */
function equation(node) {
  return node.equation ? el("p", { class: "equation" }, node.equation) : "";
}

/** What makes a stop one of the tour, and the way to the next. */
function tourStop() {
  const at = DATA.tour.findIndex((t) => t.stop === here);
  if (at < 0) return "";
  const button = (text, label, step) =>
    el("button", { type: "button", "aria-label": label, disabled: DATA.tour[at + step] ? null : "", onclick: () => tour(step) }, text);
  return el(
    "section",
    { class: "card tour" },
    el("p", {}, DATA.tour[at].why),
    el(
      "div",
      { class: "controls" },
      button("◀", "previous stop of the tour", -1),
      el("span", { class: "muted small", id: "tour-position" }, `tour: ${at + 1} of ${DATA.tour.length}`),
      button("▶", "next stop of the tour", 1),
    ),
  );
}

/** Goes to the nearest stop of the tour after (1) or before (-1) this one. */
function tour(step) {
  const ahead = DATA.tour.map((t) => t.stop).filter((s) => (step > 0 ? s > here : s < here));
  if (ahead.length > 0) go(step > 0 ? ahead[0] : ahead.at(-1));
}

function notes(stop) {
  return stop.notes.length === 0 ? "" : el("ul", { class: "notes" }, ...stop.notes.map((n) => el("li", {}, n)));
}

function cards(title, ...children) {
  const there = children.filter((c) => c);
  return there.length === 0 ? "" : el("section", {}, el("h3", {}, title), el("div", { class: "values" }, ...there));
}

/** The other stops about the same node. */
function elsewhere(stop) {
  const same = STOPS.map((s, i) => [s, i]).filter(([s]) => s.node === stop.node && s !== stop);
  const words = { forward: "its formula" };
  const button = ([s, i]) => el("button", { type: "button", class: TONES[s.part], onclick: () => go(i) }, words[s.part] ?? TITLES[s.part] ?? s.part);
  return same.length === 0 ? "" : el("p", { class: "elsewhere" }, ...same.map(button));
}

const VIEWS = {
  forward(stop) {
    const node = DATA.nodes[stop.node];
    const inputs = [...new Set(stop.inputs)].map((id) => card(id, "in"));
    return [
      el("div", { class: "card lines" }, equation(node), line(stop.node), el("p", { class: "muted small" }, `recorded at ${node.site}`)),
      notes(stop),
      cards(inputs.length ? "Inputs and output" : "Value", ...inputs, card(stop.node, "out", "out")),
      documentation(node.op, "formula"),
    ];
  },
  update(stop) {
    const inputs = stop.inputs.map((id) => card(id, "reads"));
    return [
      el("div", { class: "card lines" }, ...stop.lines.map((id) => line(id))),
      notes(stop),
      cards("Before and after", card(stop.node, "before"), stop.new === stop.node ? null : card(stop.new, "after", "out")),
      cards("Inputs of the update", ...inputs),
      el("section", { class: "card doc" }, ...chapters(stop.pages)),
    ];
  },
  backward(stop) {
    const node = DATA.nodes[stop.node];
    const recorded = stop.lines.length
      ? stop.lines.map((id) => line(id))
      : [el("p", { class: "muted" }, "No node of its own: the incoming gradient is passed on unchanged.")];
    const outgoing = stop.gradients.map(([of, gradient]) => card(gradient, `gradient in ${DATA.nodes[of]?.label ?? `%${of}`}`, "out"));
    return [
      el(
        "div",
        { class: "card lines" },
        el("p", { class: "muted small" }, "differentiates"),
        equation(node),
        line(stop.node),
        el("p", { class: "muted small" }, "and recorded"),
        ...recorded,
      ),
      el("h3", {}, "Why"),
      notes(stop),
      cards("Output, incoming and outgoing gradients", card(stop.node, "y"), card(stop.dy, `dy: gradient in ${node.label}`), ...outgoing),
      documentation(node.op, "vjp"),
    ];
  },
};

const stage = el("div", { id: "stop", "aria-live": "polite" });
const list = el("nav", { id: "list", "aria-label": "all stops" });
const search = el("input", { type: "search", id: "search", placeholder: "search: an op, a layer, %41", "aria-label": "search", oninput: () => filter() });
const strip = el("div", { id: "strip", role: "presentation" });

function go(at, isNew = true) {
  here = Math.min(Math.max(at, 0), STOPS.length - 1);
  const stop = STOPS[here];
  const view = VIEWS[stop.part] ?? VIEWS.backward;
  const heading = stop.part === "forward" ? title(stop) : stop.part === "update" ? `New value of ${title(stop)}` : `Gradient of ${title(stop)}`;
  const position = el("span", { class: "muted small", id: "position" }, `${here + 1} of ${STOPS.length}`);
  const button = (text, label, step) =>
    el("button", { type: "button", "aria-label": label, disabled: STOPS[here + step] ? null : "", onclick: () => go(here + step) }, text);
  stage.className = TONES[stop.part] ?? "of-d";
  stage.replaceChildren(
    el(
      "header",
      { class: "stop-head" },
      el("div", {}, el("p", { class: "part" }, TITLES[stop.part] ?? stop.part), el("h2", {}, heading), el("p", { class: "muted" }, place(stop))),
      el("div", { class: "controls" }, button("◀", "previous stop", -1), position, button("▶", "next stop", 1)),
    ),
    tourStop(),
    elsewhere(stop),
    ...view(stop),
  );
  for (const [elements, isItem] of [[list.querySelectorAll("[data-at]"), true], [strip.children, false]]) {
    for (const e of elements) {
      const isHere = Number(e.dataset.at) === here;
      e.classList.toggle("here", isHere);
      if (isHere && isItem) {
        e.setAttribute("aria-current", "step");
        const [top, bottom] = [e.offsetTop - list.offsetTop, e.offsetTop - list.offsetTop + e.offsetHeight];
        if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 3;
      } else e.removeAttribute("aria-current");
    }
  }
  mark(stop);
  if (isNew) history.replaceState(null, "", `#s${here}`);
  // Whoever has scrolled down sees the next stop from its beginning.
  if (stage.getBoundingClientRect().top < 0) stage.scrollIntoView();
}

/** Keeps the stops that have all words of the search in what they are about. */
function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter((w) => w);
  const text = (s) => `${s.part} ${title(s)} ${place(s)} ${DATA.nodes[s.node].label} ${DATA.nodes[s.node].formula} ${s.part === "forward" ? "" : "chain rule gradient"}`.toLowerCase();
  shown = STOPS.map((_, i) => i).filter((i) => words.every((w) => text(STOPS[i]).includes(w)));
  listStops();
}

function listStops() {
  const groups = PARTS.map((part) => {
    const mine = shown.filter((i) => STOPS[i].part === part);
    if (mine.length === 0) return null;
    const item = (i) => {
      const stop = STOPS[i];
      const node = DATA.nodes[stop.node];
      const label = stop.part === "update" || !node.label.startsWith("%") ? "" : node.label;
      return el("button", { type: "button", "data-at": i, class: i === here ? "here" : "", onclick: () => go(i) }, el("span", {}, title(stop)), el("span", { class: "muted small" }, `${place(stop)} ${label}`));
    };
    return el("div", { class: `group ${TONES[part] ?? "of-d"}` }, el("h3", {}, TITLES[part] ?? part), ...mine.map(item));
  });
  const there = groups.filter((g) => g);
  list.replaceChildren(...(there.length ? there : [el("p", { class: "muted" }, "No stop contains all of these words.")]));
}

function keys(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target === search) {
    if (event.key === "Enter" && shown.length > 0) go(shown[0]);
    if (event.key === "Enter" || event.key === "Escape") search.blur();
    return;
  }
  if (event.target instanceof HTMLInputElement) return; // numbers are typed there
  if (event.target instanceof HTMLElement && event.target.tagName === "SUMMARY" && [" ", "Enter"].includes(event.key)) return;
  const moves = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: STOPS.length - 1 };
  if (event.key in moves) go(moves[event.key]);
  else if (event.key === "/") search.focus();
  else if (event.key === "t") tour(1);
  else if (event.key === "T") tour(-1);
  else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.5 : 1 / 1.5);
  else if (event.key === "0") zoomTo(map.clientWidth);
  else if (event.key === "n" || event.key === "p") {
    // The next or previous part of the walk.
    const starts = PARTS.map((part) => STOPS.findIndex((s) => s.part === part));
    const next = event.key === "n" ? starts.find((s) => s > here) : starts.filter((s) => s < here).at(-1);
    if (next !== undefined) go(next);
  } else return;
  event.preventDefault();
}

function build() {
  const page = document.getElementById("page");
  const facts = DATA.facts.filter(([, v]) => v !== null).map(([k, v]) => `${k} ${number(v)}`);
  STOPS.forEach((stop, i) => strip.append(el("span", { "data-at": i, class: `${TONES[stop.part] ?? "of-d"}${DATA.tour.some((t) => t.stop === i) ? " toured" : ""}`, title: `${title(stop)} ${place(stop)}`, onclick: () => go(i) })));
  page.replaceChildren(
    el("h1", {}, `${DATA.name}: inside training step ${DATA.step}`),
    el("p", { class: "muted" }, `${DATA.about}. ${facts.join(", ")}.`),
    el("p", { class: "muted small" }, el("kbd", {}, "→"), " and ", el("kbd", {}, "←"), " walk, ", el("kbd", {}, "n"), " and ", el("kbd", {}, "p"), " jump to the next and previous part, ", el("kbd", {}, "/"), " searches, ", el("kbd", {}, "t"), " and ", el("kbd", {}, "T"), " go to the next and previous stop of the tour, ", el("kbd", {}, "+"), " ", el("kbd", {}, "−"), " ", el("kbd", {}, "0"), " zoom the map; every label links to the stop that computes its value."),
    el("p", {}, el("button", { type: "button", id: "start-tour", onclick: () => go(DATA.tour[0].stop) }, `tour of the ${DATA.tour.length} most important stops`)),
    buildMap(),
    strip,
    el("div", { class: "walk" }, el("aside", {}, search, list), stage),
  );
  listStops();
  document.addEventListener("keydown", keys);
  const [, at] = /^#s(\d+)$/.exec(location.hash) ?? [];
  go(Number(at ?? 0), false);
}

build();
