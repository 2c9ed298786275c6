// The latest receipts, as many as somebody scrolls to. Groups of rows out of sight are not laid out.

import { get } from "./api.js";
import { button, el, loading, notice, trouble } from "./dom.js";
import { count, grade, moment, scaled } from "./figures.js";
import { keyNames } from "./names.js";

const PAGE = 1000;
const GROUP = 50;
const HEADS = ["When", "Model, key", "What", "Tokens in, out", "Energy", "Cost", "Receipt"];

const when = (seconds) => moment(new Date(seconds * 1000), { second: "2-digit" });

function cells(one, names) {
  const key = names.has(one.key) ? `${names.get(one.key)}, ${one.key}` : one.key;
  return [
    when(one.ended_s), [one.model, key && el("span", { class: "span" }, key)], one.phase === "inference" ? one.operation || "–" : one.phase,
    `${count(one.tokens.prompt)}, ${count(one.tokens.completion)}`,
    el("span", {}, scaled(one.energy_wh.central, "Wh"), " ", grade(one.energy_wh.grade)),
    one.cost_usd ? scaled(one.cost_usd.central, "$") : "unknown",
    el("a", { class: "mono", href: `#/footprint/${encodeURIComponent(one.id)}` }, one.id.slice(0, 13)),
  ];
}

const row = (one, names) => el("div", { role: "row", class: "lined" }, cells(one, names).map((cell, at) =>
  el("div", { role: at ? "cell" : "rowheader", "data-label": HEADS[at] }, cell)));

export class ReceiptList {
  constructor(query) {
    this.query = query;
    this.next = undefined;
    this.rows = el("div", { role: "presentation" });
    this.num = 0;
    this.more = button("Show more", () => this.load(), { hidden: true });
    this.said = el("p", { class: "hint counted", role: "status" });
    this.wrong = el("div");
    this.node = el("div", {}, el("section", { class: "card" },
      el("div", { role: "table", class: "long", "aria-label": "Receipts" },
        el("div", { role: "rowgroup" }, el("div", { role: "row", class: "lined heads" },
          HEADS.map((head) => el("div", { role: "columnheader" }, head)))), this.rows)),
    this.wrong, el("div", { class: "actions" }, this.more, this.said));
    // The next page comes a little before one is at the end of this.
    this.end = new IntersectionObserver((seen) => { if (seen.at(-1).isIntersecting) this.load(); }, { rootMargin: "600px" });
  }

  async open() {
    const waiting = loading("the receipts");
    this.node.prepend(waiting);
    await this.load();
    waiting.remove();
    return this;
  }

  async load() {
    if (this.isLoading || this.next === null) return;
    this.isLoading = true;
    this.wrong.replaceChildren();
    try {
      const after = this.next ? `&after=${encodeURIComponent(this.next)}` : "";
      const { receipts, next } = await get(`/v1/receipts?limit=${PAGE}${this.query}${after}`);
      if (receipts.some(({ key }) => key)) this.names ??= await keyNames();
      for (let at = 0; at < receipts.length; at += GROUP) {
        this.rows.append(el("div", { role: "rowgroup", class: "lines" }, receipts.slice(at, at + GROUP).map((one) => row(one, this.names ?? new Map()))));
      }
      this.num += receipts.length;
      this.next = next;
      this.told();
    } catch (error) {
      this.more.hidden = true;
      this.wrong.replaceChildren(trouble(error, () => this.load()));
    }
    this.isLoading = false;
  }

  told() {
    const { num } = this;
    this.more.hidden = this.next === null;
    // Observed anew, it tells where it is, also of one who has never left the end.
    this.end.unobserve(this.more);
    this.end.observe(this.more);
    const all = num === 1 ? "1 receipt; that is all." : `${count(num)} receipts, the newest first; that is all.`;
    this.said.textContent = this.next === null ? all : `${count(num)} receipts so far, the newest first.`;
    if (!num) this.node.replaceChildren(notice("There is no receipt of this time.", el("p", {}, "Ask something under ", el("a", { href: "#/play" }, "Play"), ", or choose a longer time.")));
  }
}
