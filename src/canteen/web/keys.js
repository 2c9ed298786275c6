// Keys: who may call, for who administers.

import { call, get, key, post } from "./api.js";
import { button, confirmed, copy, el, field, loading, notice, table, trouble } from "./dom.js";

const SCOPES = {
  "llm:chat": "chat", "llm:embed": "embed", "llm:tasks": "tasks and search", "llm:footprint": "see the footprint", "llm:admin": "administer",
};
const USUAL = ["llm:chat", "llm:embed", "llm:tasks"];

const day = (seconds) => seconds ? new Date(seconds * 1000).toLocaleDateString("en") : "never";

class Keys {
  constructor(place) {
    this.place = place;
    this.told = el("div", { "aria-live": "polite" });
    this.list = el("div");
    this.name = el("input", { required: true, placeholder: "shop" });
    this.boxes = Object.entries(SCOPES).map(([scope, label]) => {
      const box = el("input", { type: "checkbox", value: scope });
      box.checked = USUAL.includes(scope);
      return [box, el("label", { class: "check" }, box, ` ${label}`)];
    });
  }

  async open() {
    this.place.replaceChildren(
      el("h1", {}, "Keys"),
      el("p", { class: "lead" }, "Who may call, and for what. A secret is shown once, when it is made."),
      el("form", { class: "card", onsubmit: (event) => { event.preventDefault(); this.make(); } },
        el("h2", {}, "Make a key"), field("Whose, or what for", this.name),
        el("fieldset", {}, el("legend", {}, "It may"), this.boxes.map(([, label]) => label)),
        el("button", { type: "submit", class: "primary" }, "Make key")),
      this.told, this.list);
    this.list.replaceChildren(loading("the keys"));
    await this.draw();
  }

  async draw() {
    try {
      const { keys } = await get("/v1/keys");
      // With the first key all others are shut out, so it had better be one's own.
      if (!keys.length) for (const [box] of this.boxes) box.checked = true;
      this.list.replaceChildren(keys.length ? el("section", { class: "card" }, this.table(keys))
        : notice("There is no key yet, and everybody who reaches this service may call.",
          el("p", {}, "With the first one, every caller needs one: make it for yourself, with all it may.")));
    } catch (error) {
      this.list.replaceChildren(trouble(error, () => this.draw()));
    }
  }

  table(keys) {
    return table("Keys", ["Name", "May", "Limits", "Made", "Ends", "Actions"], keys.map((one) => [
      el("span", {}, one.name, el("span", { class: "span mono" }, one.id)),
      one.scopes.map((scope) => SCOPES[scope] ?? scope).join(", "),
      Object.entries(one.limits).map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`).join(", ") || "none",
      day(one.created_s), one.revoked_s ? `revoked ${day(one.revoked_s)}` : day(one.expires_s),
      one.revoked_s ? "–" : el("div", { class: "actions" },
        button("Rotate", () => this.rotate(one), { "aria-label": `Rotate ${one.name}` }),
        button("Revoke", () => this.revoke(one), { class: "quiet", "aria-label": `Revoke ${one.name}` })),
    ]));
  }

  show(name, secret) {
    const copying = button("Copy", () => copy(secret, copying));
    const using = button("Use it here", () => { key.set(secret); using.disabled = true; this.draw(); });
    this.told.replaceChildren(notice(`The secret of ${name}. It is not shown again.`,
      el("pre", { tabindex: "0" }, secret), el("div", { class: "actions" }, copying, using)));
  }

  async doing(work) {
    this.told.replaceChildren();
    try {
      await work();
    } catch (error) {
      this.told.replaceChildren(trouble(error));
      return;
    }
    await this.draw();
  }

  make() {
    const scopes = this.boxes.filter(([box]) => box.checked).map(([box]) => box.value);
    return this.doing(async () => {
      const isFirst = !(await get("/v1/keys")).keys.length;
      const made = await post("/v1/keys", { name: this.name.value.trim(), scopes });
      this.show(made.name, made.key);
      this.name.value = "";
      if (isFirst && scopes.includes("llm:admin")) key.set(made.key);
    });
  }

  async rotate({ id, name }) {
    if (!await confirmed(`Give ${name} another secret? The old one is good for a while beside it.`, "Rotate")) return;
    await this.doing(async () => this.show(name, (await post(`/v1/keys/${encodeURIComponent(id)}/rotate`, {})).key));
  }

  async revoke({ id, name }) {
    if (!await confirmed(`Revoke ${name}? Whoever uses it may call no more.`, "Revoke")) return;
    await this.doing(() => call(`/v1/keys/${encodeURIComponent(id)}`, { method: "DELETE" }));
  }
}

export const keys = (place) => new Keys(place).open();
