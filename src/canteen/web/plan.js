// Plan: what a model takes and carries, before it is loaded, bought or rented.

import { get, post } from "./api.js";
import { showCode } from "./code.js";
import { button, el, loading, table, trouble } from "./dom.js";
import { bytes, digits, estimate, grade, interval, plain, scaled, seconds, span } from "./figures.js";
import { PRESETS, asked, planForm, preset, requestBody } from "./plan-form.js";
import { costPlot, memoryBar } from "./plan-plots.js";
import { litres } from "./receipt.js";

const DRAG_MS = 120;
const SHOWN = 8;
const FITS = { yes: ["good", "It fits"], "within margin": ["warn", "It may just fit"], no: ["bad", "It does not fit"] };

const card = (title, ...content) => el("section", { class: "card", "aria-label": title }, el("h2", {}, title), content);
const percent = (share) => `${digits(100 * share)} %`;

// A figure in its own unit, without a prefix.
function told(value, unit = "", show = digits, most = value?.high) {
  if (!value) return "–";
  return [el("span", { class: "value" }, show(value.central), unit && ` ${unit}`, " ", grade(value.grade)), interval(value, most),
    el("span", { class: "span" }, `${show(value.low)} – ${show(value.high)}`)];
}

const figure = (name, value, unit, show) => value && el("div", { class: "figure" }, el("dt", {}, name), el("dd", {}, told(value, unit, show)));

function verdict(plan) {
  const [status, fits] = FITS[plan.fits] ?? ["", "Whether it fits is not known"];
  const room = plan.fits !== "no" && plan.max_sequences
    ? ` There is room for ${plan.max_sequences} requests of ${plan.context_length.toLocaleString("en")} tokens at once.` : "";
  const all = `${bytes(plan.total_bytes)}${plan.available_bytes ? ` of ${bytes(plan.available_bytes)}` : ""}.`;
  return el("section", { class: "card", "aria-label": "Memory", tabindex: "-1" },
    el("p", { class: "dot verdict small", "data-status": status, role: "status" }, fits),
    el("p", {}, all, room, plan.fits === "no" && " Take fewer bits, a shorter context, or a larger machine."), memoryBar(plan),
    el("p", { class: "hint" }, `${plan.model} as ${plan.quantization} on ${plan.device}, by ${plan.engine}; ${plan.region}, ${plan.as_of}`));
}

function money(plan, body) {
  if (!plan.batches?.at(-1)?.cost_usd_per_mtok) return null;
  return card("Cost over how busy it is",
    el("p", { class: "hint" }, `A million written tokens with their prompts, ${plan.batches.at(-1).num_sequences} requests at once; `
      + `${scaled(plan.cost_usd_per_h.central, "$")} an hour.`),
    costPlot(plan, body.utilization, body.completion_tokens),
    plan.verdict && el("p", { class: "said" }, plan.verdict));
}

const request = (plan, body) => plan.ttft_s && card("One request",
  el("p", { class: "hint" }, `${body.prompt_tokens} + ${body.completion_tokens} tokens, ${plan.num_sequences} at once`),
  el("dl", { class: "figures" },
    figure("First token", plan.ttft_s, "", seconds), figure("Each further token", plan.tpot_s, "", seconds),
    figure("Tokens a second", plan.decode_tokens_per_s),
    plan.cost_usd_per_request ? estimate("Cost", plan.cost_usd_per_request, "$") : plain("Cost", "unknown", "no price is known of this"),
    plan.energy_wh_per_request && [
      estimate("Energy", plan.energy_wh_per_request, "Wh"),
      estimate("Water, power plants", litres(plan.water_source_ml_per_request), "L"),
      estimate("Water, on site", litres(plan.water_site_ml_per_request), "L"),
      estimate("Carbon", plan.carbon_g_per_request, "g"),
    ]));

