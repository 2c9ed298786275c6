// Models: what can be pulled, what is here and in memory; pull, load, unload and delete.

import { get, stored } from "./api.js";
import { button, el, field, loading, notice, pause, table, trouble } from "./dom.js";
import { bytes, weights } from "./figures.js";
import { latest } from "./latest.js";
import { NameFilter, redraw } from "./lists.js";
import { one as details } from "./model.js";
import { forgetModels } from "./play.js";
import { Keeping, light, watched } from "./standing.js";
import { Work } from "./work.js";

const DOES = { generator: "writes", embedder: "embeds", reranker: "ranks" };

// A row stays as long as its model does, and so do its focus and what was said in it.
class Row {
  constructor(one, changed, gone) {
    this.name = one.name;
    this.state = el("span");
    this.memory = el("span");
    this.keeping = new Keeping(one, changed, gone);
    this.cells = [
      el("a", { href: `#/models/${encodeURIComponent(one.name)}` }, one.name), this.state,
      el("span", {}, DOES[one.kind], el("span", { class: "span" }, weights(one))),
      one.size_bytes ? bytes(one.size_bytes) : "–", this.memory, this.keeping.node,
    ];
  }

  draw(one) {
    this.state.replaceChildren(light(one));
    this.memory.textContent = one.loaded ? bytes(one.loaded.size) : "–";
    this.keeping.draw(one);
  }

  get node() {
    return this.state.closest("tr");
  }
}

class Models {
  constructor() {
    this.said = el("p", { class: "hint", role: "status" });
    this.wrong = el("div");
    this.list = el("div", { tabindex: "-1" });
    this.filter = new NameFilter("Find a model");
    this.rows = new Map();
    this.askingMenu = latest();
    this.asked = this.answered = 0;
    this.offers = el("div", { tabindex: "-1" });
    this.menu = el("details", {}, el("summary", {}, "On the menu"), this.offers);
    this.name = el("input", { placeholder: "smollm2:135m or hf:…", spellcheck: "false", required: true });
    this.pulling = el("button", { type: "submit", class: "primary" }, "Pull");
    this.work = new Work("Pull again to go on where it was.");
  }

  async open(place) {
    place.replaceChildren(
      el("h1", {}, "Models"),
      el("p", { class: "lead" }, "What is in the store, and what can be. A model is loaded when it is first asked, and let go when it is idle."),
      el("section", { class: "card", "aria-label": "Pull" },
        el("form", { class: "bar tight", onsubmit: (event) => { event.preventDefault(); this.pull(this.name.value.trim()); } },
          field("Pull a model", this.name), this.pulling), this.work.node, this.menu),
      this.said, this.wrong, this.filter.node, this.list);
    // What was said in a row is forgotten, where nothing goes on in it.
    for (const [id, row] of this.rows) if (!row.keeping.isBusy) this.rows.delete(id);
    this.drawn = undefined;
    this.list.replaceChildren(loading("the models"));
    const leave = watched(() => this.look());
    await Promise.all([this.look(), this.drawMenu()]);
    return leave;
  }

  // What was wrong once is forgotten when it is right again.
  async look() {
    const turn = ++this.asked;
    let models;
    try {
      models = await stored();
      this.wrong.replaceChildren();
    } catch (error) {
      this.list.querySelector(".loading")?.remove();
      if (!this.wrong.hasChildNodes()) this.wrong.append(trouble(error, () => this.look()));
      return;
    }
    // A late answer is of an earlier time.
    if (turn < this.answered) return;
    this.answered = turn;
    this.draw(models);
  }

  draw(models) {
    this.rows = new Map(models.map((one) => {
      const id = `${one.name} ${one.digest}`;
      const row = this.rows.get(id) ?? this.row(one);
      row.draw(one);
      return [id, row];
    }));
    const drawn = [...this.rows.keys()].join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    if (!models.length) this.menu.open = true;
    redraw(this.list, models.length ? el("section", { class: "card" }, this.table())
      : notice("The store is empty.", el("p", {}, "Pull smollm2:135m, the small one on the menu, to begin.")));
    this.filter.over([...this.rows.values()].map(({ name, node }) => [name, node]));
  }

  row(one) {
    const gone = async (said) => {
      this.said.textContent = said;
      await Promise.all([this.look(), this.drawMenu()]);
    };
    return new Row(one, () => this.look(), gone);
  }

  table() {
    return table("Models", ["Name", "State", "Kind", "Size", "In memory", "Actions"], [...this.rows.values()].map(({ cells }) => cells));
  }

  async drawMenu() {
    const isLast = this.askingMenu();
    try {
      const { menu } = await get("/v1/menu");
      if (!isLast()) return;
      redraw(this.offers, el("ul", { class: "offers" }, menu.map((one) => this.offer(one))));
      this.pause();
    } catch {
      // What is wrong is told below, for the store.
      if (isLast()) this.offers.replaceChildren();
    }
  }

  offer({ name, about, license, download_bytes: size, is_here: isHere }) {
    return el("li", {}, el("h3", {}, name), el("p", {}, about),
      el("p", { class: "hint" }, [license, size ? `${bytes(size)} to fetch` : "nothing to fetch"].join(" · ")),
      isHere ? el("span", { class: "badge", "data-status": "UP" }, "in the store")
        : button("Pull", () => this.pull(name), { "aria-label": `Pull ${name}` }));
  }

  // One is pulled at a time.
  pause() {
    for (const one of [this.pulling, ...this.offers.querySelectorAll("button")]) pause(one, this.isPulling);
  }

  async pull(model) {
    if (this.isPulling) return;
    this.isPulling = true;
    this.pause();
    if (await this.work.run(`Pulling ${model}`, "/api/pull", { model })) forgetModels();
    this.isPulling = false;
    this.pause();
    await Promise.all([this.look(), this.drawMenu()]);
  }
}

// One for as long as the tab is there: a pull goes on while other views are looked at.
const all = new Models();

export const models = (place, name) => name ? details(place, name) : all.open(place);
