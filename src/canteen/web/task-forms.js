// The forms of the tasks: what each asks for, how it is sent, how its result is drawn.

import { modelsOf } from "./api.js";
import { button, copy, el, field, notice } from "./dom.js";
import { TextOrFile } from "./files.js";
import { leading, marked } from "./marking.js";

const words = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const KINDS = 6;

export const line = (value = "", attributes = {}) => el("input", { value, ...attributes });
const optionsOf = (told) => Object.entries(told).map(([value, label]) => el("option", { value }, label));
export const choice = (options) => el("select", {}, optionsOf(options));
const warnings = (list = []) => list.map((one) => el("p", { class: "hint" }, one));

// Models of some kinds to choose from, and what asks for them again; the choice stays, where it can.
export async function modelChoice(kinds, more = {}) {
  const select = el("select");
  const refresh = async () => {
    const models = (await Promise.all(kinds.map(modelsOf))).flat();
    const chosen = select.value;
    select.replaceChildren(...optionsOf({ ...more, ...Object.fromEntries(models.map(({ name }) => [name, name])) }));
    if (models.some(({ name }) => name === chosen)) select.value = chosen;
  };
  await refresh();
  return [select, refresh];
}

// The models that write, and none for whatever the service uses.
export async function modelField() {
  const [select, refresh] = await modelChoice(["generator"], { "": "The service's own" });
  return [select, () => select.value ? { model: select.value } : {}, refresh];
}

export function bars(shares, chosen) {
  return el("ul", { class: "plain bars" }, shares.map(([name, share]) => el("li", { class: name === chosen ? "chosen" : "" },
    el("span", {}, name), el("meter", { value: share, min: 0, max: 1, "aria-label": `Probability of ${name}` }),
    el("span", {}, percent(share)))));
}

export const doubtful = (mass) => mass !== null && mass < 0.1
  && el("p", { class: "hint doubt" }, "The model would say none of these by itself: the probabilities mean little.");

const classify = {
  title: "Classify", about: "Which of your labels a text bears, with a probability for each.",
  async open() {
    const input = new TextOrFile("Text", "My parcel should have come on Monday. Where is it?", 4);
    const labels = line("complaint, question, praise", { required: true });
    const method = choice({ "": "Automatic", embedding: "By meaning", score: "By what the model finds likely" });
    const [model, named, refresh] = await modelField();
    return {
      fields: [input.node, field("Labels", labels, "Separated by commas."), field("How", method), field("Model", model)],
      body: () => ({ input: input.value, labels: words(labels.value), ...(method.value && { method: method.value }), ...named() }),
      refresh,
    };
  },
  draw: ({ probabilities, label, label_mass: mass }) => [
    bars(Object.entries(probabilities).sort(([, a], [, b]) => b - a), label), doubtful(mass),
  ],
};

const kindOf = (types) => (type) => `kind-${Math.max(0, types.indexOf(type)) % KINDS}`;

function tally(found, classes) {
  const counts = Object.entries(Object.groupBy(found, ({ type }) => type));
  return el("ul", { class: "legend" }, counts.map(([type, all]) => el("li", {},
    el("span", { class: `swatch ${classes(type)}` }), `${type} ${all.length}`)));
}

const extract = {
  title: "Extract", about: "What a text names, each with its place in it.",
  async open() {
    const input = new TextOrFile("Text", "Dear Anna Schmidt, your order ORD-123456 of March 3, 2024 left our store in Oslo "
      + "for Lisbon with Globex. Write to help@globex.com if it has not come by March 12.");
    const types = line("person, place, organisation, date, email", { required: true });
    const [model, named, refresh] = await modelField();
    return {
      fields: [input.node, field("What to find", types, "Separated by commas."), field("Model", model)],
      body: () => ({ input: input.value, types: words(types.value), ...named() }),
      refresh,
    };
  },
  draw({ found, num_dropped: dropped }, { input, types }) {
    const classes = kindOf(types);
    return [
      tally(found, classes),
      typeof input === "string"
        ? el("p", { class: "text marked" }, marked(input, found.filter(({ start }) => start !== null), (text, { type }) =>
          el("mark", { class: classes(type) }, text, el("span", { class: "kind" }, type))))
        : el("ul", { class: "quotes" }, found.map(({ type, quote }) => el("li", {}, el("mark", { class: classes(type) }, quote, el("span", { class: "kind" }, type))))),
      !found.length && notice("Nothing of these was found.", el("p", {}, "Try other words for what to find.")),
      dropped > 0 && el("p", { class: "hint" }, `${dropped} were left out: they do not occur in the text.`),
    ];
  },
};

const WAYS = { grammar_only: "Correct the grammar only", tone: "In another tone", reading_level: "For other readers", translate: "Translate", instruction: "As I say" };
const EXAMPLES = { tone: "formal", reading_level: "a child", translate: "German", instruction: "Make it shorter." };

function changed(diff) {
  const count = diff.filter(({ op }) => op !== "equal").length;
  return count === 0 ? "Nothing was changed." : count === 1 ? "1 change" : `${count} changes`;
}

