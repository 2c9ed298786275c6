// Prompts of one's own: stored once, and answered like the other tasks.

import { call, get } from "./api.js";
import { button, confirmed, el, field, notice, trouble } from "./dom.js";
import { line } from "./task-forms.js";

const EXAMPLE = `---
description: A greeting
inputs:
  name: {type: string, description: Whom to greet}
max_tokens: 40
---
Greet {{ name }} in one line.`;

// How each type of input is told.
const READ = { integer: Number, number: Number, boolean: (text) => text === "true", array: (text) => text.split("\n").filter(Boolean) };

function inputField(name, { type, description, required, default: usual }) {
  const control = type === "array" ? el("textarea", { rows: 3 }) : type === "boolean"
    ? el("select", {}, ["true", "false"].map((one) => el("option", { value: one }, one)))
    : type === "string" ? el("textarea", { rows: 2 }) : line("", { type: "number", step: "any" });
  control.required = required;
  if (usual !== undefined && usual !== null) control.value = Array.isArray(usual) ? usual.join("\n") : usual;
  return { name, control, node: field(name, control, [description, type === "array" && "One on each line."].filter(Boolean).join(" ")),
    value: () => (READ[type] ?? String)(control.value) };
}

// A form to write a prompt in; `stored(name)` is called when it is kept.
function writing(stored) {
  const name = line("", { required: true, placeholder: "greet" });
  const source = el("textarea", { rows: 9, class: "mono", required: true, spellcheck: "false", value: EXAMPLE });
  const said = el("div", { "aria-live": "polite" });
  const keep = async (event) => {
    event.preventDefault();
    try {
      await call(`/v1/prompts/${encodeURIComponent(name.value)}`, { method: "PUT", body: { source: source.value } });
      await stored(name.value);
    } catch (error) {
      said.replaceChildren(trouble(error));
    }
  };
  return el("form", { class: "card", "aria-label": "Write a prompt", onsubmit: keep }, el("h2", {}, "Write a prompt"),
    field("Name", name), field("Prompt", source, "What it declares between lines of ---, then its words."),
    el("div", { class: "actions" }, el("button", { type: "submit" }, "Store")), said);
}

async function open(form) {
  const { prompts } = await get("/v1/prompts");
  const usable = prompts.filter(({ problem }) => !problem);
  const select = el("select", { onchange: () => draw() }, usable.map(({ name, description }) =>
    el("option", { value: name }, description ? `${name}: ${description}` : name)));
  const inputs = el("div");
  let fields = [];
  function draw() {
    const chosen = usable.find(({ name }) => name === select.value);
    fields = Object.entries(chosen?.inputs ?? {}).map(([name, told]) => inputField(name, told));
    inputs.replaceChildren(...fields.map(({ node }) => node));
  }
  async function remove() {
    if (!await confirmed(`Forget the prompt ${select.value} in all its versions?`, "Forget")) return;
    try {
      await call(`/v1/prompts/${encodeURIComponent(select.value)}`, { method: "DELETE" });
      await form.open();
    } catch (error) {
      inputs.replaceChildren(trouble(error));
    }
  }
  function choose(name) {
    if (usable.some((one) => one.name === name)) select.value = name;
    draw();
  }
  draw();
  form.submit.hidden = !usable.length;
  const stored = async (name) => {
    await form.open();
    form.form.choose(name);
  };
  return {
    fields: usable.length ? [field("Prompt", select), inputs]
      : [notice("There is no prompt of your own yet.", el("p", {}, "Write one below: it becomes a task like the others."))],
    beside: [usable.length > 0 && button("Forget this prompt", remove, { class: "quiet" }), writing(stored)],
    path: () => `/v1/tasks/${encodeURIComponent(select.value)}`,
    body: () => ({ input: Object.fromEntries(fields.filter(({ control }) => control.value !== "").map(({ name, value }) => [name, value()])) }),
    choose,
    async refresh() {
      const { prompts: now } = await get("/v1/prompts");
      if (JSON.stringify(now) === JSON.stringify(prompts)) return;
      await form.open();
      // It is of the form that was there till now.
      form.form.choose(select.value);
    },
  };
}

export const own = {
  title: "Your own", verb: "Ask", blank: "What the model says to your prompt comes here.", about: "Prompts of your own, with inputs to fill in.", streams: true, open,
  draw: ({ result }) => typeof result === "string" ? el("p", { class: "text" }, result)
    : el("pre", { tabindex: "0" }, el("code", {}, JSON.stringify(result, null, 2))),
};
