// What all pages have: their data, and the making of elements.

const DATA = JSON.parse(document.getElementById("data").textContent);

/** An element with attributes, listeners (functions, as in {onclick}) and children (elements or text). */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element[name] = value;
    else if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Adds a section with a heading to the page. */
function section(title, ...children) {
  document.getElementById("page").append(el("section", {}, el("h2", {}, title), ...children));
}

/** A table; the first cell of a row is its heading. Cells are elements or text. */
function table(head, rows, kind = "") {
  const row = (cells) => el("tr", {}, el("th", { scope: "row" }, cells[0]), ...cells.slice(1).map((c) => el("td", {}, c)));
  const top = el("thead", {}, el("tr", {}, ...head.map((c) => el("th", { scope: "col" }, c))));
  const body = el("tbody", {}, ...rows.map(row));
  const parts = head.some((c) => c !== "") ? [top, body] : [body];
  return el("div", { class: "scroll" }, el("table", { class: kind }, ...parts));
}

/** Something that is made when it is first opened. */
function folded(title, make) {
  let made = false;
  const ontoggle = (event) => {
    if (!made && event.target.open) event.target.append(make());
    made = made || event.target.open;
  };
  return el("details", { ontoggle }, el("summary", {}, title));
}

/** A number with the digits that a reader wants: 0.6931, 12500, 1.2e-5. */
function number(x) {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return x.toExponential(2).replace("e+", "e");
  if (Number.isInteger(x)) return String(x);
  return String(Number(x.toPrecision(size >= 100 ? 5 : 4)));
}
