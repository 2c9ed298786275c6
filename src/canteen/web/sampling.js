// What a model is asked with beside the messages: who it is, how it chooses, what it must answer.

import { el, field } from "./dom.js";
import { schemaProblem } from "./schema.js";

// Kept as the chat is. Small models ramble at the usual 1.0.
export const chosen = {
  system: "", temperature: "0.3", max_tokens: "", seed: "", top_p: "", top_k: "", min_p: "",
  presence_penalty: "", frequency_penalty: "", repetition_penalty: "", stop: "", schema: "",
};

const NUMBERS = ["temperature", "max_tokens", "seed", "top_p", "top_k", "min_p",
  "presence_penalty", "frequency_penalty", "repetition_penalty"];

// A line is a sequence; \n in it is the end of a line.
const stops = () => chosen.stop.split("\n").filter(Boolean).map((one) => one.replaceAll("\\n", "\n"));

function format() {
  const text = chosen.schema.trim();
  if (!text) return {};
  const problem = schemaProblem(text);
  if (problem) {
    throw Object.assign(new Error(problem),
      { title: "Not sent.", advice: "Mend the JSON schema under Settings, or leave it empty." });
  }
  return { response_format: { type: "json_schema", json_schema: { name: "answer", schema: JSON.parse(text), strict: true } } };
}

// The body of a request; throws, with what to do, where the schema is none.
export function requestFor(model, messages) {
  const numbers = Object.fromEntries(NUMBERS
    .filter((name) => chosen[name] !== "").map((name) => [name, Number(chosen[name])]));
  const system = chosen.system.trim() ? [{ role: "system", content: chosen.system }] : [];
  const stop = stops();
  return {
    model, messages: [...system, ...messages], ...numbers, ...(stop.length && { stop }), ...format(),
    stream: true, stream_options: { include_usage: true },
  };
}

function bound(name, tag, attributes = {}) {
  const control = el(tag, { value: chosen[name], ...attributes, oninput: () => { chosen[name] = control.value; } });
  return control;
}

const number = (label, name, attributes) =>
  field(label, bound(name, "input", { type: "number", step: "any", placeholder: "auto", ...attributes }));

function schemaField() {
  const said = el("p", { class: "hint wrong", role: "status" });
  const control = bound("schema", "textarea", { rows: 4, spellcheck: "false", class: "mono", placeholder: '{"type": "object", …}' });
  const look = () => {
    const problem = schemaProblem(control.value);
    control.setAttribute("aria-invalid", Boolean(problem));
    said.textContent = problem;
  };
  control.addEventListener("input", look);
  look();
  return [field("JSON schema", control, "The answer is held to it."), said];
}

export function samplingFields() {
  return [
    field("System prompt", bound("system", "textarea", { rows: 3, placeholder: "You are a helpful assistant." })),
    el("div", { class: "row" },
      number("Temperature", "temperature", { min: 0, max: 2 }),
      number("Max tokens", "max_tokens", { min: 1, step: 1 }),
      number("Seed", "seed", { min: 0, step: 1, placeholder: "none" })),
    el("details", { class: "more" }, el("summary", {}, "More sampling"),
      el("div", { class: "row" },
        number("Top p", "top_p", { min: 0, max: 1 }),
        number("Top k", "top_k", { min: 0, step: 1 }),
        number("Min p", "min_p", { min: 0, max: 1 })),
      el("div", { class: "row" },
        number("Presence", "presence_penalty", { min: -2, max: 2, placeholder: "0" }),
        number("Frequency", "frequency_penalty", { min: -2, max: 2, placeholder: "0" }),
        number("Repetition", "repetition_penalty", { min: 0, max: 10, placeholder: "1" })),
      field("Stop at", bound("stop", "textarea", { rows: 2, spellcheck: "false", class: "mono" }),
        "A sequence on each line; \\n is the end of a line.")),
    schemaField(),
  ];
}
