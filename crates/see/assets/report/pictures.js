// The samples of each epoch, under one slider for all runs.

/** A row of pictures, one per run, and the slider that moves them. */
function gallery(runs) {
  const shown = runs.filter((run) => run.pictures.length > 0);
  const places = new Map(shown.flatMap((run) => run.pictures.map((p) => [order(p), p])));
  const orders = [...places.keys()].sort((a, b) => a - b);
  const frames = shown.map((run) => frame(run, runs.length > 1));
  const slider = el("input", {
    type: "range", id: "epoch", min: 0, max: orders.length - 1, step: 1, value: orders.length - 1,
    "aria-label": "epoch of the samples", oninput: () => show(Number(slider.value)),
  });
  const label = el("output", { for: "epoch" });
  const play = el("button", { type: "button", onclick: () => (timer ? stop() : start()) }, "Play");
  let timer = null;

  const show = (i) => {
    slider.value = i;
    const at = orders[i];
    label.textContent = places.get(at).epoch === null ? places.get(at).name : `epoch ${places.get(at).epoch}`;
    slider.setAttribute("aria-valuetext", label.textContent);
    for (const f of frames) f(at);
  };
  const start = () => {
    if (Number(slider.value) === orders.length - 1) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next < orders.length) show(next);
      else stop();
    }, 250);
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    // Whatever has the focus may need the arrows itself.
    if (!step || event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(Math.min(Math.max(Number(slider.value) + step, 0), orders.length - 1));
  });
  show(orders.length - 1);
  const controls = orders.length > 1 ? el("div", { class: "controls" }, play, slider, label) : el("div", {}, label);
  return el("div", { class: "gallery" }, controls, el("div", { class: "frames" }, ...frames.map((f) => f.element)), omitted(shown));
}

/** Pictures without an epoch come last, in the order of their names. */
function order(picture) {
  return picture.epoch ?? Infinity;
}

/** The picture of a run: a function that shows the newest one up to a place. */
function frame(run, isNamed) {
  const image = el("img", { onload: () => image.classList.toggle("enlarged", image.naturalWidth < image.clientWidth) });
  const caption = el("figcaption", { class: "muted small" });
  const show = (at) => {
    const up = run.pictures.filter((p) => order(p) <= at);
    const picture = up[up.length - 1] ?? run.pictures[0];
    const place = picture.epoch === null ? picture.name : `epoch ${picture.epoch}`;
    if (image.getAttribute("src") !== picture.src) image.setAttribute("src", picture.src);
    image.alt = `Samples of ${run.label}, ${place}`;
    caption.textContent = isNamed ? `${run.label}, ${place}` : "";
  };
  show.element = el("figure", {}, image, caption);
  return show;
}

/** What the page leaves out. */
function omitted(runs) {
  const some = runs.filter((run) => run.pictures.length < run.pictures_in_all);
  if (some.length === 0) return "";
  const text = some.map((run) => `${run.pictures.length} of ${run.pictures_in_all} pictures of ${run.label}`).join(", ");
  return el("p", { class: "muted small" }, `In this page: ${text}, evenly spaced, including the first and the last.`);
}
