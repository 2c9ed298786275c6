// Sums of the ledger: a table by what they are summed by, and hours and days as a chart too.

import { button, el, notice, table } from "./dom.js";
import { count, grade, interval, moment, scaled, span } from "./figures.js";
import { who } from "./names.js";
import { chart } from "./plot.js";
import { litres } from "./receipt.js";

export const WAYS = { hour: "Hour (local)", day: "Day (UTC)", model: "Model", key: "Key", phase: "Phase", node: "Node", conversation: "Conversation" };

const MOST_ROWS = 200;

export function select(options, chosen, changed, attributes = {}) {
  const control = el("select", { ...attributes, onchange: () => changed(control.value) },
    Object.entries(options).map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
  return control;
}

function named(group, by, names) {
  if (group === null || group === "") return "none";
  if (by === "hour") return moment(new Date(group));
  if (by === "key") return who(group, names);
  return group;
}

function drawn(value, unit, most) {
  if (!value) return "unknown";
  return [el("span", { class: "value" }, scaled(value.central, unit), " ", grade(value.grade)),
    interval(value, most), el("span", { class: "span" }, span(value, unit))];
}

const METRICS = {
  energy_wh: ["Energy", "Wh", (row) => row.energy_wh], water: ["Water, power plants", "L", (row) => litres(row.water_ml.source)],
  carbon_g: ["Carbon", "g", (row) => row.carbon_g], cost_usd: ["Cost", "$", (row) => row.cost_usd],
};

// One scale for a column, so that rows can be compared.
function columnsOf(rows) {
  return Object.values(METRICS).map(([label, unit, figure]) => {
    const most = rows.reduce((found, row) => Math.max(found, figure(row)?.high ?? 0), 0);
    return { label, cell: (row) => drawn(figure(row), unit, most) };
  });
}

function sums(by, rows, names) {
  const columns = columnsOf(rows);
  return inParts(rows, (some) => table(`By ${by}`, [WAYS[by], "Requests", "Tokens in, out", ...columns.map(({ label }) => label)], some.map((row) => [
    named(row[by], by, names), count(row.requests), `${count(row.tokens.prompt)}, ${count(row.tokens.completion)}`,
    ...columns.map(({ cell }) => cell(row)),
  ])));
}

// A table with no more rows at once than are drawn soon.
function inParts(rows, draw) {
  const whole = draw(rows.slice(0, MOST_ROWS));
  if (rows.length <= MOST_ROWS) return whole;
  const body = whole.querySelector("tbody");
  const more = button("Show more", () => {
    const at = body.rows.length;
    body.append(...draw(rows.slice(at, at + MOST_ROWS)).querySelectorAll("tbody tr"));
    tell();
  });
  const said = el("p", { class: "hint counted", role: "status" });
  const tell = () => {
    more.hidden = body.rows.length === rows.length;
    said.textContent = `${count(body.rows.length)} of ${count(rows.length)}`;
  };
  tell();
  return [whole, el("div", { class: "actions" }, more, said)];
}

const PHASES = {
  prefill: "reading prompts", decode: "writing answers", train: "training", load: "loading models",
  idle: "being there for nobody in particular", unattributed: "nobody's",
};

// What the phases share is the meter's own count; what that means has its intervals.
function phases(rows) {
  const columns = columnsOf(rows);
  return table("By phase", ["Phase", "At the meter", ...columns.map(({ label }) => label)], rows.map((row) => [
    el("span", {}, row.phase, el("span", { class: "span" }, PHASES[row.phase] ?? "")),
    scaled(row.energy_uj / 3.6e9, "Wh"), ...columns.map(({ cell }) => cell(row)),
  ]));
}

// What was chosen stays so.
let metric = "energy_wh";

const LASTS_MS = { hour: 3600e3, day: 864e5 };

// Each hour or day as a column up to its central value, with its interval as a line.
function overTime(by, rows) {
  const [label, unit, figure] = METRICS[metric];
  const known = rows.map((row) => [row[by], figure(row)]).filter(([, value]) => value);
  if (!known.length) return notice(`${label} is not known of this time.`, el("p", {}, "Choose another figure."));
  return chart(`${label} by ${by}, with intervals; the table below has the figures`, 240, (paper) => {
    const { inner, put, text } = paper;
    const y = paper.vertical(0, Math.max(...known.map(([, { high }]) => high)), "", (value) => scaled(value, unit));
    // An hour or day in which nobody asked has its place too.
    const times = known.map(([time]) => new Date(time).getTime());
    const first = Math.min(...times);
    const places = times.map((time) => Math.round((time - first) / LASTS_MS[by]));
    const num = Math.max(...places, 5) + 1;
    const step = (inner.right - inner.left) / num;
    // Within a day its hours alone are told; the table has the rest.
    const short = (time) => by === "hour" && num <= 24 ? named(time, by).split(", ").at(-1) : named(time, by);
    const every = Math.ceil((by === "hour" && num <= 24 ? 48 : 120) / step);
    known.forEach(([time, value], index) => {
      const at = places[index];
      const x = inner.left + step * (at + 0.5);
      const wide = Math.max(2, Math.min(36, step * 0.6));
      put("rect", { class: "column", x: x - wide / 2, y: y(value.central), width: wide, height: y(0) - y(value.central), rx: 2 });
      put("line", { class: "whisker", x1: x, x2: x, y1: y(value.low), y2: y(value.high) });
      put("line", { class: "whisker", x1: x - wide / 2, x2: x + wide / 2, y1: y(value.central), y2: y(value.central) });
      if (at % every === 0) text(x, inner.bottom + 17, short(time), { "text-anchor": "middle" });
    });
  }).node;
}

// `names` are those of keys, by their ids.
export function drawnSums(by, rows, names) {
  if (by === "phase") return [el("section", { class: "card" }, phases(rows))];
  const isTime = by === "hour" || by === "day";
  const plotted = el("div");
  const redraw = () => plotted.replaceChildren(overTime(by, rows));
  const figures = Object.fromEntries(Object.entries(METRICS).map(([name, [label]]) => [name, label]));
  const figure = select(figures, metric, (name) => { metric = name; redraw(); }, { "aria-label": "Figure" });
  if (isTime) redraw();
  return [
    isTime && el("section", { class: "card", "aria-label": "Over time" },
      el("div", { class: "card-head" }, el("h2", {}, "Over time"),
        el("span", { class: "narrow-select" }, figure)), plotted),
    // The newest first, but in the chart.
    el("section", { class: "card" }, sums(by, isTime ? rows.toReversed() : rows, names)),
  ].filter(Boolean);
}
