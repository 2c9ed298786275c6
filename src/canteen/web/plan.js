// Plan: what a model takes, before it is loaded, bought or trained.

import { post } from "./api.js";
import { el, field, loading, table, trouble } from "./dom.js";
import { bytes, digits, estimate, grade, interval } from "./figures.js";
import { litres } from "./receipt.js";

const asked = { model: "llama3.1:8b", device: "", instance: "", quantization: "", context_length: "", num_sequences: "1" };
const NUMBERS = ["context_length", "num_sequences"];

function request() {
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value.trim())
    .map(([name, value]) => [name, NUMBERS.includes(name) ? Number(value) : value.trim()]));
}

// What fills the memory, to scale.
function memory(plan) {
  const parts = [["Weights", plan.weights_bytes], ["KV cache", plan.kv_total_bytes], ["Computing", plan.compute_bytes], ["Engine", plan.overhead_bytes]];
  const most = Math.max(plan.total_bytes, plan.available_bytes ?? 0);
  return el("ul", { class: "plain bars" },
    [...parts, ["All of it", plan.total_bytes], ["There is", plan.available_bytes]].filter(([, size]) => size).map(([name, size]) => el("li", {},
      el("span", {}, name), el("meter", { value: size, min: 0, max: most, "aria-label": name }), el("span", {}, bytes(size)))));
}

const rate = (name, value) => el("div", { class: "figure" }, el("dt", {}, name),
  el("dd", {}, el("span", { class: "value" }, digits(value.central), " ", grade(value.grade)), interval(value),
    el("span", { class: "span" }, `${digits(value.low)} – ${digits(value.high)}`)));

function figures(plan) {
  const known = [
    [plan.ttft_s, (value) => estimate("First token", value, "s")],
    [plan.tpot_s, (value) => estimate("Each further token", value, "s")],
    [plan.decode_tokens_per_s, (value) => rate("Tokens a second", value)],
    [plan.energy_wh_per_request, (value) => estimate("Energy of a request", value, "Wh")],
    [plan.water_source_ml_per_request, (value) => estimate("Water, power plants", litres(value), "L")],
    [plan.carbon_g_per_request, (value) => estimate("Carbon of a request", value, "g")],
    [plan.cost_usd_per_mtok, (value) => estimate("A million tokens", value, "$")],
  ];
  return el("dl", { class: "figures" }, known.filter(([value]) => value).map(([value, draw]) => draw(value)));
}

function quantizations(rows) {
  return table("Quantizations", ["Weights as", "Weights", "All of it", "Fits"],
    rows.map((one) => [one.quantization, bytes(one.weights_bytes), bytes(one.total_bytes), one.fits]));
}

function drawn(plan) {
  const fits = { yes: "good", "within margin": "warn", no: "bad" }[plan.fits] ?? "";
  return [
    el("section", { class: "card", "aria-label": "Memory" },
      el("p", { class: "dot verdict small", "data-status": fits }, `Fits: ${plan.fits ?? "unknown"}`),
      el("p", { class: "hint" }, `${plan.model} as ${plan.quantization} on ${plan.num_devices} × ${plan.device}, ${plan.region}, ${plan.as_of}`), memory(plan)),
    el("section", { class: "card", "aria-label": "Figures" }, figures(plan)),
    plan.quantizations?.length > 0 && el("section", { class: "card" }, quantizations(plan.quantizations)),
    el("section", { class: "card" }, el("details", {}, el("summary", {}, "Notes and sources"),
      el("ul", {}, plan.notes.map((note) => el("li", {}, note)), plan.provenance.map((one) => el("li", { class: "hint" }, Object.values(one).join(", ")))))),
  ].filter(Boolean);
}

export function plan(place) {
  const result = el("div", { "aria-live": "polite" });
  const submit = el("button", { type: "submit", class: "primary" }, "Plan");
  const input = (name, attributes = {}) => {
    const control = el("input", { value: asked[name], spellcheck: "false", ...attributes, oninput: () => { asked[name] = control.value; } });
    return control;
  };
  async function run(event) {
    event?.preventDefault();
    submit.disabled = true;
    result.replaceChildren(loading("the plan"));
    try {
      result.replaceChildren(...drawn(await post("/v1/plan", request())));
    } catch (error) {
      result.replaceChildren(trouble(error, run));
    }
    submit.disabled = false;
  }
  place.replaceChildren(
    el("h1", {}, "Plan"),
    el("p", { class: "lead" }, "Memory, speed, energy, water and carbon of a model, before it is loaded, bought or trained. No figure without its interval."),
    el("div", { class: "halves narrow" },
      el("form", { onsubmit: run },
        field("Model", input("model", { required: true }), "A name, or a count of parameters such as 7B."),
        field("Device", input("device", { placeholder: "this host" }), "Such as H100."),
        field("Instance", input("instance", { placeholder: "none" }), "A rented machine, such as g5.48xlarge."),
        field("Weights as", input("quantization", { placeholder: "that of the file" })),
        el("div", { class: "row" },
          field("Context", input("context_length", { type: "number", min: 1, placeholder: "4096" })),
          field("Sequences", input("num_sequences", { type: "number", min: 1 }))), submit),
      result));
  return run();
}
