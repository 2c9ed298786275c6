// Models: what is here and in memory; pull, load, unload and delete.

import { call, details, get, objects, post } from "./api.js";
import { button, confirmed, el, field, loading, notice, table, trouble } from "./dom.js";
import { bytes } from "./figures.js";
import { forgetModels } from "./play.js";

const KEPT_UNTIL_UNLOADED = -1;

async function all() {
  const [{ models }, ps] = await Promise.all([get("/api/tags"), get("/api/ps")]);
  const loaded = new Map(ps.models.map((one) => [one.name, one]));
  const shown = await Promise.all(models.map(({ model }) => details(model)));
  return models.map((one, at) => ({ ...one, loaded: loaded.get(one.name), state: ps.states?.[one.name], shown: shown[at] }));
}

// A model without a prompt is loaded, or with 0 let go.
function keep({ name, shown }, keepAlive) {
  const isEmbedder = shown.capabilities.includes("embedding");
  const body = { model: name, keep_alive: keepAlive };
  return isEmbedder ? post("/api/embed", { ...body, input: [] }) : post("/api/generate", { ...body, stream: false });
}

class Models {
  constructor(place) {
    this.place = place;
    this.said = el("p", { class: "hint", role: "status" });
    this.wrong = el("div");
    this.list = el("div");
    this.bar = el("progress", { "aria-label": "Pulling", hidden: true });
    this.name = el("input", { placeholder: "smollm2:135m", spellcheck: "false", required: true });
    this.pulling = el("button", { type: "submit", class: "primary" }, "Pull");
    this.stopping = button("Stop", () => this.abort.abort(), { hidden: true });
  }

  async open() {
    this.place.replaceChildren(
      el("h1", {}, "Models"),
      el("p", { class: "lead" }, "What is in the store. A model is loaded when it is first asked, and let go when it is idle."),
      el("form", { class: "bar", onsubmit: (event) => { event.preventDefault(); this.pull(); } },
        field("Pull a model", this.name), this.pulling, this.stopping),
      this.bar, this.said, this.wrong, this.list);
    this.list.replaceChildren(loading("the models"));
    await this.draw();
  }

  async draw() {
    try {
      const models = await all();
      this.list.replaceChildren(models.length ? el("section", { class: "card" }, this.table(models))
        : notice("The store is empty.", el("p", {}, "Pull smollm2:135m to begin.")));
    } catch (error) {
      this.list.replaceChildren(trouble(error, () => this.draw()));
    }
  }

  table(models) {
    return table("Models", ["Name", "State", "Kind", "Size", "In memory", "Actions"], models.map((one) => [
      el("span", {}, one.name, el("span", { class: "span mono" }, one.digest.slice(0, 12))),
      el("span", { class: "dot state", "data-status": one.loaded ? "good" : "" }, one.state?.state?.replaceAll("_", " ") ?? "on disk"),
      el("span", {}, one.shown.capabilities.join(", "), el("span", { class: "span" }, [one.details.parameter_size, one.details.quantization_level].filter((text) => text && text !== "0" && text !== "none").join(", "))),
      bytes(one.size), one.loaded ? bytes(one.loaded.size) : "–", this.actions(one),
    ]));
  }

  actions(one) {
    const moving = one.loaded
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

  async pull() {
    const model = this.name.value.trim();
    this.abort = new AbortController();
    this.busy(true);
    await this.doing(`Pulling ${model}`, async () => {
      try {
        for await (const step of objects("/api/pull", { model }, this.abort.signal)) this.step(step);
      } catch (error) {
        if (error.name !== "AbortError") throw error;
        throw Object.assign(new Error("The pull was stopped."), { title: "Stopped.", advice: "Pull again to go on where it was." });
      } finally {
        this.busy(false);
      }
    });
  }

  step({ status, total, completed }) {
    this.said.textContent = total ? `${status}: ${bytes(completed ?? 0)} of ${bytes(total)}` : status;
    if (total) {
      this.bar.max = total;
      this.bar.value = completed ?? 0;
    } else this.bar.removeAttribute("value");
  }

  busy(isBusy) {
    this.bar.hidden = !isBusy;
    this.bar.removeAttribute("value");
    this.pulling.disabled = isBusy;
    this.stopping.hidden = !isBusy;
  }
}

export const models = (place) => new Models(place).open();
