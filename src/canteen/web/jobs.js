// Jobs: long work, how it stands, and its end.

import { get, post } from "./api.js";
import { button, confirmed, el, loading, notice, table, trouble } from "./dom.js";
import { moment } from "./figures.js";
import { one as details } from "./job.js";

const EVERY_MS = 3000;
export const OVER = new Set(["done", "failed", "cancelled", "interrupted"]);
const LIGHTS = { done: "good", running: "good", failed: "bad", interrupted: "bad", queued: "warn" };

export const time = (seconds) => seconds ? moment(new Date(seconds * 1000)) : "–";

export const light = (state) => el("span", { class: "dot state", "data-status": LIGHTS[state] ?? "" }, state);

export const reason = (error) => typeof error === "string" ? error : error?.detail ?? "";

export const receiptLinks = (ids = []) => ids.map((id) => el("a", { class: "mono receipt-link", href: `#/footprint/${encodeURIComponent(id)}` }, id.slice(0, 13)));

// Whether it was ended.
export async function cancelled(id) {
  if (!await confirmed(`End the job ${id}? What it has learned so far is kept.`, "End it")) return false;
  await post(`/v1/jobs/${encodeURIComponent(id)}/cancel`, {});
  return true;
}

class Jobs {
  constructor(place) {
    this.list = el("div");
    this.wrong = el("div");
    place.replaceChildren(el("h1", {}, "Jobs"),
      el("p", { class: "lead" }, "Training, fine-tuning, and requests that are answered later. Requests go on when the service is started again; a training does with ", el("code", {}, "canteen jobs resume"), "."),
      this.wrong, this.list);
    this.list.append(loading("the jobs"));
  }

  // Again and again; what was wrong once is forgotten when it is right again.
  async look() {
    try {
      await this.draw();
      this.isRefused = false;
      this.wrong.replaceChildren();
    } catch (error) {
      // A key that is not for it would be asked for without end.
      this.isRefused = error.status === 401 || error.status === 403;
      this.wrong.replaceChildren(trouble(error, this.isRefused && (() => this.look())));
    }
  }

  async draw() {
    const { jobs } = await get("/v1/jobs");
    // Nobody's focus is taken from them, and what has not changed is not drawn again.
    const text = JSON.stringify(jobs);
    if (text === this.drawn || this.list.querySelector("a:focus, button:focus")) return;
    this.drawn = text;
    this.list.replaceChildren(jobs.length ? el("section", { class: "card" }, this.table(jobs))
      : notice("There is no job.", el("p", {}, "Begin one with ", el("code", {}, "canteen finetune"), " or ", el("code", {}, "canteen train"),
        ", or leave a request with ", el("code", {}, "POST /v1/jobs"), ".")));
  }

  table(jobs) {
    return table("Jobs", ["Job", "State", "What", "Begun", "Ended", "Receipts", "Actions"], jobs.map((one) => [
      el("a", { class: "mono", href: `#/jobs/${encodeURIComponent(one.id)}` }, one.id),
      el("div", {}, light(one.state), reason(one.error) && el("span", { class: "hint" }, reason(one.error))),
      `${one.kind} ${one.name || one.spec?.path || ""}`, time(one.started_s ?? one.created_s), time(one.ended_s),
      one.receipt_ids?.length ? el("div", {}, receiptLinks(one.receipt_ids.slice(-3))) : "–",
      OVER.has(one.state) ? "–" : button("Cancel", () => this.cancel(one.id), { "aria-label": `Cancel ${one.id}` }),
    ]));
  }

  async cancel(id) {
    this.wrong.replaceChildren();
    try {
      await cancelled(id);
    } catch (error) {
      this.wrong.replaceChildren(trouble(error));
    }
    document.activeElement.blur();
    await this.draw();
  }
}

export async function jobs(place, id) {
  if (id) return details(place, id);
  const view = new Jobs(place);
  await view.draw();
  const timer = setInterval(() => { if (!document.hidden && !view.isRefused) view.look(); }, EVERY_MS);
  return () => clearInterval(timer);
}
