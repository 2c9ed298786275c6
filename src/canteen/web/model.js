// One model: what it is and how it stands, how good it was found to be, what its formats cost and
// gain, where it comes from, and bringing it into another format.

import { get, stored } from "./api.js";
import { el, field, loading, notice, table } from "./dom.js";
import { bytes, count, digits, interval, plain } from "./figures.js";
import { chart } from "./plot.js";
import { forgetModels } from "./play.js";
import { Facts, watched } from "./standing.js";
import { Work } from "./work.js";

const percent = (share) => `${share > 0 ? "+" : ""}${digits(100 * share)} %`;

// The record that was made with the preparation.
function quality({ quality: told }) {
  const { perplexity_before: before, perplexity_after: after, bytes_before: from, bytes_after: to, decode_tokens_per_s: speed, weights_after: form, ...more } = told;
  const known = [
    after && plain("Perplexity as served", digits(after), before ? `${digits(before)} in floats: ${percent(after / before - 1)}` : ""),
    to && plain("Size", bytes(to), from ? `the source had ${bytes(from)}` : ""),
    speed && plain("One stream", `${digits(speed)} tokens/s`, "when it was prepared"), form && plain("Weights as", form),
    ...Object.entries(more).filter(([, value]) => typeof value === "number").slice(0, 6).map(([name, value]) => plain(name.replaceAll("_", " "), digits(value))),
  ].filter(Boolean);
  return el("section", { class: "card", "aria-label": "Quality record" }, el("h2", {}, "Quality record"),
    known.length ? el("dl", { class: "figures" }, known) : el("p", { class: "hint" }, "Nothing was measured when it came: it is served as it was published."));
}

const AGAINST = {
  size: ["On disk, MB", (row) => row.disk_bytes / 1e6], speed: ["One stream, tokens/s", (row) => row.decode_tokens_per_s],
  energy: ["Energy, J per 1,000 tokens", (row) => row.joules_per_1000_tokens],
};
const bounds = (value) => typeof value === "number" ? { value, low: value, high: value } : value;

function span(values) {
  const low = Math.min(...values.map((one) => one.low));
  const high = Math.max(...values.map((one) => one.high));
  const rest = (high - low || Math.abs(high) || 1) * 0.12;
  return [Math.max(0, low - rest), high + rest];
}

// Quality upwards, what it costs to the right; intervals where there are some.
function scatter(told, [title, of], [label, quality]) {
  const points = told.rows.filter((row) => quality(row)).map((row) => ({ row, x: bounds(of(row)), y: bounds(quality(row)) }));
  return chart(`${label} of each format against ${title}; the table has the figures`, 260, ({ put, text, vertical, horizontal, inner }) => {
    const y = vertical(...span(points.map((one) => one.y)), label);
    const x = horizontal(...span(points.map((one) => one.x)), title);
    if (label === "Perplexity") {
      const limit = y(told.float_perplexity * (1 + told.max_loss));
      if (limit > inner.top && limit < inner.bottom) put("line", { class: "limit", x1: inner.left, x2: inner.right, y1: limit, y2: limit });
    }
    const named = [];
    for (const { row, x: across, y: up } of points) {
      const isBest = row.format === told.recommended;
      const place = { cx: x(across.value), cy: y(up.value) };
      put("line", { class: "whisker", x1: x(across.low), x2: x(across.high), y1: place.cy, y2: place.cy });
      put("line", { class: "whisker", x1: place.cx, x2: place.cx, y1: y(up.low), y2: y(up.high) });
      put("circle", { class: `mark ${isBest ? "best" : ""}`, ...place, r: isBest ? 6 : 4.5 });
      const isRight = place.cx > inner.right - 60;
      // A name that would lie over another stands under its point.
      const isTaken = named.some((other) => Math.abs(other.cx - place.cx) < 60 && Math.abs(other.cy - place.cy) < 12);
      if (!isTaken) named.push(place);
      text(place.cx + (isRight ? -9 : 9), place.cy + (isTaken ? 16 : -7), row.format, { class: isBest ? "strong" : "", "text-anchor": isRight ? "end" : "start" });
    }
  }).node;
}

