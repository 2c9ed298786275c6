// Play: chat with a model, or with two beside each other, and see what each answer took.

import { modelsOf } from "./api.js";
import { Answer, messagesOf } from "./answer.js";
import { answerTwice, emptyTwice } from "./compare.js";
import { button, el, field, loading, notice } from "./dom.js";
import { weights } from "./figures.js";
import { Room } from "./room.js";
import { samplingFields } from "./sampling.js";

const MODES = { chat: "Chat", compare: "Compare" };
const EXAMPLES = ["Who is Oppenheimer?", "Name three rivers and their countries.", "Write a haiku about soup."];

// Kept while other views are looked at; gone with the tab.
const rooms = {};
const picked = { A: "", B: "" };
let models;

async function answerOnce(room, signal) {
  const before = [...room.turns];
  const answer = new Answer(picked.A, () => room.again(answer));
  room.add(answer);
  answer.node.scrollIntoView({ block: "nearest" });
  await answer.run(messagesOf(before), signal);
}

const emptyOnce = (send) => [
  el("h2", {}, "Ask, and see what the answer took"),
  el("p", {}, "Each answer comes with its receipt: energy, water, carbon and cost, with their intervals."),
  el("div", { class: "chips" }, EXAMPLES.map((text) => button(text, () => send(text), { class: "chip" }))),
];

function roomOf(mode) {
  const make = {
    chat: () => new Room("Chat", emptyOnce, answerOnce),
    compare: () => new Room("Comparison", emptyTwice, answerTwice(() => [picked.A, picked.B])),
  };
  rooms[mode] ??= make[mode]();
  return rooms[mode];
}

function choice(label, side) {
  const select = el("select", { onchange: () => { picked[side] = select.value; } },
    models.map(({ name, about }) => el("option", { value: name, selected: name === picked[side] }, about ? `${name} (${about})` : name)));
  return field(label, select);
}

function chosenModels(mode) {
  if (mode === "chat") return choice("Model", "A");
  return [choice("Model A", "A"), choice("Model B", "B"),
    models.length < 2 && el("p", { class: "hint" }, "There is one model here. Get another, or the same in another format, under ",
      el("a", { href: "#/models" }, "Models"), ".")];
}

async function lookAround() {
  models = (await modelsOf("generator")).map((one) => ({ name: one.name, about: weights(one) }));
  const names = models.map(({ name }) => name);
  for (const side of ["A", "B"]) {
    if (!names.includes(picked[side])) picked[side] = names[side === "B" && names.length > 1 ? 1 : 0] ?? "";
  }
}

export async function play(place, asked = "chat") {
  const mode = asked in MODES ? asked : "chat";
  if (!models) {
    place.replaceChildren(loading("the models"));
    await lookAround();
  }
  if (!models.length) {
    forgetModels();
    place.replaceChildren(notice("There is no model here that chats.",
      el("p", {}, "Pull one under ", el("a", { href: "#/models" }, "Models"), ", then come back.")));
    return;
  }
  const room = roomOf(mode);
  const isWide = matchMedia("(min-width: 60rem)").matches;
  place.replaceChildren(el("h1", { class: "unseen" }, "Play"),
    el("nav", { class: "tabs", "aria-label": "Ways to play" }, Object.entries(MODES).map(([name, title]) =>
      el("a", { href: `#/play/${name}`, "aria-current": name === mode ? "page" : null }, title))),
    el("div", { class: "play" }, room.node,
      el("aside", { "aria-label": "Settings" },
        el("details", { open: isWide }, el("summary", {}, "Settings"),
          el("div", { class: "settings" }, chosenModels(mode), samplingFields())),
        button("New chat", () => room.clear(), { class: "quiet" }))));
  room.input.focus();
}

// The models have changed: what there is is asked for again, what was said stays.
export function forgetModels() {
  models = undefined;
  document.dispatchEvent(new Event("models-changed"));
}

document.addEventListener("key-changed", forgetModels);
