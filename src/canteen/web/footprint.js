// Ate and drank: sums of the ledger, and one receipt with how it came about.

import { get } from "./api.js";
import { el, field, loading, notice, table, trouble } from "./dom.js";
import { count, grade, interval, plain, scaled, span } from "./figures.js";
import { estimates, litres, receipt } from "./receipt.js";

const WAYS = { hour: "Hour", day: "Day", model: "Model", key: "Key", phase: "Phase", node: "Node", conversation: "Conversation" };
const SPANS = { today: "Today", week: "7 days", month: "30 days", all: "All there is" };
const DAYS = { today: 0, week: 6, month: 29 };
const chosen = { by: "hour", span: "today" };

function since(name) {
  if (!(name in DAYS)) return "";
  const day = new Date();
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() - DAYS[name]);
  return `&since=${encodeURIComponent(day.toISOString())}`;
}

function named(group, by) {
  if (group === null || group === "") return "none";
  if (by === "hour") return new Date(group).toLocaleString("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });
  return group;
}

function drawn(value, unit, most) {
  if (!value) return "unknown";
  return [el("span", { class: "value" }, scaled(value.central, unit), " ", grade(value.grade)),
    interval(value, most), el("span", { class: "span" }, span(value, unit))];
}

function sums(by, rows) {
  // One scale for a column, so that rows can be compared.
  const mostOf = (figure) => Math.max(...rows.map((row) => figure(row)?.high ?? 0));
  return table(`By ${by}`, [WAYS[by], "Requests", "Tokens in, out", "Energy", "Water, power plants", "Carbon", "Cost"],
    rows.map((one) => [
      named(one[by], by), count(one.requests), `${count(one.tokens.prompt)}, ${count(one.tokens.completion)}`,
      drawn(one.energy_wh, "Wh", mostOf((row) => row.energy_wh)),
      drawn(litres(one.water_ml.source), "L", mostOf((row) => litres(row.water_ml.source))),
      drawn(one.carbon_g, "g", mostOf((row) => row.carbon_g)),
      drawn(one.cost_usd, "$", mostOf((row) => row.cost_usd)),
    ]));
}

const PHASES = {
  prefill: "reading prompts", decode: "writing answers", train: "training", load: "loading models",
  idle: "being there for nobody in particular", unattributed: "nobody's",
};

// The meter's own count, which has no interval: it is what the phases share.
function phases(rows) {
  const most = Math.max(...rows.map(({ energy_uj }) => energy_uj));
  return table("By phase", ["Phase", "Energy at the meter", ""], rows.map(({ phase, energy_uj }) => [
    el("span", {}, phase, el("span", { class: "span" }, PHASES[phase] ?? "")),
    scaled(energy_uj / 3.6e9, "Wh"),
    interval({ low: 0, central: energy_uj, high: energy_uj }, most),
  ]));
}

async function draw(place) {
  place.replaceChildren(loading("the ledger"));
  try {
    const { by, sums: rows } = await get(`/v1/footprint?by=${chosen.by}${since(chosen.span)}`);
    if (!rows.length) {
      place.replaceChildren(notice("Nothing was eaten in this time.", el("p", {}, "Ask something under ", el("a", { href: "#/play" }, "Play"), ", or choose a longer time.")));
      return;
    }
    place.replaceChildren(el("section", { class: "card" }, by === "phase" ? phases(rows) : sums(by, rows)));
  } catch (error) {
    place.replaceChildren(trouble(error, () => draw(place)));
  }
}

// Intervals do not add up, so the ledger is asked for the whole; of several nodes it tells none.
async function headline(place) {
  const { sums: [all, ...others] } = await get(`/v1/footprint?by=node${since(chosen.span)}`);
  place.replaceChildren(all && !others.length ? el("section", { class: "card", "aria-label": "In all" },
    el("dl", { class: "figures" }, estimates(all),
      plain("Requests", count(all.requests), `${count(all.tokens.prompt)} tokens in, ${count(all.tokens.completion)} out`))) : "");
}

function select(name, options, changed) {
  const control = el("select", { onchange: () => { chosen[name] = control.value; changed(); } },
    Object.entries(options).map(([value, label]) => el("option", { value, selected: value === chosen[name] }, label)));
  return control;
}

function overview(place) {
  const head = el("div");
  const list = el("div", { "aria-live": "polite" });
  const again = () => {
    headline(head).catch(() => head.replaceChildren());
    return draw(list);
  };
  const id = el("input", { placeholder: "rcpt_…", spellcheck: "false" });
  const open = (event) => {
    event.preventDefault();
    if (id.value.trim()) location.hash = `#/footprint/${encodeURIComponent(id.value.trim())}`;
  };
  place.replaceChildren(
    el("h1", {}, "Ate and drank"),
    el("p", { class: "lead" }, "What answers took, from the ledger. Bars are intervals, P5 to P95; the letter is the worst grade of all that went in: A is a counter, D a declaration."),
    el("div", { class: "bar" }, field("Time", select("span", SPANS, again)), field("By", select("by", WAYS, again)),
      el("form", { class: "look-up", onsubmit: open }, field("Receipt", id), el("button", { type: "submit" }, "Open"))),
    head, list);
  return again();
}

const FIGURES = {
  energy_wh: "Energy", water_site_ml: "Water, on site", water_source_ml: "Water, power plants",
  carbon_operational_g: "Carbon", cost_usd: "Cost",
};

function inputs(rows) {
  return table("Inputs", ["Input", "Value", "From – to", "Source", "As of"], rows.map((one) => [
    one.name, `${one.value.toLocaleString("en", { maximumSignificantDigits: 6 })} ${one.unit === "1" ? "" : one.unit}`,
    one.low === one.high ? "exact" : `${one.low} – ${one.high}`, one.source, one.as_of,
  ]));
}

// What each figure owes its width to.
function shares(byFigure) {
  return Object.entries(byFigure).map(([figure, parts]) => el("div", { class: "shares" },
    el("h3", {}, FIGURES[figure] ?? figure),
    el("ul", { class: "plain" }, Object.entries(parts).map(([name, share]) => el("li", {},
      el("span", {}, name), el("meter", { value: share, min: 0, max: 1, "aria-label": `${name}: share of the uncertainty` }),
      el("span", {}, `${Math.round(100 * share)} %`))))));
}

function meter({ energy_uj: { prefill, decode, boundary, grade: letter, idle_share: idle } }) {
  return el("dl", { class: "figures" },
    plain("Prefill", `${count(prefill)} µJ`), plain("Decode", `${count(decode)} µJ`),
    plain("Idle beside it", `${count(idle ?? 0)} µJ`, "informs, is not added"),
    el("div", { class: "figure" }, el("dt", {}, "Meter"), el("dd", {}, el("span", { class: "value" }, boundary, " ", grade(letter)))));
}

async function single(place, id) {
  place.replaceChildren(loading("the receipt"));
  const found = await get(`/v1/footprint/${encodeURIComponent(id)}`);
  const { derivation } = found;
  place.replaceChildren(
    el("p", {}, el("a", { href: "#/footprint" }, "← Ate and drank")),
    el("h1", {}, "Receipt"),
    el("p", { class: "lead mono" }, `${found.id} · ${new Date(derivation.ended_s * 1000).toLocaleString("en")}`),
    el("section", { class: "card" }, receipt(found)),
    el("section", { class: "card" }, el("h2", {}, "The meter's own count"), meter(found)),
    el("section", { class: "card" }, el("h2", {}, "What the width of each interval comes from"), el("div", { class: "grid" }, shares(derivation.share_of_variance ?? {}))),
    el("section", { class: "card" }, el("h2", {}, "Every input, with its source"), inputs(derivation.inputs ?? [])),
    el("section", { class: "card" }, el("details", {}, el("summary", {}, "As it was sent"), el("pre", { tabindex: "0" }, JSON.stringify(found, null, 2)))));
}

export const footprint = (place, id) => id ? single(place, id) : overview(place);
