// Decisions: questions about one text, each answered with probabilities.

import { button, el, field } from "./dom.js";
import { bars, choice, doubtful, line, modelChoice } from "./task-forms.js";

const TYPES = { predicate: "Yes or no", choice: "One of several", score: "On a scale" };
const FIRST = [
  ["predicate", "Is the customer angry?", ""],
  ["choice", "Who handles it?", "shipping, billing, nobody"],
  ["score", "How urgent is it?", "low, medium, high"],
];
const OPTIONS = {
  choice: (names) => ({ choices: names.map((value) => ({ value })) }),
  score: (names) => ({ levels: names.map((label) => ({ label })) }),
};

// A question's row; `gone` takes it out of the list.
function row([type, instructions, options], gone) {
  const kind = choice(TYPES);
  kind.value = type;
  const asked = line(instructions, { required: true });
  const among = line(options, { required: true });
  const amongField = field("Options", among, "Separated by commas; of a scale the lowest first.");
  const follow = () => {
    amongField.hidden = kind.value === "predicate";
    among.required = !amongField.hidden;
  };
  kind.addEventListener("change", follow);
  follow();
  const one = {
    node: el("div", { class: "question" }, field("Question", asked), el("div", { class: "row" }, field("Answer", kind), amongField),
      button("Take it out", () => gone(one), { class: "quiet" })),
    body: () => ({
      type: kind.value, instructions: asked.value,
      ...OPTIONS[kind.value]?.(among.value.split(",").map((name) => name.trim()).filter(Boolean)),
    }),
  };
  return one;
}

function drawn({ answers, label_mass: masses }, { questions }) {
  return answers.map((answer, at) => el("section", { class: "decided" },
    el("h3", {}, questions[at].instructions),
    answer.type === "predicate" ? bars([["yes", answer.probability], ["no", 1 - answer.probability]], answer.probability > 0.5 ? "yes" : "no")
      : bars(answer.probabilities.map((one) => [String(one.label ?? one.value), one.probability]), String(answer.choice)),
    answer.type === "score" && el("p", { class: "hint" }, `On the scale: ${answer.score.toFixed(2)} of ${answer.probabilities.length - 1}`),
    doubtful(masses[at])));
}

export const decide = {
  title: "Decide", about: "Questions about one text, each answered with probabilities.", path: "/v1/decisions",
  async open() {
    const input = el("textarea", { rows: 3, required: true, value: "My parcel 4711 has not come, and nobody answers the phone." });
    const [model, refresh] = await modelChoice(["generator"]);
    const list = el("div", { class: "questions" });
    const rows = [];
    const gone = (one) => {
      if (rows.length > 1) rows.splice(rows.indexOf(one), 1)[0].node.remove();
    };
    const add = (told) => {
      rows.push(row(told, gone));
      list.append(rows.at(-1).node);
    };
    FIRST.forEach(add);
    return {
      fields: [field("Text", input), list, button("Add a question", () => add(["predicate", "", ""])), field("Model", model)],
      body: () => ({ model: model.value, input: input.value, questions: rows.map((one) => one.body()) }),
      refresh,
    };
  },
  draw: drawn,
};