function batches(plan) {
  if (!(plan.batches?.length > 1)) return null;
  const most = Math.max(...plan.batches.map((one) => one.decode_tokens_per_s.high));
  const slowest = Math.max(...plan.batches.map((one) => one.tpot_s.high));
  return card("What more at once buys", table("By requests at once", ["At once", "Tokens a second", "Each token", "A million tokens", "Requests a second"],
    plan.batches.map((one) => [String(one.num_sequences), told(one.decode_tokens_per_s, "", digits, most), told(one.tpot_s, "", seconds, slowest),
      one.cost_usd_per_mtok ? [scaled(one.cost_usd_per_mtok.central, "$"), el("span", { class: "span" }, span(one.cost_usd_per_mtok, "$"))] : "–",
      digits(one.requests_per_s.central)])));
}

function formats(plan, choose) {
  const most = Math.max(...plan.quantizations.map((one) => one.decode_tokens_per_s?.high ?? 0));
  return card("Other formats of the weights", table("By format", ["Weights as", "Memory", "Fits", "Tokens a second", ""],
    plan.quantizations.map((one) => [one.quantization,
      [el("meter", { value: one.total_bytes, min: 0, max: Math.max(one.total_bytes, plan.available_bytes ?? 0), "aria-label": `Memory as ${one.quantization}` }),
        el("span", { class: "span" }, bytes(one.total_bytes))],
      el("span", { class: "dot state", "data-status": FITS[one.fits]?.[0] ?? "" }, one.fits ?? "unknown"),
      told(one.decode_tokens_per_s, "", digits, most),
      button("Take it", () => choose({ quantization: one.quantization }), { class: "quiet", "aria-label": `Take ${one.quantization}` })])));
}

function carried(plan) {
  const { load } = plan;
  if (!load) return null;
  const times = (what, one) => one && plain(what, seconds(one.p50), `95 of 100 within ${seconds(one.p95)}`);
  return card("Your load on it", el("p", { class: "hint" }, `${load.requests_per_s} requests/s on ${plan.device}, coming at random`),
    el("dl", { class: "figures" }, figure("Busy", load.utilization, "", percent),
      figure("It can do at most", plan.batches.at(-1).requests_per_s, "requests/s"),
      times("First token", load.ttft_s), times("Whole answer", load.e2e_s)),
    !load.e2e_s && el("p", { class: "said" }, "That is more than it can do: requests wait without end. Take more machines, or a larger one."));
}

function machines(plan, choose) {
  if (!plan.instances?.length) return null;
  const most = Math.max(...plan.instances.slice(0, SHOWN).map((one) => one.cost_usd_per_h.high));
  return card("The cheapest machines for your load", table("By machine", ["Machine", "An hour", "Busy", "First token", "Each token", ""],
    plan.instances.slice(0, SHOWN).map((one) => [one.num_machines === 1 ? one.instance : `${one.num_machines} × ${one.instance}`,
      [el("span", { class: "value" }, scaled(one.cost_usd_per_h.central, "$")),
        el("meter", { value: one.cost_usd_per_h.central, min: 0, max: most, "aria-label": "Price of an hour" }), el("span", { class: "span" }, one.region)],
      told(one.utilization, "", percent, 1), seconds(one.ttft_s.central), seconds(one.tpot_s.central),
      button("Take it", () => choose({ place: `instance:${one.instance}`, region: one.region, num_devices: 0 }),
        { class: "quiet", "aria-label": `Take ${one.instance}` })])));
}

const notes = (plan) => card("What was assumed", el("ul", { class: "told" }, plan.notes.map((note) => el("li", {}, note))),
  el("details", {}, el("summary", {}, `Numbers it rests on (${plan.provenance.length})`),
    table("Numbers with their sources", ["What", "Value", "Source"], plan.provenance.map((one) =>
      [one.name, `${digits(one.value)}${one.low === one.high ? "" : ` (${digits(one.low)} – ${digits(one.high)})`} ${one.unit}`, [one.source, one.as_of].filter(Boolean).join(", ")]))));

