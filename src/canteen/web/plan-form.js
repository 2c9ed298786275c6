// What a plan is asked with: sliders and choices over all that the planner knows.

import { el, field } from "./dom.js";
import { bytes, count } from "./figures.js";

export const PRESETS = {
  "Llama 3.1 8B on one L4": { model: "llama3.1:8b", place: "instance:g6.xlarge", quantization: "Q4_K_M", requests_per_s: 1, saas: "openai/gpt-4o-mini" },
  "Llama 3.3 70B on H100s": {
    model: "llama3.3:70b", place: "instance:p5.48xlarge", quantization: "fp8", requests_per_s: 20, num_sequences: 16, saas: "openai/gpt-4o",
  },
  "GPT-3, as in the article": {
    model: "gpt3", place: "instance:p5.48xlarge", quantization: "bf16", context_length: 2048, requests_per_s: 1, as_of: "2023-10-15",
  },
};
const SAAS = ["openai/gpt-4o-mini", "openai/gpt-4o", "openai/gpt-4.1-mini", "anthropic/claude-3-5-haiku-latest", "google/gemini-2.5-flash", "mistral/mistral-small-latest"];
const USUAL = { num_devices: 0, quantization: "", context_length: 4096, num_sequences: 1, prompt_tokens: 512, completion_tokens: 256,
  requests_per_s: 1, utilization: 0.6, region: "", as_of: "", price_usd_per_h: "", saas: "" };
const [FIRST_CONTEXT, MOST_CONTEXT] = [1024, 131072];

// Kept while other views are looked at; gone with the tab.
export const asked = { ...USUAL, ...PRESETS["Llama 3.1 8B on one L4"] };
export const preset = (name) => Object.assign(asked, USUAL, PRESETS[name]);

const today = () => new Date().toISOString().slice(0, 10);
const [kindOf, nameOf] = [() => asked.place.split(":")[0], () => asked.place.slice(asked.place.indexOf(":") + 1)];

// What was emptied is the usual number, and told as such.
const tokens = (name) => asked[name] === "" ? USUAL[name] : asked[name];

// The body of a request, without the load, which takes longer to answer.
export function requestBody() {
  const given = {
    ...asked, [kindOf()]: nameOf(), as_of: asked.as_of === today() ? "" : asked.as_of, num_devices: asked.num_devices || "",
    prompt_tokens: tokens("prompt_tokens"), completion_tokens: tokens("completion_tokens"),
  };
  for (const name of ["place", "here", "requests_per_s"]) delete given[name];
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
}

// A slider over steps; what it stands at is written beside its name and read out.
function slider(label, steps, name, show, changed) {
  const at = () => Math.max(0, steps.findLastIndex((one) => typeof one === "number" ? one <= asked[name] : one === asked[name]));
  const said = el("output", {});
  const control = el("input", { type: "range", name, min: 0, max: steps.length - 1, step: 1, oninput: () => {
    asked[name] = steps[control.value];
    tell();
    changed();
  } });
  control.value = at();
  const tell = () => {
    said.textContent = show(asked[name]);
    control.setAttribute("aria-valuetext", said.textContent);
  };
  tell();
  const node = field(label, control);
  node.classList.add("slider");
  node.prepend(el("div", { class: "slider-head" }, node.querySelector("label"), said));
  return node;
}

function select(label, groups, name, changed, hint) {
  const option = ([value, text]) => el("option", { value, selected: value === asked[name] }, text);
  const control = el("select", { name, onchange: () => { asked[name] = control.value; changed(); } },
    Object.entries(groups).map(([group, options]) => group ? el("optgroup", { label: group }, options.map(option)) : options.map(option)));
  return field(label, control, hint);
}

function input(label, name, attributes, changed, { suggested, hint } = {}) {
  const list = suggested && el("datalist", { id: `plan-${name}` }, suggested.map((one) => el("option", { value: one })));
  const isNumber = attributes.type === "number";
  const control = el("input", { name, value: asked[name], spellcheck: "false", ...attributes, list: list && list.id, oninput: () => {
    asked[name] = isNumber && control.value !== "" ? Number(control.value) : control.value.trim();
    changed();
  } });
  return [field(label, control, hint), list];
}

