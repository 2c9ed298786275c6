// How a model of the store stands, and what can be done about it: load it, let it go, delete it.

import { call, post } from "./api.js";
import { button, confirmed, el, pause, trouble } from "./dom.js";
import { bytes, count, plain, weights } from "./figures.js";
import { forgetModels } from "./play.js";

const KEPT_UNTIL_UNLOADED = -1;
// It may be loaded, let go and deleted elsewhere, too.
const EVERY_MS = 3000;

// Looks again and again while somebody sees it; ends with what is given back, or when a key is
// wanted, which is asked for once.
export function watched(look) {
  const timer = setInterval(() => { if (!document.hidden) look(); }, EVERY_MS);
  const end = () => {
    clearInterval(timer);
    document.removeEventListener("key-wanted", end);
  };
  document.addEventListener("key-wanted", end);
  return end;
}

// A model without a prompt is loaded, or with 0 let go.
function keep({ name, kind }, keepAlive) {
  const body = { model: name, keep_alive: keepAlive };
  return kind === "embedder" ? post("/api/embed", { ...body, input: [] }) : post("/api/generate", { ...body, stream: false });
}

export const light = (one) => el("span", { class: "dot state", "data-status": one.loaded ? "good" : "" },
  one.state?.state?.replaceAll("_", " ") ?? (one.upstream ? "elsewhere" : "on disk"));

// The buttons of a model, and beside them what came of it.
export class Keeping {
  // `changed()` is called when it has been loaded or let go, `gone(said)` when it has been deleted.
  constructor(one, changed, gone) {
    Object.assign(this, { changed, gone, isBusy: false });
    this.moving = button("", () => this.move());
    this.deleting = button("Delete", () => this.remove(), { class: "quiet", "aria-label": `Delete ${one.name}` });
    this.said = el("p", { class: "hint", role: "status" });
    this.wrong = el("div");
    this.node = el("div", { class: "keeping" }, el("div", { class: "actions" }, this.moving, this.deleting), this.said, this.wrong);
    this.draw(one);
  }

  draw(one) {
    this.one = one;
    this.moving.textContent = one.loaded ? "Unload" : "Load";
    this.moving.setAttribute("aria-label", `${this.moving.textContent} ${one.name}`);
  }

  move() {
    const { name, loaded } = this.one;
    return this.doing(`${loaded ? "Unloading" : "Loading"} ${name}`, () => keep(this.one, loaded ? 0 : KEPT_UNTIL_UNLOADED), (said) => {
      this.said.textContent = said;
      return this.changed();
    });
  }

  async remove() {
    const { name } = this.one;
    if (this.isBusy || !await confirmed(`Delete ${name} from the store? To have it again it must be pulled again.`, "Delete")) return;
    await this.doing(`Deleting ${name}`, () => call("/api/delete", { method: "DELETE", body: { model: name } }), this.gone);
  }

  async doing(what, work, after) {
    if (this.isBusy) return;
    this.busy(true);
    this.wrong.replaceChildren();
    this.said.textContent = `${what} …`;
    try {
      await work();
      forgetModels();
      await after(`${what}: done.`);
    } catch (error) {
      this.said.textContent = "";
      this.wrong.replaceChildren(trouble(error));
    }
    this.busy(false);
  }

  busy(isBusy) {
    this.isBusy = isBusy;
    for (const one of [this.moving, this.deleting]) pause(one, isBusy);
  }
}

// What a model is, on its own page.
export class Facts {
  constructor(one, changed, gone) {
    this.figures = el("dl", { class: "figures" });
    this.keeping = new Keeping(one, changed, gone);
    this.node = el("section", { class: "card", "aria-label": "What it is" }, this.figures, el("p", { class: "hint mono" }, one.digest), this.keeping.node);
    this.draw(one);
  }

  draw(one) {
    // What has not changed is not drawn again.
    const text = JSON.stringify(one);
    if (text === this.drawn) return;
    this.drawn = text;
    this.keeping.draw(one);
    this.figures.replaceChildren(
      plain("State", light(one), one.loaded ? `${bytes(one.loaded.size)} in memory` : ""),
      plain("Weights", weights(one) || "none", one.size_bytes ? `${bytes(one.size_bytes)} on disk` : ""),
      plain("Context", `${count(one.context_length)} tokens`), plain("Engine", one.engine, one.architecture),
      plain("Licence", one.license || "not said"), plain("Since", new Date(one.modified_at).toLocaleDateString("en", { dateStyle: "medium" })));
  }
}
