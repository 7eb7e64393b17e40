// The map: the drawing of the step, which can be zoomed and moved.

const map = el("div", { class: "map", tabindex: "0", "aria-label": "map of the step" });
/** The width in pixels at which its text can be read. */
const READABLE = 1900;
const MOST = 12000;

function drawing() {
  return map.querySelector("svg");
}

/** Makes the drawing `factor` times as wide; the place at x, y of the window stays there. */
function zoom(factor, at) {
  if (!map.clientWidth) return; // folded
  const [svg, frame] = [drawing(), map.getBoundingClientRect()];
  const [x, y] = at ?? [frame.left + frame.width / 2, frame.top + frame.height / 2];
  const before = svg.getBoundingClientRect();
  const [u, v] = [(x - before.left) / before.width, (y - before.top) / before.height];
  const width = Math.min(Math.max(before.width * factor, map.clientWidth), MOST);
  svg.style.width = `${width}px`;
  const after = svg.getBoundingClientRect();
  map.scrollLeft += after.left + u * after.width - x;
  map.scrollTop += after.top + v * after.height - y;
}

/** All of the drawing, or as wide as can be read. */
function zoomTo(width) {
  zoom(width / drawing().getBoundingClientRect().width);
}

/** Moves the map with the mouse; what was moved is no click. */
function drag(down) {
  if (down.pointerType !== "mouse" || down.button !== 0) return;
  const from = [down.clientX, down.clientY, map.scrollLeft, map.scrollTop];
  let hasMoved = false;
  const move = (event) => {
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    hasMoved = hasMoved || Math.hypot(dx, dy) > 4;
    if (hasMoved) [map.scrollLeft, map.scrollTop] = [from[2] - dx, from[3] - dy];
  };
  const up = () => {
    removeEventListener("pointermove", move);
    if (!hasMoved) return;
    // The click that this drag ends in, if it ends in one, comes before the next task.
    const swallow = (event) => event.stopPropagation();
    addEventListener("click", swallow, true);
    setTimeout(() => removeEventListener("click", swallow, true));
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", up, { once: true });
}

function buildMap() {
  map.innerHTML = DATA.map; // our own drawing, as text in the data
  drawing().style.width = `${READABLE}px`;
  for (const box of map.querySelectorAll("g[data-nodes]")) {
    const nodes = box.dataset.nodes.split(" ").map(Number);
    box.addEventListener("click", () => {
      const part = box.dataset.loss || "forward";
      const at = STOPS.findIndex((s) => s.part === part && nodes.includes(s.node));
      if (at >= 0) go(at);
    });
  }
  map.addEventListener("pointerdown", drag);
  map.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), [event.clientX, event.clientY]);
    },
    { passive: false },
  );
  const button = (text, label, onclick) => el("button", { type: "button", "aria-label": label, title: label, onclick }, text);
  return el(
    "details",
    { open: "", class: "card" },
    el("summary", {}, "map: the forward pass from left to right, the backward pass underneath from right to left; click a box, drag to move, ctrl + wheel to zoom"),
    el(
      "div",
      { class: "tools" },
      button("−", "smaller (-)", () => zoom(1 / 1.5)),
      button("+", "larger (+)", () => zoom(1.5)),
      button("fit", "fit to width (0)", () => zoomTo(map.clientWidth)),
    ),
    map,
  );
}

/** Shows where on the map the stop is. */
function mark(stop) {
  for (const box of map.querySelectorAll("g[data-nodes]")) {
    const isPart = box.dataset.loss === (stop.part === "forward" ? "" : stop.part);
    const nodes = box.dataset.nodes.split(" ").map(Number);
    const isHere = isPart && nodes.includes(stop.node);
    box.classList.toggle("here", isHere);
    if (isHere) show(box);
  }
}

/** Scrolls the map, and nothing else, until a box of it is in the middle. */
function show(box) {
  const [inner, outer] = [box.getBoundingClientRect(), map.getBoundingClientRect()];
  map.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  map.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
}