const rewrite = {
  title: "Rewrite", about: "The same said otherwise, with what changed word by word.", streams: true,
  async open() {
    const input = new TextOrFile("Text", "She go to school every days and dont like it. Yesterday she have forgot hers books.", 4);
    const way = choice(WAYS);
    const what = line("", { required: true });
    const [model, named, refresh] = await modelField();
    const whatField = field("In words", what);
    const follow = () => {
      whatField.hidden = way.value === "grammar_only";
      what.required = !whatField.hidden;
      what.placeholder = EXAMPLES[way.value] ?? "";
    };
    way.addEventListener("change", follow);
    follow();
    return {
      fields: [input.node, field("How", way), whatField, field("Model", model)],
      body: () => ({ input: input.value, [way.value]: way.value === "grammar_only" || what.value, ...named() }),
      refresh,
    };
  },
  draw({ text, diff, lost, warnings: said }) {
    const copying = button("Copy", () => copy(text, copying), { class: "quiet" });
    return [
      el("div", { class: "card-head" }, el("span", { class: "badge" }, changed(diff)), copying),
      el("p", { class: "text marked" }, diff.map(({ op, before, after }) => op === "equal" ? after
        : [before && el("del", {}, before), after && el("ins", {}, after)])),
      lost.length > 0 && notice(`Lost: ${lost.map(({ text: one }) => one).join(", ")}`), warnings(said),
    ];
  },
};

// The summary with a number behind each sentence, and the text with the sentences they lead to.
function cited(text, citations, source) {
  const places = new Map(citations.map((one) => [`${one.start}-${one.end}`, one]));
  const numbers = new Map([...places.keys()].map((place, at) => [place, at + 1]));
  const marks = new Map();
  const pieces = [];
  let at = 0;
  for (const one of citations) {
    const place = `${one.start}-${one.end}`;
    const end = text.indexOf(one.sentence, at) + one.sentence.length;
    if (end < at + one.sentence.length) continue;
    const last = text.lastIndexOf(" ", end) + 1;
    const number = leading(numbers.get(place), `Where this is from, ${numbers.get(place)}`, () => marks.get(place));
    // No line begins with a number.
    pieces.push(text.slice(at, Math.max(at, last)), el("span", { class: "together" }, text.slice(Math.max(at, last), end), number));
    at = end;
  }
  const mark = (quote, one) => {
    const node = el("mark", { class: "source", tabindex: "-1" }, el("span", { class: "number" }, numbers.get(`${one.start}-${one.end}`)), quote);
    marks.set(`${one.start}-${one.end}`, node);
    return node;
  };
  return [
    el("p", { class: "text summary" }, pieces, text.slice(at)),
    citations.length > 0 && el("div", { class: "source-text", "data-lit": "" }, el("h3", {}, "Where it stands"),
      typeof source === "string" ? el("p", { class: "text" }, marked(source, [...places.values()], mark))
        : el("ul", { class: "quotes" }, [...places.values()].map((one) => el("li", {}, mark(one.quote, one))))),
  ];
}

const STORY = "The canteen on Mill Street opened in 1962 to feed the workers of the paper mill. When the mill closed in 1998, "
  + "the cooks bought the building together and kept it open for the neighbourhood. Today it serves four hundred meals a day, "
  + "most of them soup. Its kitchen runs on heat from the river, which the cooks measure each morning. "
  + "Last year the canteen began to print on every receipt how much water and energy a meal took. "
  + "Guests now ask for the figures before they ask for the menu.";

const summarize = {
  title: "Summarize", about: "What a text of any length says, in few sentences that lead back to it.", streams: true,
  async open() {
    const input = new TextOrFile("Text", STORY, 10);
    const sentences = line("2", { type: "number", min: 1, max: 50 });
    const focus = line("", { placeholder: "everything" });
    const [model, named, refresh] = await modelField();
    return {
      fields: [input.node, el("div", { class: "row" }, field("Sentences, at most", sentences), field("What about", focus)), field("Model", model)],
      body: () => ({
        input: input.value, citations: true, ...(sentences.value && { sentences: Number(sentences.value) }),
        ...(focus.value && { focus: focus.value }), ...named(),
      }),
      refresh,
    };
  },
  draw: ({ text, citations, warnings: said, parts }, { input }) => [cited(text, citations, input),
    parts > 1 && el("p", { class: "hint" }, `The text was read in ${parts} parts.`), warnings(said)],
};

const rank = {
  title: "Rank", about: "Texts by how well they answer a query.", path: "/v1/rerank", varies: "documents",
  async open() {
    const query = line("Which soup is vegan?", { required: true });
    const texts = el("textarea", { rows: 5, required: true,
      value: "Our lentil soup is made without meat, milk or eggs.\nThe canteen opens at eleven.\nGoulash is a stew of beef." });
    const [model, refresh] = await modelChoice(["reranker", "embedder", "generator"]);
    return {
      fields: [field("Query", query), field("Texts", texts, "One on each line."), field("Model", model)],
      body: () => ({ model: model.value, query: query.value, documents: texts.value.split("\n").filter((one) => one.trim()) }),
      refresh,
    };
  },
  draw: ({ results }, { documents }) => el("ul", { class: "plain bars ranked" }, results.map(({ index, relevance_score: score }) => el("li", {},
    el("span", {}, documents[index]), el("meter", { value: score, min: 0, max: 1, "aria-label": "Relevance" }), el("span", {}, score.toFixed(3))))),
};

export const FORMS = { summarize, rewrite, classify, extract, rank };
