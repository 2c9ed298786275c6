// Search, and the indexes that are searched: made from files or texts, and deleted.

import { call, get, post } from "./api.js";
import { button, confirmed, el, field, notice, trouble } from "./dom.js";
import { base64, dropping } from "./files.js";
import { count } from "./figures.js";
import { leading, withWords } from "./marking.js";
import { choice, line } from "./task-forms.js";

const pathOf = (name, rest = "") => `/v1/indexes/${encodeURIComponent(name)}${rest}`;
const many = (number, what) => number === 1 ? `1 ${what}` : `${count(number)} ${what}s`;

function hit(one, query) {
  const { document, title, page, headings, snippet, score } = one;
  return el("li", { tabindex: "-1" }, el("h3", {}, title || document),
    el("p", { class: "text" }, withWords(snippet.text, query)),
    el("p", { class: "hint" }, [document, page && `page ${page}`, headings.join(" › "), `score ${score.toFixed(3)}`].filter(Boolean).join(" · ")));
}

// An answer, of which each [1] leads to what it rests on.
function answer({ text, by, citations }) {
  const quotes = new Map(citations.map(({ number, document, quote }) => [String(number),
    el("li", { tabindex: "-1" }, el("span", { class: "number" }, number), `“${quote}” `, el("span", { class: "hint" }, document))]));
  if (by === "nobody") return notice("The passages do not answer this.");
  const pieces = text.split(/\[(\d+)\]/).map((piece, at) =>
    at % 2 && quotes.has(piece) ? leading(piece, `Where this is from, ${piece}`, () => quotes.get(piece)) : piece);
  return el("div", { class: "answered", "data-lit": "" }, el("p", { class: "text summary" }, pieces),
    quotes.size > 0 && el("ul", { class: "quotes" }, [...quotes.values()]));
}

const drawn = ({ hits, answer: written }, { query }) => [
  written && answer(written),
  hits.length ? el("ol", { class: "hits" }, hits.map((one) => hit(one, query)))
    : notice("Nothing was found.", el("p", {}, "Try other words.")),
];

// What a pasted text is called: its first words.
const nameOf = (text) => text.trim().split(/\s+/).slice(0, 5).join(" ").slice(0, 60);

// Makes an index of what was brought, a document at a time, and tells how it goes.
class Builder {
  brought = [];

  // `changed(name)` is called when there is another index, or more in one.
  constructor(changed) {
    this.changed = changed;
    this.name = line("", { required: true, placeholder: "manuals", pattern: "[a-z0-9][a-z0-9._\\-]*", title: "small letters, digits, . _ -" });
    this.text = el("textarea", { rows: 3, placeholder: "Or paste a text" });
    this.list = el("ul", { class: "quotes" });
    this.said = el("div", { "aria-live": "polite" });
    this.submit = el("button", { type: "submit", class: "primary" }, "Build");
    this.node = el("form", { class: "card", "aria-label": "Build an index", onsubmit: (event) => { event.preventDefault(); this.build(); } },
      el("h2", {}, "Build an index"), field("Name", this.name, "Of a new index, or of one to add to."),
      dropping((files) => this.bring(files), [field("Texts", this.text), this.list], { multiple: true }),
      el("div", { class: "actions" }, this.submit), this.said);
  }

  bring(files) {
    this.brought.push(...files);
    this.list.replaceChildren(...this.brought.map((file) => el("li", {}, file.name)));
  }

  async *given() {
    if (this.text.value.trim()) yield { text: this.text.value, id: nameOf(this.text.value) };
    for (const file of this.brought) yield { name: file.name, media_type: file.type, data: await base64(file) };
  }

  async build() {
    const total = this.brought.length + Boolean(this.text.value.trim());
    if (!total) {
      this.said.replaceChildren(notice("There is nothing to put in.", el("p", {}, "Choose files, drop them here, or paste a text.")));
      return;
    }
    this.submit.disabled = true;
    try {
      await this.put(this.name.value, total);
    } catch (error) {
      this.said.replaceChildren(trouble(error, () => this.build()));
    }
    this.submit.disabled = false;
  }

  async put(name, total) {
    const progress = el("progress", { max: total, value: 0, "aria-label": "Documents that are in" });
    const told = el("p", { class: "hint" });
    const failed = el("ul", { class: "quotes" });
    this.said.replaceChildren(progress, told, failed);
    await call(pathOf(name), { method: "PUT", body: {} });
    let [done, passages] = [0, 0];
    for await (const one of this.given()) {
      told.textContent = `${done} of ${many(total, "document")}: ${one.name ?? "the text"} …`;
      const { results } = await post(pathOf(name, "/documents"), { documents: [one] });
      passages += results.reduce((sum, result) => sum + result.passages, 0);
      for (const { id, error } of results.filter((result) => result.status === "failed")) failed.append(el("li", {}, `${id}: ${error.detail}`));
      progress.value = ++done;
    }
    told.textContent = `${many(total, "document")} done, ${many(passages, "passage")} in ${name}.`;
    this.brought = [];
    this.text.value = "";
    this.list.replaceChildren();
    this.changed(name);
  }
}

function shelf(indexes, remove) {
  return el("ul", { class: "shelf" }, indexes.map((one) => el("li", {},
    el("span", {}, el("strong", {}, one.name), " ", el("span", { class: "hint" },
      one.problem ?? `${many(one.num_documents, "document")}, ${many(one.num_passages, "passage")}, ${one.embedder}`)),
    button("Delete", () => remove(one), { class: "quiet", "aria-label": `Delete ${one.name}` }))));
}

async function open() {
  const index = el("select", { required: true });
  const query = line("", { required: true, type: "search" });
  const mode = choice({ hybrid: "By meaning and words", vector: "By meaning", text: "By words" });
  const asking = el("input", { type: "checkbox" });
  const held = el("section", { class: "card", "aria-label": "Indexes" });
  const empty = notice("There is no index yet.", el("p", {}, "Build one below from files or texts, or with ",
    el("code", {}, "canteen index NAME FILES"), "."));
  async function look(wanted) {
    const { indexes } = await get("/v1/indexes");
    // Somebody may have chosen another meanwhile.
    const chosen = wanted ?? index.value;
    const usable = indexes.filter(({ problem }) => !problem);
    index.replaceChildren(...usable.map(({ name }) => el("option", { value: name, selected: name === chosen }, name)));
    empty.hidden = indexes.length > 0;
    held.hidden = !indexes.length;
    held.replaceChildren(el("h2", {}, "Indexes"), shelf(indexes, remove));
  }
  async function remove({ name }) {
    if (!await confirmed(`Delete the index ${name} with all that is in it?`, "Delete")) return;
    try {
      await call(pathOf(name), { method: "DELETE" });
      await look();
    } catch (error) {
      held.append(trouble(error));
    }
  }
  const builder = new Builder(look);
  await look();
  return {
    fields: [empty, field("Index", index), field("Query", query), field("How", mode),
      el("label", { class: "check" }, asking, " Let the model answer from what is found")],
    beside: [held, builder.node],
    path: () => pathOf(index.value, "/search"),
    body: () => ({ query: query.value, ...(mode.value !== "hybrid" && { mode: mode.value }), ...(asking.checked && { answer: true }) }),
    refresh: () => look(),
  };
}

export const search = {
  title: "Search", about: "Passages of your documents, found by meaning and by words.",
  blank: "Ask something of an index; the passages that answer come here.", varies: "query", open, draw: drawn,
};