const powers = (from, to) => Array.from({ length: Math.floor(Math.log2(to / from)) + 1 }, (_, at) => from * 2 ** at);
const LOADS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
const SHARES = Array.from({ length: 20 }, (_, at) => (at + 1) / 20);

function places(known) {
  const providers = Object.groupBy(known.instances, ({ provider }) => provider);
  const title = (one) => `${one.name}: ${one.num_devices === 1 ? "" : `${one.num_devices} × `}${one.device}, ${bytes(one.memory_bytes)}`;
  return {
    "": [["here:", "This machine"]],
    ...Object.fromEntries(Object.entries(providers).map(([provider, all]) => [`Rented: ${provider}`,
      all.toSorted((a, b) => a.name.localeCompare(b.name)).map((one) => [`instance:${one.name}`, title(one)])])),
    "Devices of your own": known.devices.filter(({ kind }) => kind === "gpu").map((one) => [`device:${one.name}`, `${one.name}, ${bytes(one.memory_bytes)}`]),
  };
}

// Where a machine can be rented with a known price, or where a device of one's own may stand.
function regions(known, machine) {
  if (machine) {
    const priced = [...new Set(machine.prices.map(({ region }) => region))];
    return { "": [["", "The usual one"]], "With a known price": priced.map((one) => [one, one]) };
  }
  return {
    "": [["", "As it is set here"]], Countries: known.countries.map((one) => [one, one]),
    Regions: known.regions.map(({ name, provider }) => [name, `${name} (${provider})`]),
  };
}

function firstDay(machine) {
  return machine?.prices.map(({ valid_from: since }) => since).filter(Boolean).sort()[0];
}

// The form for all that is known; `changed()` is called whenever anything is asked otherwise, and
// `anew()` when other controls are needed.
export function planForm(known, changed, anew) {
  const machine = kindOf() === "instance" ? known.instances.find(({ name }) => name === nameOf()) : undefined;
  const model = known.models.find(({ name }) => name === asked.model);
  const devices = machine ? machine.num_devices : kindOf() === "device" ? 8 : 1;
  if (devices > 1) asked.num_devices ||= machine ? devices : 1;
  const most = Math.max(FIRST_CONTEXT, model?.context_length ?? MOST_CONTEXT);
  asked.context_length = Math.min(asked.context_length, most);
  const moved = () => { Object.assign(asked, { region: "", num_devices: 0 }); anew(); };
  const plural = (number) => number === 1 ? "1 device" : `${number} devices`;
  return el("form", { class: "plan-form", onsubmit: (event) => event.preventDefault() },
    // Half a name is no model, so it is asked for when it is whole; and when the focus has gone on, as
    // it would be lost with the control that it comes from.
    input("Model, or its parameters", "model", { required: true, placeholder: "7B", onchange: () => setTimeout(anew) }, () => {}, { suggested: known.models.map(({ name }) => name) }),
    select("Machine", places(known), "place", moved),
    devices > 1 && slider("Devices", powers(1, devices), "num_devices", plural, changed),
    slider("Weights as", ["", ...known.quantizations], "quantization", (name) => name || "as published", changed),
    slider("Context", powers(FIRST_CONTEXT, most), "context_length", (number) => `${count(number)} tokens`, changed),
    slider("At once", powers(1, 1024), "num_sequences", (number) => number === 1 ? "1 request" : `${count(number)} requests`, changed),
    slider("Load", LOADS, "requests_per_s", (number) => `${number} requests/s`, changed),
    slider("Busy", SHARES, "utilization", (share) => `${Math.round(100 * share)} % of full load`, changed),
    el("div", { class: "row" },
      input("Prompt, tokens", "prompt_tokens", { type: "number", min: 1, placeholder: USUAL.prompt_tokens }, changed),
      input("Answer, tokens", "completion_tokens", { type: "number", min: 1, placeholder: USUAL.completion_tokens }, changed)),
    select("Region", regions(known, machine), "region", changed),
    input("Prices of", "as_of", { type: "date", min: firstDay(machine), max: today(), value: asked.as_of || today() }, changed),
    !machine && input("Price of an hour, $", "price_usd_per_h", { type: "number", min: 0, step: "any", placeholder: "none known" }, changed),
    input("Against", "saas", { placeholder: "nobody" }, changed, { suggested: SAAS, hint: "A model for rent by the token." }));
}
