// Play: chat with a model, and see what each answer took.

import { events, modelsThat } from "./api.js";
import { showCode } from "./code.js";
import { button, copy, el, field, loading, notice, trouble } from "./dom.js";
import { receipt } from "./receipt.js";

// Kept while other views are looked at; gone with the tab.
const turns = [];
const chosen = { model: "", system: "", temperature: "", max_tokens: "", seed: "", schema: "" };

function schemaOf(text) {
  if (!text.trim()) return {};
  try {
    return { response_format: { type: "json_schema", json_schema: { name: "answer", schema: JSON.parse(text), strict: true } } };
  } catch (error) {
    throw Object.assign(new Error(`The JSON schema is no JSON: ${error.message}.`),
      { title: "Not sent.", advice: "Mend it under Settings, or leave it empty." });
  }
}

function requestFor(messages) {
  const numbers = Object.fromEntries(["temperature", "max_tokens", "seed"]
    .filter((name) => chosen[name] !== "").map((name) => [name, Number(chosen[name])]));
  const system = chosen.system.trim() ? [{ role: "system", content: chosen.system }] : [];
  return {
    model: chosen.model, messages: [...system, ...messages], ...numbers, ...schemaOf(chosen.schema),
    stream: true, stream_options: { include_usage: true },
  };
}

const told = (list) => list.filter((turn) => turn.text).map(({ role, text }) => ({ role, content: text }));

function settings(models) {
  const bound = (name, tag, attributes = {}) => {
    const control = el(tag, { value: chosen[name], ...attributes, oninput: () => { chosen[name] = control.value; } });
    return control;
  };
  const select = el("select", { onchange: () => { chosen.model = select.value; } },
    models.map((name) => el("option", { value: name, selected: name === chosen.model }, name)));
  return el("div", { class: "settings" },
    field("Model", select),
    field("System prompt", bound("system", "textarea", { rows: 3, placeholder: "You are a helpful assistant." })),
    el("div", { class: "row" },
      field("Temperature", bound("temperature", "input", { type: "number", min: 0, max: 2, step: 0.1, placeholder: "auto" })),
      field("Max tokens", bound("max_tokens", "input", { type: "number", min: 1, step: 1, placeholder: "auto" })),
      field("Seed", bound("seed", "input", { type: "number", min: 0, step: 1, placeholder: "none" }))),
    field("JSON schema", bound("schema", "textarea", { rows: 4, spellcheck: "false", class: "mono", placeholder: '{"type": "object", …}' }),
      "The answer is held to it."));
}

