// The report: what a run was, what it draws, its curves, its configuration; or several runs side by side.

/** Where D cannot tell real from generated. */
const HALF = { y: 0.5, name: "1/2" };

/** What the columns of metrics.csv and scores.csv are called, and how they are drawn. */
const COLUMNS = {
  loss_d: { title: "Loss of D", short: "D", color: "var(--discriminator)" },
  loss_g: { title: "Loss of G", short: "G", color: "var(--generator)" },
  d_real: { title: "Mean D(x)", short: "D(x), real", color: "var(--discriminator)", range: [0, 1], reference: HALF },
  d_fake: { title: "Mean D(G(z))", short: "D(G(z)), generated", color: "var(--generator)", range: [0, 1], reference: HALF },
  lr: { title: "Learning rate" },
  momentum: { title: "Momentum" },
  log_likelihood: { title: "Parzen log-likelihood", note: "in nats, higher is better; band: one standard error" },
  covered: { title: "Modes covered", note: "", range: [0], of: "modes" },
  high_quality: { title: "Samples of high quality", note: "share within three standard deviations of a mode", range: [0, 1] },
  jsd: { title: "Jensen-Shannon divergence", note: "between data and samples, in nats; 0 is best", range: [0] },
  cost: { title: "C(G)", note: "in nats", reference: { y: -Math.log(4), name: "-log 4, the minimum" } },
  d_error: { title: "Mean |D - D*|", note: "mean error against the optimal discriminator", range: [0] },
};

/** What is drawn together of a single run. */
const GROUPS = [
  { title: "Losses", note: "in nats", columns: ["loss_d", "loss_g"] },
  {
    title: "Outputs of D",
    note: "mean D on real and on generated examples; both 1/2: D cannot distinguish them",
    columns: ["d_real", "d_fake"],
  },
  { title: "Gradient norms of D", note: "by layer: L2 norm of the gradient in its weights, logarithmic", prefix: "grad/D." },
  { title: "Gradient norms of G", note: "by layer: L2 norm of the gradient in its weights, logarithmic", prefix: "grad/G." },
  { title: "Learning rate", note: "", columns: ["lr"] },
  { title: "Momentum", note: "", columns: ["momentum"] },
];

/** Differences between runs that are seen at a glance. */
const FEW = 10;

const RUNS = DATA.runs;

/** What the metrics of the runs say of their columns of scores.csv. */
const LABELS = Object.assign({}, ...RUNS.map((run) => run.labels));
/** Columns that are no curves: where a row stands, and what describes a score rather than being one. */
const isSetting = (name) => ["step", "epoch"].includes(name) || LABELS[name]?.better === null;
/** What a column is called. */
const titleOf = (name) => COLUMNS[name]?.title ?? LABELS[name]?.title ?? name;
const IS_IN_EPOCHS = RUNS.every((run) => run.steps_per_epoch);
const X_NAME = IS_IN_EPOCHS ? "epoch" : "step";

/** A column of a run's table, or null. */
function column(table, name) {
  const at = table ? table.names.indexOf(name) : -1;
  return at < 0 ? null : table.columns[at];
}

function hasValues(table, name) {
  return (column(table, name) ?? []).some((v) => v !== null);
}

/** A column as a series over epochs, or over steps where the length of an epoch is not known of all runs. */
function series(run, table, name, look) {
  const x = column(table, "step").map((step) => (IS_IN_EPOCHS ? step / run.steps_per_epoch : step));
  const isFirst = table.names.findIndex((n) => !["step", "epoch"].includes(n)) === table.names.indexOf(name);
  const band = isFirst ? column(table, "stderr") : null;
  return { x, y: column(table, name), band, ...look };
}

/** The i-th of n shades of a colour, light for the first layer and dark for the last (in the dark the other way). */
function shade(color, i, n) {
  const place = n < 2 ? 0 : (2 * i) / (n - 1) - 1;
  const [other, part] = place < 0 ? ["var(--card)", -35 * place] : ["var(--ink)", 60 * place];
  return `color-mix(in oklab, ${color}, ${other} ${Math.round(part)}%)`;
}

/** The charts of one run: what belongs together in one. */
function chartsOfOne(run) {
  const charts = [];
  for (const group of GROUPS) {
    const names = group.columns ?? run.metrics.names.filter((n) => n.startsWith(group.prefix));
    const there = names.filter((n) => hasValues(run.metrics, n));
    if (there.length === 0) continue;
    const lines = there.map((name, i) => {
      const known = COLUMNS[name];
      const net = name.startsWith("grad/D.") ? "discriminator" : "generator";
      const look = known
        ? { name: known.short ?? known.title, color: known.color ?? "var(--series-2)" }
        : { name: name.slice("grad/".length), color: shade(`var(--${net})`, i, there.length) };
      return series(run, run.metrics, name, look);
    });
    const { range, reference } = COLUMNS[there[0]] ?? {};
    charts.push(chart({ ...group, series: lines, xName: X_NAME, log: Boolean(group.prefix), range, reference }));
  }
  return charts;
}

/** The number in the column `name` that a score is out of, where all runs have the same: a line to reach. */
function whole(runs, name) {
  const found = new Set(runs.map((run) => column(run.scores, name)?.at(-1)));
  return found.size === 1 ? { y: [...found][0], name: `${[...found][0]} in all` } : undefined;
}

