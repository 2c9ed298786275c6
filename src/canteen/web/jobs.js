// Jobs: long work, how it stands, and its end.

import { get, post } from "./api.js";
import { button, confirmed, el, loading, notice, table, trouble } from "./dom.js";

const EVERY_MS = 3000;
const OVER = new Set(["done", "failed", "cancelled", "expired"]);
const LIGHTS = { done: "good", running: "good", failed: "bad", expired: "bad", queued: "warn" };

const time = (seconds) => seconds ? new Date(seconds * 1000).toLocaleString("en") : "–";

class Jobs {
  constructor(place) {
    this.list = el("div");
    this.wrong = el("div");
    place.replaceChildren(el("h1", {}, "Jobs"),
      el("p", { class: "lead" }, "Training, fine-tuning, and requests that are answered later. They go on when the service is started again."),
      this.wrong, this.list);
    this.list.append(loading("the jobs"));
  }

  async draw() {
    const { jobs } = await get("/v1/jobs");
    // Nobody's focus is taken from them.
    if (this.list.contains(document.activeElement)) return;
    this.list.replaceChildren(jobs.length ? el("section", { class: "card" }, this.table(jobs))
      : notice("There is no job.", el("p", {}, "Begin one with ", el("code", {}, "canteen finetune"), " or ", el("code", {}, "canteen train"),
        ", or leave a request with ", el("code", {}, "POST /v1/jobs"), ".")));
  }

  table(jobs) {
    return table("Jobs", ["Job", "State", "What", "Begun", "Ended", "Receipts", "Actions"], jobs.map((one) => [
      el("span", { class: "mono" }, one.id),
      el("div", {}, el("span", { class: "dot state", "data-status": LIGHTS[one.state] ?? "" }, one.state),
        one.error && el("span", { class: "hint" }, typeof one.error === "string" ? one.error : one.error.detail ?? "")),
      `${one.kind} ${one.name || one.spec?.path || ""}`, time(one.started_s ?? one.created_s), time(one.ended_s),
      el("div", {}, (one.receipt_ids ?? []).slice(0, 3).map((id) => el("a", { class: "mono", href: `#/footprint/${encodeURIComponent(id)}` }, id.slice(0, 13)))),
      OVER.has(one.state) ? "–" : button("Cancel", () => this.cancel(one.id), { "aria-label": `Cancel ${one.id}` }),
    ]));
  }

  async cancel(id) {
    if (!await confirmed(`End the job ${id}?`, "End it")) return;
    this.wrong.replaceChildren();
    try {
      await post(`/v1/jobs/${encodeURIComponent(id)}/cancel`, {});
    } catch (error) {
      this.wrong.replaceChildren(trouble(error));
    }
    document.activeElement.blur();
    await this.draw();
  }
}

export async function jobs(place) {
  const view = new Jobs(place);
  await view.draw();
  const timer = setInterval(() => { if (!document.hidden) view.draw().catch(() => {}); }, EVERY_MS);
  return () => clearInterval(timer);
}
