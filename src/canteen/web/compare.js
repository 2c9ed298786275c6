// Two models beside each other: the same words to both, and what differs in what they took.

import { Answer, messagesOf } from "./answer.js";
import { button, el, table } from "./dom.js";
import { count, digits, grade, interval, scaled, seconds, span } from "./figures.js";

const A_LITTLE = 1.1;
const sides = ["A", "B"];

const perToken = (value, tokens) => value && tokens
  && Object.fromEntries(Object.entries(value).map(([name, one]) => [name, typeof one === "number" ? one / tokens : one]));

// Tokens a second after the first; undefined where there are too few to tell.
function rate({ tokens, time_s: time }) {
  return tokens.completion > 1 && time.decode ? (tokens.completion - 1) / time.decode : undefined;
}

function estimates({ footprint }) {
  return [
    ["Energy", footprint.energy_wh, "Wh"],
    ["Energy a token", perToken(footprint.energy_wh, footprint.tokens.completion), "Wh"],
    ["Cost", footprint.cost_usd, "$"],
  ];
}

const overlap = (a, b) => a.low <= b.high && b.low <= a.high;

// One sentence on a quantity: who took more, how many times, and whether that is sure.
function told(what, a, b) {
  if (!a?.central || !b?.central) return `${what}: not known of both.`;
  const [more, less] = a.central > b.central ? ["A", "B"] : ["B", "A"];
  const times = Math.max(a.central, b.central) / Math.min(a.central, b.central);
  if (times < A_LITTLE) return `${what}: about the same.`;
  const sure = overlap(a, b) ? ", but their intervals overlap, so it may be the other way round" : "; their intervals do not overlap";
  return `${what}: ${more} took ${digits(times)} times that of ${less}${sure}.`;
}

function speed(a, b) {
  if (!a || !b) return "Speed: too few tokens to tell.";
  const times = Math.max(a, b) / Math.min(a, b);
  if (times < A_LITTLE) return "Speed: about the same.";
  return `Speed: ${a > b ? "A" : "B"} wrote ${digits(times)} times as fast, in this one run with both at work at once.`;
}

function cell(value, unit, most) {
  if (!value) return "unknown";
  return [el("span", { class: "value" }, scaled(value.central, unit), " ", grade(value.grade)), interval(value, most),
    el("span", { class: "span" }, span(value, unit))];
}

function estimated([name, a, unit], [, b]) {
  const most = Math.max(a?.high ?? 0, b?.high ?? 0);
  return [name, cell(a, unit, most), cell(b, unit, most), a?.central && b?.central ? `${digits(b.central / a.central)} ×` : "–"];
}

// What differs, in a sentence each, and figure by figure on common scales.
export function difference(a, b) {
  const [ofA, ofB] = [estimates(a), estimates(b)];
  const [fast, slow] = [rate(a.footprint), rate(b.footprint)];
  const sentences = [told("Energy", ofA[0][1], ofB[0][1]), told("Energy a token", ofA[1][1], ofB[1][1]),
    told("Cost", ofA[2][1], ofB[2][1]), speed(fast, slow)];
  const measured = [
    ["First token", ...[a, b].map((one) => seconds(one.ttftS)), a.ttftS && b.ttftS ? `${digits(b.ttftS / a.ttftS)} ×` : "–"],
    ["Tokens a second", ...[fast, slow].map((one) => one ? digits(one) : "–"), fast && slow ? `${digits(slow / fast)} ×` : "–"],
    ["Tokens written", ...[a, b].map((one) => count(one.footprint.tokens.completion)), ""],
  ];
  return el("section", { class: "card difference", "aria-label": "Difference" },
    el("h2", {}, "What differs"),
    el("ul", { class: "told" }, sentences.map((one) => el("li", {}, one))),
    el("details", {}, el("summary", {}, "Figure by figure"),
      table("Both figure by figure", ["", `A · ${a.model}`, `B · ${b.model}`, "B to A"],
        [...ofA.map((row, at) => estimated(row, ofB[at])), ...measured])));
}

class Pair {
  constructor(models, again) {
    this.answers = models.map((model) => new Answer(model, again));
    this.answers.forEach(({ node }, at) => node.querySelector(".who").prepend(el("span", { class: "badge" }, sides[at]), " "));
    this.node = el("div", { class: "pair" }, el("div", { class: "columns" }, this.answers.map(({ node }) => node)));
  }

  async run(turns, signal) {
    await Promise.all(this.answers.map((one, at) =>
      one.run(messagesOf(turns.map((turn) => turn.answers?.[at] ?? turn)), signal)));
    if (this.answers.every(({ footprint }) => footprint)) this.node.append(difference(...this.answers));
    else this.node.append(el("p", { class: "hint" }, "Nothing to compare: not both came to their end."));
  }
}

export const answerTwice = (picks) => async (room, signal) => {
  const { A, B } = await picks();
  if (signal.aborted) return;
  const before = [...room.turns];
  const pair = new Pair([A, B], () => room.again(pair));
  room.add(pair);
  await pair.run(before, signal);
};

const EXAMPLES = ["Explain why the sky is blue to a child.", "Name three rivers and their countries.", "Say good morning in three words."];

export const emptyTwice = (send) => [
  el("h2", {}, "One question, two models"),
  el("p", {}, "Both answer at once, each with its receipt; then a word on what differs in energy, cost and speed, and on how sure that is."),
  el("div", { class: "chips" }, EXAMPLES.map((text) => button(text, () => send(text), { class: "chip" }))),
];