function formats(told) {
  const hasTask = told.rows.some((row) => row.accuracy);
  const ways = { perplexity: ["Perplexity", (row) => row.perplexity], ...(hasTask && { accuracy: ["Accuracy", (row) => row.accuracy] }) };
  const place = el("div", { class: "charts" });
  const select = el("select", { "aria-label": "Quality", onchange: () => draw() }, Object.entries(ways).map(([name, [label]]) => el("option", { value: name }, label)));
  const draw = () => place.replaceChildren(...Object.values(AGAINST).map((one) => scatter(told, one, ways[select.value])));
  draw();
  const most = Math.max(...told.rows.map((row) => row.joules_per_1000_tokens.high));
  const ranged = (one, top) => one ? [el("span", { class: "value" }, digits(one.value)), interval({ ...one, central: one.value }, top), el("span", { class: "span" }, `${digits(one.low)} – ${digits(one.high)}`)] : "–";
  return [
    el("div", { class: "card-head" }, el("h2", {}, "Formats compared"), el("span", { class: "badge" }, new Date(told.measured_at).toLocaleDateString("en", { dateStyle: "medium" })),
      hasTask && el("span", { class: "narrow-select" }, select)),
    el("p", {}, told.verdict), place,
    table("Formats", ["Format", "On disk", "Loaded", "Tokens/s", "Perplexity", "Loss", "Accuracy", "J per 1,000 tokens"], told.rows.map((row) => [
      el("span", {}, row.format, row.format === told.recommended && el("span", { class: "badge", "data-status": "UP" }, "recommended")),
      bytes(row.disk_bytes), bytes(row.load_bytes), digits(row.decode_tokens_per_s), digits(row.perplexity), percent(row.loss),
      ranged(row.accuracy, 1), ranged(row.joules_per_1000_tokens, most)])),
    told.failed?.length > 0 && el("ul", { class: "hint" }, told.failed.map((one) => el("li", {}, `${one.format} is left out: ${one.why}`))),
  ];
}

const MAY_NOT = "A key with the scope llm:admin sees what was found.";

function compared(one, comparisons) {
  if (!comparisons) return el("section", { class: "card", "aria-label": "Formats compared" }, el("h2", {}, "Formats compared"), el("p", { class: "hint" }, MAY_NOT));
  const told = comparisons.find(({ model }) => model === one.name);
  return el("section", { class: "card", "aria-label": "Formats compared" }, told ? formats(told)
    : [el("h2", {}, "Formats compared"), el("p", { class: "hint" }, "What other formats would cost and gain was not measured yet. ", el("code", {}, `canteen quantize ${one.name}`), " does it, and it is drawn here.")]);
}

function evaluated(one, evaluations) {
  if (!evaluations) return el("section", { class: "card", "aria-label": "Evaluations" }, el("h2", {}, "Evaluations"), el("p", { class: "hint" }, MAY_NOT));
  const runs = evaluations.filter(({ model }) => model === one.name);
  return el("section", { class: "card", "aria-label": "Evaluations" }, el("h2", {}, "Evaluations"),
    runs.length ? table("Evaluations", ["Data set", "Task", "Metric", "Value", "Examples", "When"], runs.flatMap((run) => Object.entries(run.metrics).slice(0, 4).map(([name, value]) => [
      run.dataset, run.task, name.replaceAll("_", " "),
      [el("span", { class: "value" }, digits(value.value)), interval({ ...value, central: value.value }, Math.max(1, value.high)), el("span", { class: "span" }, `${digits(value.low)} – ${digits(value.high)}`)],
      count(run.num_items), new Date(run.created_at).toLocaleDateString("en", { dateStyle: "medium" }),
    ])))
      : el("p", { class: "hint" }, "It was not evaluated here yet. ", el("code", {}, `canteen evaluate classify --data movie-sentiment --model ${one.name}`), " does it."));
}

const link = (name, all) => all.some((one) => one.name === name) ? el("a", { href: `#/models/${encodeURIComponent(name)}` }, name) : el("span", {}, name);

