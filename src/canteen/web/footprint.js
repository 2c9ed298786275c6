// Ate and drank: sums of the ledger, and one receipt with how it came about.

import { get } from "./api.js";
import { button, el, field, loading, notice, table, trouble } from "./dom.js";
import { count, grade, metered, plain, scaled } from "./figures.js";
import { latest } from "./latest.js";
import { keyNames } from "./names.js";
import { estimates, receipt } from "./receipt.js";
import { ReceiptList } from "./receipts.js";
import { drawnSums, select, WAYS } from "./sums.js";

const SPANS = { today: "Today (UTC)", week: "7 days", month: "30 days", all: "All there is" };
const DAYS = { today: 0, week: 6, month: 29 };
const LIST = "#/footprint/receipts";
const chosen = { by: "hour", span: "today" };
const asking = latest();

// Of a longer time there are more hours than anybody sees, or a browser draws soon.
const hasHours = (span) => span === "today" || span === "week";

// A day is the ledger's, which is one of UTC: a span by another would have days in part.
function since(name) {
  if (!(name in DAYS)) return "";
  const day = new Date();
  day.setUTCHours(0, 0, 0, 0);
  day.setUTCDate(day.getUTCDate() - DAYS[name]);
  return `&since=${encodeURIComponent(day.toISOString())}`;
}

async function draw(place, isLast, again) {
  place.replaceChildren(loading("the ledger"));
  const { by: wanted, span: during } = chosen;
  try {
    const isLong = wanted === "hour" && !hasHours(during);
    const [{ by, sums: rows }, names] = await Promise.all([
      get(`/v1/footprint?by=${isLong ? "day" : wanted}${since(during)}`), wanted === "key" ? keyNames() : undefined,
    ]);
    if (!isLast()) return;
    if (!rows.length) {
      place.replaceChildren(notice("Nothing was eaten in this time.", el("p", {}, "Ask something under ", el("a", { href: "#/play" }, "Play"), ", or choose a longer time.")));
      return;
    }
    place.replaceChildren(isLong ? el("p", { class: "lead" }, "Of more than 7 days the sums are by day; choose a shorter time to see hours.") : "",
      ...drawnSums(by, rows, names));
  } catch (error) {
    if (isLast()) place.replaceChildren(trouble(error, again));
  }
}

// Intervals do not add up, so the ledger is asked for the whole; of several nodes it tells none.
async function headline(place, isLast) {
  const { span: during } = chosen;
  const { sums: [all, ...others] } = await get(`/v1/footprint?by=node${since(during)}`);
  if (!isLast()) return;
  place.replaceChildren(all && !others.length ? el("section", { class: "card", "aria-label": "In all" },
    el("div", { class: "card-head" }, el("h2", {}, "All answers"), el("span", { class: "badge" }, SPANS[during])),
    el("dl", { class: "figures" }, estimates(all),
      plain("Requests", count(all.requests), `${count(all.tokens.prompt)} tokens in, ${count(all.tokens.completion)} out`))) : "");
}

// Being there costs too, whether anybody asks or not.
async function idling(place) {
  const told = await get("/v1/footprint/idle");
  place.replaceChildren(el("section", { class: "card", "aria-label": "An idle hour" },
    el("div", { class: "card-head" }, el("h2", {}, "An hour in which nobody asks"),
      told.power_w !== null && el("span", { class: "badge" }, `${scaled(told.power_w, "W")} at the meter`)),
    told.power_w === null ? el("p", { class: "hint" }, "Not known yet: the service has not been idle since its start. Look again later.")
      : [el("dl", { class: "figures" }, estimates(told)),
        el("p", { class: "hint" }, `By the ${count(Math.round(told.observed_s))} seconds that it was idle since its start. The meter: ${told.meter.source}.`)]));
}

const choice = (name, options, changed) => select(options, chosen[name], (value) => { chosen[name] = value; changed(); });

