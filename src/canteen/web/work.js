// Long work that tells how it goes in lines of JSON: its stages, bytes, speed and end.

import { objects } from "./api.js";
import { button, el, trouble } from "./dom.js";
import { bytes, digits } from "./figures.js";

const OVER_MS = 3000;

export class Work {
  constructor(advice) {
    this.advice = advice;
    this.said = el("p", { class: "hint", role: "status" });
    this.bar = el("progress", { "aria-label": "How far it is", hidden: true });
    this.stages = el("ol", { class: "stages", hidden: true });
    this.stopping = button("Stop", () => this.abort.abort(), { hidden: true });
    this.wrong = el("div");
    this.node = el("div", { class: "work" }, this.stages, this.bar, el("div", { class: "actions" }, this.said, this.stopping), this.wrong);
  }

  // Whether it came to its end.
  async run(what, path, body) {
    this.abort = new AbortController();
    this.begin(what);
    try {
      for await (const step of objects(path, body, this.abort.signal)) this.step(step);
      this.said.textContent = `${what}: done.`;
      return true;
    } catch (error) {
      this.said.textContent = "";
      const stopped = Object.assign(new Error(`${what} was stopped.`), { title: "Stopped.", advice: this.advice });
      this.wrong.replaceChildren(trouble(error.name === "AbortError" ? stopped : error));
      return false;
    } finally {
      this.end();
    }
  }

  begin(what) {
    this.readings = [];
    this.stage = "";
    this.said.textContent = `${what} …`;
    this.wrong.replaceChildren();
    this.stages.replaceChildren();
    this.bar.removeAttribute("value");
    for (const one of [this.bar, this.stopping, this.stages]) one.hidden = false;
  }

  end() {
    this.bar.hidden = this.stopping.hidden = this.stages.hidden = true;
  }

  step({ status, total, completed = 0 }) {
    if (status !== this.stage) {
      this.stage = status;
      this.readings = [];
      this.stages.querySelector("[aria-current]")?.removeAttribute("aria-current");
      this.stages.append(el("li", { "aria-current": "step" }, status));
    }
    if (!total) {
      this.said.textContent = status;
      this.bar.removeAttribute("value");
      return;
    }
    this.bar.max = total;
    this.bar.value = completed;
    // A small total counts pieces, not bytes.
    const tell = total > 10000 ? bytes : digits;
    this.said.textContent = [status, `${tell(completed)} of ${tell(total)}`, this.speed(completed, total, tell)].filter(Boolean).join(" · ");
  }

  speed(completed, total, tell) {
    const now = performance.now();
    this.readings.push([now, completed]);
    while (now - this.readings[0][0] > OVER_MS) this.readings.shift();
    const [thenMs, before] = this.readings[0];
    const perS = (completed - before) / ((now - thenMs) / 1000);
    return perS > 0 && Number.isFinite(perS) ? `${tell(perS)}/s · ${digits(Math.ceil((total - completed) / perS))} s left` : "";
  }
}