// From where it came, down to what was made of it.
function lineage(one, all) {
  const { parent: learned, data_digest: data, job } = one.lineage;
  const from = learned || one.parent;
  const children = all.filter((other) => other.name !== one.name
    && (other.parent === one.name || other.lineage.parent === one.name || other.members.includes(one.name)));
  const twins = all.filter((other) => other.name !== one.name && other.digest === one.digest && other.digest && !children.includes(other) && other.name !== from);
  const mine = el("li", {}, el("strong", {}, one.name),
    job && el("span", { class: "span" }, "made by the job ", el("a", { class: "mono", href: `#/jobs/${encodeURIComponent(job)}` }, job), data ? `, from the data ${data.slice(0, 19)}…` : ""),
    (children.length > 0 || twins.length > 0) && el("ul", {}, children.map((other) => el("li", {}, link(other.name, all), el("span", { class: "span" }, other.lineage.parent ? "learned from it" : "made of it"))),
      twins.map((other) => el("li", {}, link(other.name, all), el("span", { class: "span" }, "the same source weights")))));
  return el("section", { class: "card", "aria-label": "Lineage" }, el("h2", {}, "Lineage"),
    el("ul", { class: "tree" }, el("li", {}, from ? link(from, all) : el("span", { class: "mono" }, one.source || "made here"),
      el("span", { class: "span" }, from ? "its parent" : "its source"), el("ul", {}, mine))));
}

function preparing(one, formats) {
  const form = el("select", {}, Object.entries(formats).map(([name, label]) => el("option", { value: name }, `${name}: ${label}`)));
  form.value = "int4";
  const name = el("input", { placeholder: `${one.name}-int4`, spellcheck: "false" });
  form.addEventListener("change", () => { name.placeholder = `${one.name}-${form.value}`; });
  const submit = el("button", { type: "submit", class: "primary" }, "Prepare");
  const work = new Work("Nothing is left of it; prepare again to begin anew.");
  const run = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    const isDone = await work.run(`Preparing ${form.value}`, "/v1/prepare", { model: one.name, format: form.value, ...(name.value.trim() && { name: name.value.trim() }) });
    submit.disabled = false;
    if (isDone) forgetModels();
  };
  return el("section", { class: "card", "aria-label": "Another format" }, el("h2", {}, "Bring it into another format"),
    el("p", { class: "hint" }, "Fewer bits take less memory and time, and make a worse model. It becomes a model of its own; this one stays."),
    el("form", { class: "bar tight", onsubmit: run }, field("Format", form), field("Name", name), submit), work.node);
}

// Kept by the name of the model: what began goes on while other views are looked at.
const preparations = new Map();

function preparation(one, formats) {
  if (one.format !== "gguf") return null;
  if (!preparations.has(one.name)) preparations.set(one.name, preparing(one, formats));
  return preparations.get(one.name);
}

// What a key may not see is null.
const may = async (path) => get(path).catch((error) => { if (error.status === 403) return null; throw error; });

export async function one(place, name) {
  place.replaceChildren(loading("the model"));
  const [all, { formats: known }, evaluations, comparisons] = await Promise.all([
    stored(), get("/v1/menu"), may(`/v1/evaluations?model=${encodeURIComponent(name)}`), may("/v1/comparisons"),
  ]);
  const found = all.find((other) => other.name === name);
  const back = el("p", {}, el("a", { href: "#/models" }, "← Models"));
  if (!found) {
    place.replaceChildren(back, el("h1", {}, name), notice("There is no such model in the store.", el("p", {}, "Pull it under ", el("a", { href: "#/models" }, "Models"), ".")));
    return null;
  }
  const tree = el("div", {}, lineage(found, all));
  // Where that cannot be asked for, what is drawn stays.
  const now = (draw) => stored().then(draw, () => {});
  const look = () => now((anew) => { const here = anew.find((other) => other.name === name); if (here) facts.draw(here); });
  const facts = new Facts(found, look, () => { location.hash = "#/models"; });
  const again = () => now((anew) => tree.replaceChildren(lineage(found, anew)));
  place.replaceChildren(...[back, el("h1", {}, found.name), el("p", { class: "lead" }, found.source || "Made here."),
    facts.node, quality(found), compared(found, comparisons?.comparisons), evaluated(found, evaluations?.evaluations), tree, preparation(found, known)].filter(Boolean));
  document.addEventListener("models-changed", again);
  const leave = watched(look);
  return () => {
    leave();
    document.removeEventListener("models-changed", again);
  };
}
