// Tasks: the language work as forms, each with its result drawn.

import { get, post } from "./api.js";
import { el, field, loading, notice, trouble } from "./dom.js";
import { receipt } from "./receipt.js";

const words = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

const area = (value, rows = 5) => el("textarea", { rows, value, required: true });
const line = (value = "", attributes = {}) => el("input", { value, ...attributes });
const choice = (options) => el("select", {}, Object.entries(options).map(([value, label]) => el("option", { value }, label)));
const warnings = (list = []) => list.map((one) => el("p", { class: "hint" }, one));

const classify = {
  title: "Classify", about: "Which of your labels a text bears, with a probability for each.",
  fields: () => ({
    input: ["Text", area("Where is my parcel?", 3)],
    labels: ["Labels", line("complaint, question, praise", { required: true }), "Separated by commas."],
    method: ["How", choice({ "": "Automatic", embedding: "By meaning", score: "By what the model finds likely" })],
  }),
  ask: ({ input, labels, method }) => post("/v1/tasks/classify", { input, labels: words(labels), ...(method && { method }) }),
  draw({ probabilities, label, label_mass: mass }) {
    const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
    return [
      el("ul", { class: "plain bars" }, sorted.map(([name, share]) => el("li", { class: name === label ? "chosen" : "" },
        el("span", {}, name), el("meter", { value: share, min: 0, max: 1, "aria-label": `Probability of ${name}` }), el("span", {}, percent(share))))),
      mass !== null && mass < 0.1 && notice("The model would say none of these labels by itself: the probabilities mean little."),
    ];
  },
};

// Places are counted in characters as Unicode has them, and JavaScript counts otherwise.
function highlighted(text, found) {
  const characters = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const one of [...found].sort((a, b) => a.start - b.start)) {
    if (one.start < at) continue;
    pieces.push(characters.slice(at, one.start).join(""),
      el("mark", {}, characters.slice(one.start, one.end).join(""), el("span", { class: "kind" }, one.type)));
    at = one.end;
  }
  return [...pieces, characters.slice(at).join("")];
}

const extract = {
  title: "Extract", about: "What a text names, each with its place.",
  fields: () => ({
    input: ["Text", area("Dear Anna Schmidt, order ORD-123456 of March 3, 2024 left Oslo. Write to help@globex.com.")],
    types: ["What to find", line("person, place, date, email", { required: true }), "Separated by commas."],
  }),
  ask: ({ input, types }) => post("/v1/tasks/extract", { input, types: words(types) }),
  draw: ({ found, num_dropped: dropped }, { input }) => [
    el("p", { class: "text marked" }, highlighted(input, found)),
    !found.length && notice("Nothing of these was found."),
    dropped > 0 && el("p", { class: "hint" }, `${dropped} were left out: they do not occur in the text.`),
  ],
};

const WAYS = { grammar_only: "Correct the grammar only", tone: "In another tone", reading_level: "For other readers", translate: "Translate", instruction: "As I say" };

const rewrite = {
  title: "Rewrite", about: "The same said otherwise, with what changed.",
  fields: () => ({
    input: ["Text", area("She go to school every days and dont like it.")],
    way: ["How", choice(WAYS)],
    what: ["In words", line("", { placeholder: "formal, a child, German, …" }), "Not for the grammar."],
  }),
  ask: ({ input, way, what }) => post("/v1/tasks/rewrite", { input, [way]: way === "grammar_only" || what }),
  draw: ({ diff, lost, warnings: said }) => [
    el("p", { class: "text marked" }, diff.map(({ op, before, after }) => op === "equal" ? after
      : [before && el("del", {}, before), after && el("ins", {}, after)])),
    lost.length > 0 && notice(`Lost: ${lost.map(({ text }) => text).join(", ")}`), warnings(said),
  ],
};

const summarize = {
  title: "Summarize", about: "What a text of any length says, in few sentences.",
  fields: () => ({
    input: ["Text", area("", 8)],
    sentences: ["Sentences, at most", line("3", { type: "number", min: 1, max: 50 })],
    focus: ["What about", line("", { placeholder: "everything" })],
  }),
  ask: ({ input, sentences, focus }) => post("/v1/tasks/summarize", {
    input, ...(sentences && { sentences: Number(sentences) }), ...(focus && { focus }),
  }),
  draw: ({ text, warnings: said }) => [el("p", { class: "text" }, text), warnings(said)],
};

const search = {
  title: "Search", about: "Passages of an index, found by meaning and by words.",
  async prepare() {
    const { indexes } = await get("/v1/indexes");
    if (!indexes.length) return notice("There is no index yet.", el("p", {}, "Make one with ", el("code", {}, "canteen index NAME FILES"), ", then come back."));
    this.indexes = Object.fromEntries(indexes.map(({ name, num_documents: count }) => [name, `${name} (${count} documents)`]));
    return null;
  },
  fields() {
    return { index: ["Index", choice(this.indexes)], query: ["Query", line("", { required: true })] };
  },
  ask: ({ index, query }) => post(`/v1/indexes/${encodeURIComponent(index)}/search`, { query }),
  draw: ({ hits }) => hits.length ? el("ol", { class: "hits" }, hits.map((hit) => el("li", {},
    el("h3", {}, hit.title || hit.document), el("p", { class: "text" }, hit.snippet.text),
    el("p", { class: "hint" }, `${hit.document}${hit.page ? `, page ${hit.page}` : ""} · score ${hit.score.toFixed(3)}`))))
    : notice("Nothing was found.", el("p", {}, "Try other words.")),
};

const TASKS = { classify, extract, rewrite, summarize, search };

async function form(task, place) {
  const missing = await task.prepare?.();
  if (missing) {
    place.replaceChildren(missing);
    return;
  }
  const fields = task.fields();
  const result = el("div", { "aria-live": "polite" });
  const submit = el("button", { type: "submit", class: "primary" }, task.title);
  async function run(event) {
    event?.preventDefault();
    const values = Object.fromEntries(Object.entries(fields).map(([name, [, control]]) => [name, control.value]));
    submit.disabled = true;
    result.replaceChildren(loading("the result"));
    try {
      const answer = await task.ask(values);
      const drawn = [task.draw(answer, values)].flat(3).filter(Boolean);
      result.replaceChildren(el("section", { class: "card", "aria-label": "Result" }, drawn,
        answer.footprint ? receipt(answer.footprint) : el("p", { class: "hint" }, "No model was needed for this.")));
    } catch (error) {
      result.replaceChildren(trouble(error, run));
    }
    submit.disabled = false;
  }
  place.replaceChildren(el("p", { class: "lead" }, task.about),
    el("div", { class: "halves" },
      el("form", { onsubmit: run }, Object.values(fields).map(([label, control, hint]) => field(label, control, hint)), submit),
      result));
}

export async function tasks(place, chosen = "classify") {
  const task = TASKS[chosen] ?? classify;
  const body = el("div", {}, loading("the form"));
  place.replaceChildren(el("h1", {}, "Tasks"),
    el("nav", { class: "tabs", "aria-label": "Tasks" }, Object.entries(TASKS).map(([name, one]) =>
      el("a", { href: `#/tasks/${name}`, "aria-current": one === task ? "page" : null }, one.title))),
    body);
  await form(task, body);
}