const results = (title, list) => el("div", {}, el("h4", {}, title), el("dl", { class: "results" }, list.map((one) => [
  el("dt", { title: one.formula }, one.name),
  el("dd", {}, `${digits(one.central)}${one.unit === "1" ? "" : ` ${one.unit}`}`,
    one.low < one.high && el("span", { class: "span" }, `${digits(one.low)} – ${digits(one.high)}`)),
])));

const claim = (one) => el("section", { class: "claim" }, el("h3", {}, one.claim), el("p", { class: "hint" }, one.standing),
  el("div", { class: "then-today" }, results("Then", one.then), one.today.length > 0 && results("Today", one.today)));

function article() {
  const body = el("div", {});
  async function load() {
    body.replaceChildren(loading("the article's numbers"));
    try {
      const { claims } = await get("/v1/plan/article");
      body.replaceChildren(...claims.map(claim));
    } catch (error) {
      body.replaceChildren(trouble(error, load));
    }
  }
  const details = el("details", { ontoggle: () => { if (details.open && !body.hasChildNodes()) load(); } },
    el("summary", {}, "The article's numbers, computed again"), body);
  return el("section", { class: "card article", "aria-label": "The article's numbers" }, details);
}

// The focus goes to the first of what takes the place of that which had it.
function fill(place, ...nodes) {
  const hadFocus = place.contains(document.activeElement);
  place.replaceChildren(...nodes.filter(Boolean));
  place.ariaBusy = "false";
  if (hadFocus) place.querySelector("[tabindex], button")?.focus({ preventScroll: true });
}

// Asks after the hand has come to rest, and draws the last answer only: at first the plan, then what
// takes longer, the load and all machines.
class Planner {
  constructor() {
    this.quick = el("div", {}, loading("the plan"));
    this.slow = el("div");
    this.last = el("div");
  }

  ask() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.run(), DRAG_MS);
  }

  async run() {
    this.abort?.abort();
    const { signal } = this.abort = new AbortController();
    let places = [this.quick, this.slow, this.last];
    for (const place of places) place.ariaBusy = "true";
    try {
      const body = requestBody();
      const plan = await post("/v1/plan", body, { signal });
      fill(this.quick, verdict(plan), money(plan, body), request(plan, body));
      fill(this.last, batches(plan), formats(plan, (taken) => this.take(taken)), notes(plan));
      places = [this.slow];
      const loaded = await post("/v1/plan", this.body(), { signal });
      fill(this.slow, carried(loaded), machines(loaded, (taken) => this.take(taken)));
    } catch (error) {
      if (error.name === "AbortError") return;
      const [first, ...others] = places;
      fill(first, trouble(error, () => this.run()));
      for (const place of others) fill(place);
    }
  }

  body() {
    return { ...requestBody(), requests_per_s: asked.requests_per_s };
  }

  take(taken) {
    Object.assign(asked, taken);
    this.anew();
    // The button goes when the answer comes, and what comes of it is told at the top.
    this.quick.querySelector("[tabindex]")?.focus();
  }
}

export async function plan(place) {
  place.replaceChildren(loading("what can be planned"));
  const known = await get("/v1/plan");
  const planner = new Planner();
  const form = el("div", { class: "plan-side" });
  const draw = () => form.replaceChildren(planForm(known, () => planner.ask(), planner.anew));
  planner.anew = () => {
    const { name } = document.activeElement;
    draw();
    if (name) form.querySelector(`[name="${name}"]`)?.focus();
    planner.ask();
  };
  place.replaceChildren(
    el("h1", {}, "Plan"),
    el("p", { class: "lead" }, "Whether a model fits a machine, what it carries there, and what that costs, before it is loaded, rented "
      + "or bought. Move anything: the plots follow."),
    el("div", { class: "chips presets" }, Object.keys(PRESETS).map((name) => button(name, () => { preset(name); planner.anew(); }, { class: "chip" })),
      button("As code", () => showCode({ path: "/v1/plan", body: planner.body() }), { class: "quiet" })),
    el("div", { class: "halves narrow" }, form, el("div", { class: "plots" }, planner.quick, planner.slow, planner.last, article())));
  draw();
  await planner.run();
  return () => planner.abort?.abort();
}
