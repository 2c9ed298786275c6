// Where one talks to models: a log, a line to write in, and a button to stop.

import { question } from "./answer.js";
import { button, el } from "./dom.js";

// `answer(room, signal)` adds to it, and resolves when all is said; `empty(send)` is what is shown before.
export class Room {
  turns = [];

  constructor(label, empty, answer) {
    Object.assign(this, { empty, answer });
    this.log = el("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": "Conversation" });
    this.input = el("textarea", { rows: 1, placeholder: "Ask something", "aria-label": "Message", onkeydown: (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    } });
    this.sending = button("Send", () => this.send(), { class: "primary" });
    this.stopping = button("Stop", () => this.abort.abort(), { class: "primary", hidden: true });
    this.node = el("section", { class: "chat", "aria-label": label }, this.log,
      el("div", { class: "composer" }, this.input, this.sending, this.stopping));
    this.clear();
  }

  get isBusy() {
    return Boolean(this.abort);
  }

  send(text = this.input.value.trim()) {
    if (!text || this.isBusy) return;
    this.input.value = "";
    this.add(question(text));
    this.run();
  }

  // What is new is added and the rest left alone, so that nothing is read out twice.
  add(turn) {
    this.log.querySelector(".empty")?.remove();
    this.turns.push(turn);
    this.log.append(turn.node);
  }

  // Another answer in place of one, and of what was said after it.
  again(turn) {
    if (this.isBusy) return;
    for (const one of this.turns.splice(this.turns.indexOf(turn))) one.node.remove();
    this.run();
  }

  clear() {
    this.abort?.abort();
    this.turns = [];
    this.log.replaceChildren(el("div", { class: "empty" }, this.empty((text) => this.send(text))));
    this.input.focus();
  }

  async run() {
    this.busy(new AbortController());
    await this.answer(this, this.abort.signal);
    this.busy(null);
    if (!this.node.isConnected) return;
    this.log.lastChild.scrollIntoView({ block: "nearest" });
    this.input.focus({ preventScroll: true });
  }

  busy(abort) {
    this.abort = abort;
    this.sending.hidden = Boolean(abort);
    this.stopping.hidden = !abort;
  }
}
