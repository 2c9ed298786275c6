// An answer of a model: streamed into its place, with its receipt under it.

import { events } from "./api.js";
import { showCode } from "./code.js";
import { button, copy, el, trouble } from "./dom.js";
import { receipt } from "./receipt.js";
import { requestFor } from "./sampling.js";
import { Writer } from "./writer.js";

// Keep the end in sight for who is looking at it, and leave alone who reads further up.
function follow() {
  const page = document.scrollingElement;
  if (page.scrollHeight - page.scrollTop - innerHeight < 160) page.scrollTop = page.scrollHeight;
}

export class Answer {
  role = "assistant";
  text = "";

  // `again` asks for another in its place.
  constructor(model, again) {
    Object.assign(this, { model, again });
    this.body = el("div", { class: "text running" });
    this.node = el("article", { class: "turn assistant", "aria-label": model }, el("p", { class: "who" }, model), this.body);
  }

  // Resolves when there is nothing more to come, whatever has become of it.
  async run(messages, signal) {
    const writer = new Writer(this.body, follow);
    try {
      this.request = requestFor(this.model, messages);
      await this.stream(signal, writer);
    } catch (error) {
      if (error.name === "AbortError") this.note = "Stopped. What was generated until then is in the ledger.";
      else this.error = error;
    }
    writer.flush();
    this.end();
  }

  end() {
    this.body.classList.remove("running");
    this.node.append(this.under());
  }

  // What it can be made from again, elsewhere: see `restore`.
  get kept() {
    const { role, model, text, request, footprint, ttftS, error } = this;
    const note = this.body.classList.contains("running") ? "Cut off: the page was loaded anew." : this.note;
    return { role, model, text, request, footprint, ttftS, note,
      error: error && { title: error.title, message: error.message, advice: error.advice } };
  }

  restore(kept) {
    Object.assign(this, kept);
    this.body.append(this.text);
    this.end();
  }

  async stream(signal, writer) {
    const started = performance.now();
    for await (const event of events("/v1/chat/completions", this.request, signal)) {
      const [choice] = event.choices;
      const piece = choice?.delta?.content;
      if (piece) {
        this.ttftS ??= (performance.now() - started) / 1000;
        this.text += piece;
        writer.write(piece);
      }
      if (choice?.finish_reason === "length") this.note = "Cut off at the most tokens; raise Max tokens for more.";
      this.footprint = event.footprint ?? this.footprint;
    }
  }

  under() {
    const copying = button("Copy", () => copy(this.text, copying), { class: "quiet" });
    return el("div", { "aria-live": "off" },
      this.note && el("p", { class: "hint" }, this.note),
      this.error && trouble(this.error),
      this.footprint && receipt(this.footprint, this.ttftS),
      el("div", { class: "actions" }, this.text && copying,
        button(this.error ? "Try again" : "Regenerate", this.again, { class: "quiet last-only" }),
        this.request && button("As code", () => showCode({ path: "/v1/chat/completions", body: this.request }), { class: "quiet" })));
  }
}

export const question = (text) => ({
  role: "user", text, kept: { role: "user", text },
  node: el("article", { class: "turn user", "aria-label": "You" }, el("p", { class: "who" }, "You"), el("div", { class: "text" }, text)),
});

// What has been said, as messages; answers without a word are left out.
export const messagesOf = (turns) => turns.filter((turn) => turn.text).map(({ role, text }) => ({ role, content: text }));
