// Play: chat with a model, or with two beside each other, and see what each answer took.

import { modelsOf } from "./api.js";
import { Answer, messagesOf, question } from "./answer.js";
import { answerTwice, emptyTwice } from "./compare.js";
import { button, el, field, loading, notice } from "./dom.js";
import { weights } from "./figures.js";
import { keep, recall } from "./kept.js";
import { Room } from "./room.js";
import { chosen, samplingFields } from "./sampling.js";

const MODES = { chat: "Chat", compare: "Compare" };
const EXAMPLES = ["Who is Oppenheimer?", "Name three rivers and their countries.", "Say good morning in three words."];

// Kept while other views are looked at; the chat and what is set also over a reload.
const recalled = recall();
const rooms = {};
const picked = { A: "", B: "", ...recalled.picked };
Object.assign(chosen, recalled.chosen);
keep(() => {
  const { turns, input } = roomOf("chat");
  return { turns: turns.map(({ kept }) => kept), draft: input.value, picked, chosen };
});
// The last look at what models there are.
let looking;

// What goes wrong here does so again when they are asked, and is told there.
async function picks() {
  await looking.catch(() => {});
  return picked;
}

async function lookAround() {
  const models = (await modelsOf("generator")).map((one) => ({ name: one.name, about: weights(one) }));
  const names = models.map(({ name }) => name);
  for (const side of ["A", "B"]) {
    if (!names.includes(picked[side])) picked[side] = names[side === "B" && names.length > 1 ? 1 : 0] ?? "";
  }
  return models;
}

function addAnswer(room, model) {
  const answer = new Answer(model, () => room.again(answer));
  room.add(answer);
  return answer;
}

async function answerOnce(room, signal) {
  const { A: model } = await picks();
  if (signal.aborted) return;
  const messages = messagesOf(room.turns);
  const answer = addAnswer(room, model);
  answer.node.scrollIntoView({ block: "nearest" });
  await answer.run(messages, signal);
}

const emptyOnce = (send) => [
  el("h2", {}, "Ask, and see what the answer took"),
  el("p", {}, "Each answer comes with its receipt: energy, water, carbon and cost, with their intervals."),
  el("div", { class: "chips" }, EXAMPLES.map((text) => button(text, () => send(text), { class: "chip" }))),
];

// The chat as it was before the page was loaded anew.
function chatRoom() {
  const room = new Room("Chat", emptyOnce, answerOnce);
  for (const turn of recalled.turns ?? []) {
    if (turn.role === "user") room.add(question(turn.text));
    else addAnswer(room, turn.model).restore(turn);
  }
  room.input.value = recalled.draft ?? "";
  return room;
}

function roomOf(mode) {
  const make = {
    chat: chatRoom,
    compare: () => new Room("Comparison", emptyTwice, answerTwice(picks)),
  };
  rooms[mode] ??= make[mode]();
  return rooms[mode];
}

function choice(models, label, side) {
  const select = el("select", { onchange: () => { picked[side] = select.value; } },
    models.map(({ name, about }) => el("option", { value: name, selected: name === picked[side] }, about ? `${name} (${about})` : name)));
  return field(label, select);
}

function choices(models, mode) {
  if (mode === "chat") return [choice(models, "Model", "A")];
  const both = [choice(models, "Model A", "A"), choice(models, "Model B", "B")];
  if (models.length > 1) return both;
  return [...both, el("p", { class: "hint" }, "There is one model here. Get another, or the same in another format, under ",
      el("a", { href: "#/models" }, "Models"), ".")];
}

// One can write and send before the models are known.
export async function play(place, asked = "chat") {
  const mode = asked in MODES ? asked : "chat";
  const room = roomOf(mode);
  const isWide = matchMedia("(min-width: 60rem)").matches;
  const waiting = loading("the models");
  place.replaceChildren(el("h1", { class: "unseen" }, "Play"),
    el("nav", { class: "tabs", "aria-label": "Ways to play" }, Object.entries(MODES).map(([name, title]) =>
      el("a", { href: `#/play/${name}`, "aria-current": name === mode ? "page" : null }, title))),
    el("div", { class: "play" }, room.node,
      el("aside", { "aria-label": "Settings" },
        el("details", { open: isWide }, el("summary", {}, "Settings"),
          el("div", { class: "settings" }, waiting, samplingFields())),
        button("New chat", () => room.clear(), { class: "quiet" }))));
  room.input.focus();
  looking = lookAround();
  const models = await looking;
  if (models.length) {
    waiting.replaceWith(...choices(models, mode));
    return;
  }
  place.replaceChildren(notice("There is no model here that chats.",
    el("p", {}, "Pull one under ", el("a", { href: "#/models" }, "Models"), ", then come back.")));
}

// The models have changed: who shows them asks for them again.
export const forgetModels = () => document.dispatchEvent(new Event("models-changed"));
