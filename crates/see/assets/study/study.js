// The report of a study: how far it is, the best, what each cell can do at which cost, what matters, all trials.

/** Cells that have a curve of their own. */
const CURVES = 8;

/** Seconds in words. */
function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  return minutes < 48 * 60 ? `${(minutes / 60).toFixed(1)} h` : `${(minutes / 1440).toFixed(1)} days`;
}

function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

function head() {
  const { progress, best, seeds } = DATA;
  const page = document.getElementById("page");
  page.replaceChildren(el("h1", {}, DATA.title));
  const per = `${count(progress.rounds, "round")} of ${count(progress.per_round / seeds.length, "setting", "settings")} x ${count(seeds.length, "seed")}`;
  page.append(el("p", { class: "muted" }, `A study of ${DATA.base}: ${per}, the ${DATA.is_lower_better ? "lowest" : "highest"} ${DATA.score} is sought`));
  const states = ["failed", "running", "waiting"].filter((s) => progress[s] > 0).map((s) => `${progress[s]} ${s}`);
  const took = progress.seconds === null ? "" : `; ${duration(progress.seconds)} of runs`;
  page.append(el("p", { class: "score" }, [`${progress.done} of ${progress.trials} trials done`, ...states].join(", ") + took));
  const bar = (name) => el("span", { class: name, style: `width:${(100 * progress[name]) / progress.trials}%` });
  page.append(el("div", { class: "progress", "aria-hidden": "true" }, bar("done"), bar("failed"), bar("running")));
  if (best) {
    const scored = best.runs.filter((r) => r !== null);
    const of = seeds.length > 1 ? `, the median of ${count(best.runs.length, "seed")}` + (scored.length < best.runs.length ? `, of which ${best.runs.length - scored.length} failed` : "") : "";
    page.append(el("p", { class: "score" }, `Best so far: ${DATA.score} ${number(best.score)}${of}`));
  } else {
    page.append(el("p", { class: "score" }, "No trial has a score yet."));
  }
}

function bestSection() {
  const { best } = DATA;
  if (!best) return;
  const rows = DATA.space.map((d, c) => [d.key, best.labels[c]]);
  const runs = best.runs.map((r) => (r === null ? "failed" : number(r))).join(", ");
  rows.push([DATA.score, best.runs.length > 1 ? `${number(best.score)}; each seed: ${runs}` : number(best.score)]);
  rows.push(["settings", `number ${best.number} of round ${best.round}`]);
  const toml = DATA.best_toml ? folded("as a configuration", () => el("pre", {}, DATA.best_toml)) : null;
  section("Best settings", el("div", { class: "card" }, table(["", ""], rows), toml));
}

function budgetFigure() {
  const known = DATA.cells.filter((c) => c.budget.mean.length > 0);
  const last = (c) => c.budget.mean.at(-1);
  const sorted = [...known].sort((a, b) => (DATA.is_lower_better ? last(a) - last(b) : last(b) - last(a)));
  const some = known.length > 1 ? sorted.slice(0, CURVES) : [];
  const line = (cell, look) => ({ x: cell.budget.settings, y: cell.budget.mean, ...look });
  const all = line(DATA.all, { name: "all settings", color: "var(--muted)", dash: "5 3", between: [DATA.all.budget.low, DATA.all.budget.high] });
  const series = some.map((c, i) => line(c, { name: cellName(c), color: `var(--series-${i})` }));
  const left = known.length > CURVES ? ` The best ${CURVES} of ${DATA.cells_in_all} cells.` : "";
  return chart({
    title: `Best ${DATA.score} against the number of settings tried`,
    note:
      "Mean over 1,000 practitioners who each try the settings of a round in an order of their own, round after round; " +
      `band: nine of ten of them, among all settings.${left}`,
    series: [...series, all],
    xName: "settings tried",
    // Within one power of ten a linear axis shows more.
    log: DATA.is_log && Math.max(...DATA.all.budget.high) > 10 * Math.min(...DATA.all.budget.low),
    isXLog: true,
  });
}

/** A table whose head sorts it. */
function sortable(head, rows) {
  const body = el("tbody");
  const fillBody = (sorted) =>
    body.replaceChildren(
      ...sorted.map((row) => el("tr", { class: row.kind }, el("th", { scope: "row" }, row.cells[0].text), ...row.cells.slice(1).map((c) => el("td", {}, c.text)))),
    );
  let [column, sign] = [0, 1];
  const heads = head.map((name, c) => {
    const button = el("button", { type: "button", onclick: () => by(c) }, name);
    return el("th", { scope: "col", "aria-sort": c === 0 ? "ascending" : "none" }, button);
  });
  const by = (c) => {
    sign = c === column ? -sign : 1;
    column = c;
    heads.forEach((h, i) => h.setAttribute("aria-sort", i !== c ? "none" : sign > 0 ? "ascending" : "descending"));
    // What has no value comes last either way.
    const compare = (a, b) => {
      const [u, v] = [a.cells[c].value, b.cells[c].value];
      if (u === null || v === null) return (u === null) - (v === null);
      return sign * (typeof u === "number" && typeof v === "number" ? u - v : String(u).localeCompare(String(v)));
    };
    fillBody([...rows].sort(compare));
  };
  fillBody(rows);
  return el("div", { class: "scroll trials" }, el("table", { class: "numbers" }, el("thead", {}, el("tr", {}, ...heads)), body));
}

function trialsSection() {
  const { trials } = DATA;
  if (trials.length === 0) return;
  const isNoted = trials.some((t) => t.note);
  const head = ["trial", "round", "seed", ...DATA.space.map((d) => d.key), DATA.score, "state", "time", ...(isNoted ? ["note"] : [])];
  const numeric = (text) => (text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text);
  const plain = (value) => ({ value, text: String(value) });
  const rows = trials.map((t) => ({
    kind: t.state,
    cells: [
      plain(t.number),
      plain(t.round),
      plain(t.seed),
      ...t.labels.map((l) => ({ value: numeric(l), text: typeof numeric(l) === "number" ? number(numeric(l)) : l })),
      { value: t.score, text: number(t.score) },
      plain(t.state),
      { value: t.seconds, text: duration(t.seconds) },
      ...(isNoted ? [{ value: t.note, text: t.note ?? "" }] : []),
    ],
  }));
  const some = trials.length < DATA.trials_in_all ? `${trials.length} of ${DATA.trials_in_all}: those that run or failed, and the best. ` : "";
  section("Trials", el("p", { class: "muted small" }, `${some}Sorted by the column whose head is clicked.`), el("div", { class: "card" }, sortable(head, rows)));
}

head();
bestSection();
if (DATA.all.scores) {
  section("Cells", boxFigure());
  section("Budget", budgetFigure());
}
const { process } = DATA;
if (process) {
  const bars = process.shares ? importance(process) : el("p", { class: "muted" }, "No key makes a difference that a Gaussian process could see.");
  section("Keys", bars, el("div", { class: "columns maps" }, ...process.maps.map(heatMap)));
}
if (DATA.settings.length > 0) section("Settings", parallel(DATA.settings));
trialsSection();
const facts = DATA.facts.length > 0 ? table(["", ""], DATA.facts) : null;
section("The study", el("div", { class: "card" }, facts, folded("study.toml", () => el("pre", {}, DATA.study_toml))));
