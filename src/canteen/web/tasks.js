// Tasks: the language work as forms, each with its result drawn, its receipt, and its call as code.

import { events, post } from "./api.js";
import { showCode } from "./code.js";
import { decide } from "./decisions.js";
import { button, el, loading, trouble } from "./dom.js";
import { own } from "./prompts.js";
import { receipt } from "./receipt.js";
import { search } from "./searching.js";
import { FORMS } from "./task-forms.js";
import { Writer } from "./writer.js";

const { summarize, rewrite, classify, extract, rank } = FORMS;
const TASKS = { summarize, rewrite, classify, extract, search, decide, rank, own };

// All of a task's answer; of one that streams, text is written as it comes.
async function answered(path, body, isStream, writer, signal) {
  if (!isStream) return post(path, body, { signal });
  let answer = {};
  for await (const event of events(path, { ...body, stream: true }, signal)) {
    if (event.delta !== undefined) writer.write(event.delta);
    else answer = { ...answer, ...event };
  }
  return answer;
}

// Documents are told by their names: nobody wants to paste their bytes.
function tellable(value) {
  if (Array.isArray(value)) return value.map(tellable);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) =>
    [name, name === "data" && value.name ? `the bytes of ${value.name} in base64` : tellable(one)]));
}

const waiting = (task) => el("div", { class: "blank" }, el("p", {},
  task.blank ?? `Press ${task.title} to try the example, or put in something of your own.`));

class Form {
  constructor(name, task) {
    Object.assign(this, { name, task });
    this.result = el("div", { class: "outcome", "aria-live": "polite" }, waiting(task));
    this.submit = el("button", { type: "submit", class: "primary" }, task.verb ?? task.title);
    this.stopping = button("Stop", () => this.abort?.abort(), { class: "quiet", hidden: true });
    this.node = el("div");
  }

  // Made at the first visit; at others only what there is to choose from is asked for again, and
  // where that cannot be, it stays.
  async visit() {
    if (this.form) {
      await this.form.refresh?.().catch(() => {});
      return;
    }
    this.node.replaceChildren(loading("the form"));
    try {
      await (this.opening ??= this.open());
    } catch (error) {
      this.opening = undefined;
      this.node.replaceChildren(trouble(error, () => this.visit()));
    }
  }

  async open() {
    this.form = await this.task.open(this);
    this.node.replaceChildren(el("p", { class: "lead" }, this.task.about),
      el("div", { class: "halves" },
        el("div", {}, el("form", { onsubmit: (event) => { event.preventDefault(); this.run(); } }, this.form.fields,
          el("div", { class: "actions" }, this.submit, button("As code", () => this.asCode(), { class: "quiet" }), this.stopping)),
        this.form.beside),
        this.result));
  }

  get path() {
    return this.form.path?.() ?? this.task.path ?? `/v1/tasks/${this.name}`;
  }

  asCode() {
    showCode({ path: this.path, body: tellable(this.form.body()), name: this.name, about: this.task.about, varies: this.task.varies ?? "input" });
  }

  async run() {
    if (this.abort) return;
    const [path, body] = [this.path, this.form.body()];
    const text = el("p", { class: "text running" });
    this.busy(new AbortController());
    this.result.replaceChildren(el("section", { class: "card", "aria-label": "Working" }, el("p", { class: "loading", role: "status" }, "Working …"), text));
    const writer = new Writer(text);
    try {
      this.show(await answered(path, body, this.task.streams, writer, this.abort.signal), body);
    } catch (error) {
      if (error.name === "AbortError") this.result.replaceChildren(waiting(this.task));
      else this.fail(error, text, writer);
    }
    this.result.scrollIntoView({ block: "nearest" });
    this.busy(null);
  }

  // What was written until then stays.
  fail(error, text, writer) {
    writer.flush();
    text.classList.remove("running");
    this.result.replaceChildren(trouble(error, () => this.run()));
    if (text.textContent) this.result.append(el("section", { class: "card", "aria-label": "Until then" }, text));
  }

  show(answer, body) {
    this.result.replaceChildren(el("section", { class: "card", "aria-label": "Result" },
      el("h2", { class: "unseen" }, "Result"), [this.task.draw(answer, body)].flat(3).filter(Boolean),
      answer.footprint ? receipt(answer.footprint) : el("p", { class: "hint" }, "No model was needed for this.")));
  }

  busy(abort) {
    this.abort = abort;
    this.submit.disabled = Boolean(abort);
    this.stopping.hidden = !abort;
  }
}

// Kept while other views are looked at; gone with the tab.
const forms = {};

export async function tasks(place, asked = "summarize") {
  const name = asked in TASKS ? asked : "summarize";
  const form = forms[name] ??= new Form(name, TASKS[name]);
  place.replaceChildren(el("h1", {}, "Tasks"),
    el("nav", { class: "tabs", "aria-label": "Tasks" }, Object.entries(TASKS).map(([one, task]) =>
      el("a", { href: `#/tasks/${one}`, "aria-current": one === name ? "page" : null }, task.title))),
    form.node);
  place.querySelector("[aria-current]").scrollIntoView({ block: "nearest", inline: "nearest" });
  await form.visit();
}
