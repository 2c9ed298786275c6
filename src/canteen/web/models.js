// Models: what can be pulled, what is here and in memory; pull, load, unload and delete.

import { call, get, post, stored } from "./api.js";
import { button, confirmed, el, field, loading, notice, table, trouble } from "./dom.js";
import { bytes, weights } from "./figures.js";
import { one as details } from "./model.js";
import { forgetModels } from "./play.js";
import { Work } from "./work.js";

const KEPT_UNTIL_UNLOADED = -1;
const DOES = { generator: "writes", embedder: "embeds", reranker: "ranks" };

// A model without a prompt is loaded, or with 0 let go.
function keep({ name, kind }, keepAlive) {
  const body = { model: name, keep_alive: keepAlive };
  return kind === "embedder" ? post("/api/embed", { ...body, input: [] }) : post("/api/generate", { ...body, stream: false });
}

export const light = (one) => el("span", { class: "dot state", "data-status": one.loaded ? "good" : "" },
  one.state?.state?.replaceAll("_", " ") ?? (one.upstream ? "elsewhere" : "on disk"));

class Models {
  constructor() {
    this.said = el("p", { class: "hint", role: "status" });
    this.wrong = el("div");
    this.list = el("div");
    this.offers = el("div");
    this.name = el("input", { placeholder: "smollm2:135m or hf:…", spellcheck: "false", required: true });
    this.pulling = el("button", { type: "submit", class: "primary" }, "Pull");
    this.work = new Work("Pull again to go on where it was.");
  }

  async open(place) {
    place.replaceChildren(
      el("h1", {}, "Models"),
      el("p", { class: "lead" }, "What is in the store, and what can be. A model is loaded when it is first asked, and let go when it is idle."),
      this.said, this.wrong, this.list,
      el("section", { class: "card", "aria-label": "Pull" },
        el("h2", {}, "More models"), this.offers,
        el("form", { class: "bar tight", onsubmit: (event) => { event.preventDefault(); this.pull(this.name.value.trim()); } },
          field("Pull a model", this.name), this.pulling), this.work.node));
    this.list.replaceChildren(loading("the models"));
    await this.draw();
  }

  async draw() {
    await Promise.all([this.drawStore(), this.drawMenu()]);
  }

  async drawStore() {
    try {
      const models = await stored();
      this.list.replaceChildren(models.length ? el("section", { class: "card" }, this.table(models))
        : notice("The store is empty.", el("p", {}, "Pull smollm2:135m, the small one below, to begin.")));
    } catch (error) {
      this.list.replaceChildren(trouble(error, () => this.drawStore()));
    }
  }

  async drawMenu() {
    try {
      const { menu } = await get("/v1/menu");
      this.offers.replaceChildren(el("ul", { class: "offers" }, menu.map((one) => this.offer(one))));
    } catch {
      // What is wrong is told above, for the store.
      this.offers.replaceChildren();
    }
  }

  offer({ name, about, license, download_bytes: size, is_here: isHere }) {
    return el("li", {}, el("h3", {}, name), el("p", {}, about),
      el("p", { class: "hint" }, [license, size ? `${bytes(size)} to fetch` : "nothing to fetch"].join(" · ")),
      isHere ? el("span", { class: "badge", "data-status": "UP" }, "in the store")
        : button("Pull", () => this.pull(name), { "aria-label": `Pull ${name}` }));
  }

  table(models) {
    return table("Models", ["Name", "State", "Kind", "Size", "In memory", "Actions"], models.map((one) => [
      el("a", { href: `#/models/${encodeURIComponent(one.name)}` }, one.name), light(one),
      el("span", {}, DOES[one.kind], el("span", { class: "span" }, weights(one))),
      one.size_bytes ? bytes(one.size_bytes) : "–", one.loaded ? bytes(one.loaded.size) : "–", this.actions(one),
    ]));
  }

  actions(one) {
    const moving = one.kind === "reranker" ? null : one.loaded
      ? button("Unload", () => this.doing(`Unloading ${one.name}`, () => keep(one, 0)), { "aria-label": `Unload ${one.name}` })
      : button("Load", () => this.doing(`Loading ${one.name}`, () => keep(one, KEPT_UNTIL_UNLOADED)), { "aria-label": `Load ${one.name}` });
    return el("div", { class: "actions" }, moving,
      button("Delete", () => this.remove(one.name), { class: "quiet", "aria-label": `Delete ${one.name}` }));
  }

  async remove(model) {
    if (await confirmed(`Delete ${model} from the store? To have it again it must be pulled again.`, "Delete")) {
      await this.doing(`Deleting ${model}`, () => call("/api/delete", { method: "DELETE", body: { model } }));
    }
  }

  async doing(what, work) {
    this.wrong.replaceChildren();
    this.said.textContent = `${what} …`;
    for (const one of this.list.querySelectorAll("button")) one.disabled = true;
    try {
      await work();
      this.said.textContent = `${what}: done.`;
      forgetModels();
    } catch (error) {
      this.said.textContent = "";
      this.wrong.replaceChildren(trouble(error));
    }
    await this.draw();
  }

  async pull(model) {
    if (this.pulling.disabled) return;
    this.pulling.disabled = true;
    if (await this.work.run(`Pulling ${model}`, "/api/pull", { model })) forgetModels();
    this.pulling.disabled = false;
    await this.draw();
  }
}

// One for as long as the tab is there: a pull goes on while other views are looked at.
const all = new Models();

export const models = (place, name) => name ? details(place, name) : all.open(place);