function frame(place, part, controls, ...parts) {
  const id = el("input", { placeholder: "rcpt_…", spellcheck: "false" });
  const open = (event) => {
    event.preventDefault();
    if (id.value.trim()) location.hash = `#/footprint/${encodeURIComponent(id.value.trim())}`;
  };
  const tab = (href, name) => el("a", { href, "aria-current": name === part && "page" }, name);
  place.replaceChildren(
    el("h1", {}, "Ate and drank"),
    el("p", { class: "lead" }, "What answers took, from the ledger. Bars are intervals, P5 to P95; the letter is the worst grade of all that went in: A is a counter, D a declaration."),
    el("nav", { class: "tabs", "aria-label": "Parts" }, tab("#/footprint", "Sums"), tab(LIST, "Receipts")),
    el("div", { class: "bar" }, controls,
      el("form", { class: "look-up", onsubmit: open }, field("Receipt", id), el("button", { type: "submit" }, "Open"))),
    ...parts);
}

function overview(place) {
  const [head, idle, list] = [el("div"), el("div"), el("div", { "aria-live": "polite" })];
  const again = () => {
    const isLast = asking();
    // What a key may not see is said once, by the list.
    const said = (card) => (error) => {
      if (isLast()) card.replaceChildren(error.status === 403 ? "" : trouble(error, again));
    };
    headline(head, isLast).catch(said(head));
    idling(idle).catch(said(idle));
    return draw(list, isLast, again);
  };
  frame(place, "Sums", [field("Time", choice("span", SPANS, again)), field("By", choice("by", WAYS, again))], head, idle, list);
  return again();
}

// The list as it was left for one of its receipts.
let left;

const isReceipt = () => /^#\/footprint\/(?!receipts$)./.test(location.hash);

async function listed(place) {
  const list = el("div");
  let shown;
  const again = async () => {
    const isLast = asking();
    const opened = await new ReceiptList(since(chosen.span)).open();
    if (!isLast()) return;
    shown = opened;
    list.replaceChildren(opened.node);
  };
  frame(place, "Receipts", [field("Time", choice("span", SPANS, again)), button("Look again", again)], list);
  if (left) {
    shown = left;
    list.replaceChildren(shown.node);
    left = undefined;
  } else {
    list.replaceChildren(loading("the receipts"));
    await again();
  }
  return () => { left = isReceipt() ? shown : undefined; };
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
    el("div", { class: "figure" }, el("dt", {}, "Metered"), el("dd", {}, el("span", { class: "value" }, metered(boundary), " ", grade(letter)))));
}

async function single(place, id) {
  place.replaceChildren(loading("the receipt"));
  const found = await get(`/v1/footprint/${encodeURIComponent(id)}`);
  const { derivation } = found;
  place.replaceChildren(
    el("p", {}, el("a", { href: LIST }, "← Receipts")),
    el("h1", {}, "Receipt"),
    el("p", { class: "lead mono" }, `${found.id} · ${new Date(derivation.ended_s * 1000).toLocaleString("en")}`),
    el("section", { class: "card" }, receipt(found)),
    el("section", { class: "card" }, el("h2", {}, "The meter's own count"), meter(found)),
    el("section", { class: "card" }, el("h2", {}, "What the width of each interval comes from"), el("div", { class: "grid" }, shares(derivation.share_of_variance ?? {}))),
    el("section", { class: "card" }, el("h2", {}, "Every input, with its source"), inputs(derivation.inputs ?? [])),
    el("section", { class: "card" }, el("details", {}, el("summary", {}, "As it was sent"), el("pre", { tabindex: "0" }, JSON.stringify(found, null, 2)))));
}

export async function footprint(place, part) {
  if (part === "receipts") return listed(place);
  if (!part) return overview(place);
  await single(place, part);
  return () => { if (location.hash !== LIST && !isReceipt()) left = undefined; };
}