class Conversation {
  constructor(models) {
    this.log = el("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": "Conversation" });
    this.input = el("textarea", { rows: 2, placeholder: "Ask something", "aria-label": "Message", onkeydown: (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    } });
    this.sending = button("Send", () => this.send(), { class: "primary" });
    this.stopping = button("Stop", () => this.abort?.abort(), { class: "primary", hidden: true });
    this.clearing = button("New chat", () => this.clear(), { class: "quiet" });
    const isWide = matchMedia("(min-width: 60rem)").matches;
    this.node = el("div", { class: "play" },
      el("h1", { class: "unseen" }, "Play"),
      el("section", { class: "chat", "aria-label": "Chat" }, this.log,
        el("div", { class: "composer" }, this.input, this.sending, this.stopping)),
      el("aside", { "aria-label": "Settings" },
        el("details", { open: isWide }, el("summary", {}, "Settings"), settings(models)), this.clearing));
    this.draw();
  }

  draw() {
    this.log.replaceChildren(...(turns.length ? turns.map((turn) => this.turn(turn)) : [this.empty()]));
  }

  // What is new is added and the rest left alone, so that nothing is read out twice.
  add(turn) {
    this.log.querySelector(".empty")?.remove();
    turns.push(turn);
    this.log.append(this.turn(turn));
  }

  empty() {
    const examples = ["Who is Oppenheimer?", "Name three rivers and their countries.", "Write a haiku about soup."];
    return el("div", { class: "empty" },
      el("h2", {}, "Ask, and see what the answer took"),
      el("p", {}, "Each answer comes with its receipt: energy, water, carbon and cost, with their intervals."),
      el("div", { class: "chips" }, examples.map((text) => button(text, () => { this.input.value = text; this.send(); }, { class: "chip" }))));
  }

  turn(turn) {
    turn.body = el("div", { class: turn.isRunning ? "text running" : "text" }, turn.text);
    turn.node = el("article", { class: `turn ${turn.role}`, "aria-label": turn.role === "user" ? "You" : turn.model },
      el("p", { class: "who" }, turn.role === "user" ? "You" : turn.model), turn.body);
    if (turn.role === "assistant" && !turn.isRunning) turn.node.append(this.under(turn));
    return turn.node;
  }

  under(turn) {
    const copying = button("Copy", () => copy(turn.text, copying), { class: "quiet" });
    return el("div", { "aria-live": "off" },
      turn.note && el("p", { class: "hint" }, turn.note),
      turn.error && trouble(turn.error, () => this.again(turn)),
      turn.footprint && receipt(turn.footprint, turn.ttftS),
      el("div", { class: "actions" }, turn.text && copying,
        !turn.error && button("Regenerate", () => this.again(turn), { class: "quiet last-only" }),
        turn.request && button("As code", () => showCode(turn.request), { class: "quiet" })));
  }

  send() {
    const text = this.input.value.trim();
    if (!text || this.abort) return;
    this.input.value = "";
    this.add({ role: "user", text });
    this.answer();
  }

  // Another answer in place of one, and of what was said after it.
  again(turn) {
    if (this.abort) return;
    for (const one of turns.splice(turns.indexOf(turn))) one.node.remove();
    this.answer();
  }

  clear() {
    this.abort?.abort();
    turns.length = 0;
    this.draw();
    this.input.focus();
  }

  async answer() {
    const turn = { role: "assistant", text: "", model: chosen.model, isRunning: true };
    const messages = told(turns);
    this.running(new AbortController());
    this.add(turn);
    turn.node.scrollIntoView({ block: "nearest" });
    try {
      turn.request = requestFor(messages);
      await this.stream(turn);
    } catch (error) {
      if (error.name === "AbortError") turn.note = "Stopped. What was generated until then is in the ledger.";
      else turn.error = error;
    }
    turn.isRunning = false;
    turn.body.classList.remove("running");
    turn.node.append(this.under(turn));
    this.running(null);
    if (!this.node.isConnected) return;
    turn.node.scrollIntoView({ block: "nearest" });
    this.input.focus({ preventScroll: true });
  }

  async stream(turn) {
    const started = performance.now();
    for await (const event of events("/v1/chat/completions", turn.request, this.abort.signal)) {
      const [choice] = event.choices;
      const piece = choice?.delta?.content;
      if (piece) {
        turn.ttftS ??= (performance.now() - started) / 1000;
        turn.text += piece;
        turn.body.append(piece);
        this.follow();
      }
      if (choice?.finish_reason === "length") turn.note = "Cut off at the most tokens; raise Max tokens for more.";
      turn.footprint = event.footprint ?? turn.footprint;
    }
  }

  // Keep the end in sight for who is looking at it, and leave alone who reads further up.
  follow() {
    const page = document.scrollingElement;
    if (page.scrollHeight - page.scrollTop - innerHeight < 160) page.scrollTop = page.scrollHeight;
  }

  running(abort) {
    this.abort = abort;
    this.sending.hidden = Boolean(abort);
    this.stopping.hidden = !abort;
  }
}

let conversation;

export async function play(place) {
  if (conversation) {
    place.replaceChildren(conversation.node);
    return;
  }
  place.replaceChildren(loading("the models"));
  const models = await modelsThat("completion");
  if (!models.length) {
    place.replaceChildren(notice("There is no model here that chats.",
      el("p", {}, "Pull one under ", el("a", { href: "#/models" }, "Models"), ", then come back.")));
    return;
  }
  if (!models.includes(chosen.model)) chosen.model = models[0];
  conversation = new Conversation(models);
  place.replaceChildren(conversation.node);
  conversation.input.focus();
}

// The models have changed: what is chosen is asked for again, what was said stays.
export const forgetModels = () => { if (!conversation?.abort) conversation = undefined; };