/** A chart of one column with a line for each run that has it. */
function compared(which, name) {
  const runs = RUNS.filter((run) => hasValues(run[which], name));
  if (runs.length === 0) return null;
  const known = COLUMNS[name] ?? {};
  const isNorm = name.startsWith("grad/");
  const lines = runs.map((run) => series(run, run[which], name, RUNS.length > 1 ? look(run) : { name: run.label, color: "var(--series-2)" }));
  return chart({
    title: isNorm ? `Gradient norm of ${name.slice("grad/".length)}` : titleOf(name),
    note: known.note ?? (isNorm ? "logarithmic" : (LABELS[name]?.better ?? "")),
    series: lines,
    xName: X_NAME,
    log: isNorm,
    range: known.range,
    reference: known.of ? whole(runs, known.of) : known.reference,
  });
}

/** The colour of a run, the same in all charts. */
function look(run) {
  const i = RUNS.indexOf(run);
  return { name: run.label, color: `var(--series-${i % 8})`, dash: i < 8 ? "none" : "7 3" };
}

/** The names of a table's columns over all runs, in the order of their first appearance. */
function allColumns(which) {
  return [...new Set(RUNS.flatMap((run) => run[which]?.names ?? []))].filter((n) => !isSetting(n));
}

/** The score at the end of a run, or the newest one on the way there. */
function score(run) {
  if (run.score) return run.score;
  const name = run.scores?.names.find((n) => !isSetting(n));
  const last = (n) => column(run.scores, n)?.at(-1) ?? null;
  if (!name || last("epoch") === null) return "Not finished.";
  const error = last("stderr") === null ? "" : ` ± ${number(last("stderr"))}`;
  return `Not finished; at epoch ${last("epoch")}: ${titleOf(name)} ${number(last(name))}${error}`;
}

function head() {
  const one = RUNS.length === 1 ? RUNS[0] : null;
  const page = document.getElementById("page");
  page.replaceChildren(el("h1", {}, one ? one.label : `${RUNS.length} runs compared`));
  if (one) {
    const state = `epoch ${one.epoch} of ${one.epochs}, step ${one.step}`;
    page.append(el("p", { class: "muted" }, `A generative adversarial net: ${one.name}, ${state}`));
    page.append(el("p", { class: "score" }, score(one)));
  }
  const warn = (run, text) => page.append(el("p", { class: "warning", role: "note" }, one ? text : `${run.label}: ${text}`));
  for (const run of RUNS.filter((r) => r.failure)) warn(run, `The training failed: ${run.failure}`);
  for (const run of RUNS.filter((r) => r.caveat)) warn(run, run.caveat);
}

/** What made each run; a column per run. */
function facts() {
  const names = [...new Set(RUNS.flatMap((run) => run.facts.map((f) => f[0])))];
  const value = (run, name) => run.facts.find((f) => f[0] === name)?.[1] ?? "–";
  const rows = names.map((name) => [name, ...RUNS.map((run) => value(run, name))]);
  if (RUNS.length > 1) {
    rows.unshift(["Trained", ...RUNS.map((run) => `epoch ${run.epoch} of ${run.epochs}, step ${run.step}`)]);
    rows.unshift(["Score", ...RUNS.map(score)]);
  }
  if (rows.length === 0) return "";
  return el("div", { class: "card" }, table(RUNS.length > 1 ? ["", ...RUNS.map((run) => run.label)] : [""], rows));
}

/** What a page leaves out of long tables. */
function thinned() {
  const long = RUNS.filter((run) => run.metrics.columns[0].length < run.metrics.rows_in_all);
  const text = long.map((run) => `${run.metrics.columns[0].length} of ${run.metrics.rows_in_all} rows of ${run.label}`);
  return long.length > 0 ? el("p", { class: "muted small" }, `Drawn: ${text.join(", ")}, evenly chosen.`) : "";
}

/** What came out: the samples, beside them the scores and what made them. */
function results() {
  const pictures = RUNS.some((run) => run.pictures.length > 0) ? el("div", { class: "card" }, gallery(RUNS)) : "";
  const scores = allColumns("scores").map((name) => compared("scores", name)).filter((c) => c !== null);
  if (RUNS.length > 1) {
    section("The runs", facts(), differences());
    if (pictures) section("Samples", pictures);
    if (scores.length > 0) section("Score", el("div", { class: "columns" }, ...scores));
  } else {
    const beside = el("div", { class: "stack" }, ...scores, facts());
    section("Result", el("div", { class: "columns top" }, pictures, beside));
  }
}

/** The settings that are not the same in all runs, folded where they would hide what comes after them. */
function differences() {
  const rows = DATA.differences;
  if (rows.length === 0) return el("p", { class: "muted" }, "All settings are the same.");
  const all = () => table(["", ...RUNS.map((run) => run.label)], rows);
  if (rows.length > FEW) return el("div", { class: "card" }, folded(`${rows.length} settings that differ`, all));
  return el("div", { class: "card" }, el("h3", {}, "Settings that differ"), all());
}

function training() {
  const one = RUNS.length === 1;
  const curves = one ? chartsOfOne(RUNS[0]) : allColumns("metrics").map((name) => compared("metrics", name));
  const note =
    "Losses and means of D are averages over the steps since the previous point; everything else is the value at that step. " +
    "Hover over a curve, or move along it with the arrow keys, for its values.";
  const grid = el("div", { class: "columns" }, ...curves.filter((c) => c !== null));
  section("Training", el("p", { class: "muted small" }, note), thinned(), grid);
}

head();
results();
training();
const configs = RUNS.map((run) => folded(`config.toml of ${run.label}`, () => el("pre", {}, run.config)));
section("Configuration", el("div", { class: "card" }, ...configs));
