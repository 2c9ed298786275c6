// One job: how far it is, its losses as they come, what it took, what it said, and its end.

import { call, events, get, post } from "./api.js";
import { button, confirmed, el, loading, table, trouble } from "./dom.js";
import { bytes, count, digits, plain, scaled, seconds } from "./figures.js";
import { cancelled, light, OVER, reason, receiptLinks, time } from "./jobs.js";
import { latest } from "./latest.js";
import { chart } from "./plot.js";

const AGAIN_MS = 2000;
const MOST_DRAWN = 2000;

// The last event of a kind for each step: what came after a checkpoint is done again.
const byStep = (happened, kind) => [...new Map(happened.filter(({ event }) => event === kind).map((one) => [one.step, one])).values()].sort((a, b) => a.step - b.step);

const duration = (s) => s < 90 ? seconds(s) : s < 5400 ? `${digits(s / 60)} min` : `${digits(s / 3600)} h`;

// No more of them than a screen shows, the last one always.
function thinned(points) {
  const every = Math.ceil(points.length / MOST_DRAWN);
  return points.filter((_, at) => (points.length - 1 - at) % every === 0);
}

class Curves {
  constructor() {
    this.happened = [];
    this.chart = chart("Loss by step, of training and of validation", 260, (paper) => this.draw(paper));
    this.node = el("section", { class: "card", "aria-label": "Losses", hidden: true }, el("h2", {}, "Loss"),
      el("ul", { class: "legend" },
        el("li", {}, el("span", { class: "key" }), "training"), el("li", {}, el("span", { class: "key second" }), "validation")), this.chart.node);
  }

  redraw() {
    this.node.hidden = !this.happened.some(({ event }) => event === "step");
    this.chart.redraw();
  }

  draw({ put, vertical, horizontal }) {
    const steps = thinned(byStep(this.happened, "step"));
    if (!steps.length) return;
    const checked = thinned(byStep(this.happened, "validation"));
    const losses = [...steps, ...checked].map(({ loss }) => loss);
    const [low, high] = [Math.min(...losses), Math.max(...losses)];
    const rest = (high - low || 1) * 0.08;
    const y = vertical(Math.max(0, low - rest), high + rest, "Loss, nats");
    const x = horizontal(0, Math.max(steps.at(-1).steps ?? 0, steps.at(-1).step), "Step");
    const line = (points) => points.map(({ step, loss }, at) => `${at ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("");
    put("path", { class: "curve", d: line(steps) });
    put("path", { class: "curve second", d: line(checked) });
    for (const { step, loss } of checked) put("circle", { class: "mark second", cx: x(step), cy: y(loss), r: 3 });
  }
}

function progress(job, happened) {
  const last = happened.findLast(({ event }) => event === "step");
  if (!last) return el("p", { class: "hint" }, OVER.has(job.state) ? "It ended before its first step." : happened.at(-1)?.status ? `${happened.at(-1).status} …` : "It has not begun its first step.");
  const checked = happened.findLast(({ event }) => event === "validation");
  return [
    !OVER.has(job.state) && el("progress", { "aria-label": "Steps done", max: last.steps, value: last.step }),
    el("dl", { class: "figures" },
      plain("Step", `${count(last.step)} of ${count(last.steps)}`, !OVER.has(job.state) && last.eta_s ? `${duration(last.eta_s)} left` : ""),
      plain("Training loss", digits(last.loss)), checked && plain("Validation loss", digits(checked.loss), `perplexity ${digits(checked.perplexity)}`),
      plain("Tokens a second", digits(last.tokens_per_s), `${count(last.tokens)} so far`), plain("Memory", bytes(last.memory_bytes)),
      last.energy_wh !== undefined && plain("Energy so far", `${digits(last.energy_wh)} Wh`, last.cost_usd !== undefined ? scaled(last.cost_usd, "$") : "")),
  ];
}

const ESTIMATES = { time_s: ["Time", duration], memory_bytes: ["Memory", bytes], energy_wh: ["Energy", (value) => `${digits(value)} Wh`], cost_usd: ["Cost", (value) => scaled(value, "$")] };

function foreseen({ estimate = {}, found = {} }) {
  const rows = Object.entries(ESTIMATES).filter(([name]) => estimate[name] || found[name] !== undefined);
  if (!rows.length) return null;
  const told = (value, tell) => value === undefined || value === null ? "not known" : typeof value === "number" ? tell(value) : `${tell(value.central)} (${tell(value.low)} – ${tell(value.high)})`;
  return el("section", { class: "card" }, el("h2", {}, "Foreseen and found"),
    table("Foreseen and found", ["What", "Foreseen", "Found"], rows.map(([name, [label, tell]]) => [label, told(estimate[name], tell), told(found[name], tell)])));
}

const words = (value) => typeof value === "number" ? digits(value) : typeof value === "string" ? value : JSON.stringify(value);

function values(told) {
  const rows = Object.entries(told ?? {}).filter(([, value]) => value !== null && value !== "");
  return rows.length > 0 && el("dl", { class: "pairs" }, rows.map(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", {}, words(value))]));
}

function named(title, told) {
  const drawn = values(told);
  return drawn && el("section", { class: "card" }, el("h2", {}, title), drawn);
}

function samples(happened) {
  const found = byStep(happened, "sample").slice(-3).reverse();
  return found.length > 0 && el("section", { class: "card" }, el("h2", {}, "Samples"),
    found.map(({ step, text }) => [el("p", { class: "hint" }, `After step ${count(step)}`), el("p", { class: "text" }, text)]));
}

// The last that its program said, as long as the part is unfolded.
function logs(id) {
  const text = el("pre", { tabindex: "0", "aria-label": "Logs" });
  const wrong = el("div");
  const read = async () => {
    try {
      text.textContent = await (await call(`/v1/jobs/${encodeURIComponent(id)}/logs`)).text() || "It said nothing.";
      text.scrollTop = text.scrollHeight;
      wrong.replaceChildren();
    } catch (error) {
      wrong.replaceChildren(trouble(error, read));
    }
  };
  const part = el("details", { ontoggle: () => { if (part.open) read(); } }, el("summary", {}, "Logs"), wrong, text, button("Look again", read));
  part.className = "card";
  return part;
}

async function download(id) {
  const page = await (await call(`/v1/jobs/${encodeURIComponent(id)}/report`)).blob();
  const address = URL.createObjectURL(page);
  el("a", { href: address, download: `${id}.html` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

class Details {
  constructor(place, job) {
    this.job = job;
    this.id = job.id;
    this.asking = latest();
    this.listening = new AbortController();
    this.curves = new Curves();
    this.head = el("div", { class: "view-head" });
    [this.lost, this.wrong, this.now, this.more, this.samples, this.asked] = [0, 1, 2, 3, 4, 5].map(() => el("div"));
    place.replaceChildren(el("p", {}, el("a", { href: "#/jobs" }, "← Jobs")), this.head,
      el("p", { class: "lead mono" }, this.id), this.lost, this.wrong, this.now, this.curves.node, this.more, this.samples, this.asked, job.kind === "request" ? "" : logs(this.id));
  }

  get isModel() {
    return this.job.kind !== "request";
  }

  draw() {
    this.head.replaceChildren(el("h1", {}, `${this.job.kind} ${this.job.name}`), this.actions());
    this.more.replaceChildren(...[foreseen(this.job), this.made(), named("Result", this.job.result)].filter(Boolean));
    this.asked.replaceChildren(el("details", { class: "card" }, el("summary", {}, "What was asked for"), values(this.job.spec)));
    this.drawEvents();
  }

  // What each event changes, and nothing that somebody may be using.
  drawEvents() {
    const { job, curves } = this;
    this.now.replaceChildren(el("section", { class: "card", "aria-label": "How it stands" },
      el("div", { class: "card-head" }, light(job.state), el("span", { class: "span" }, [`begun ${time(job.started_s ?? job.created_s)}`, job.ended_s && `ended ${time(job.ended_s)}`].filter(Boolean).join(", "))),
      reason(job.error) && el("p", {}, reason(job.error)), this.isModel && progress(job, curves.happened),
      job.receipt_ids?.length > 0 && el("p", { class: "hint" }, "Receipts: ", receiptLinks(job.receipt_ids))));
    this.samples.replaceChildren(samples(curves.happened) || "");
    curves.redraw();
  }

  made() {
    return this.isModel && this.job.state === "done" && el("section", { class: "card" },
      el("p", {}, "It made the model ", el("a", { href: `#/models/${encodeURIComponent(this.job.name)}` }, this.job.name), "."));
  }

  actions() {
    const { state } = this.job;
    const path = `/v1/jobs/${encodeURIComponent(this.id)}`;
    return el("div", { class: "actions" },
      !OVER.has(state) && button("Cancel", () => this.doing(() => cancelled(this.id))),
      this.isModel && OVER.has(state) && state !== "done" && button("Go on", () => this.doing(() => post(`${path}/resume`, {}))),
      this.isModel && button("Report", () => this.doing(() => download(this.id)), { "aria-label": "Download the report" }),
      OVER.has(state) && button("Forget", () => this.doing(async () => {
        if (!await confirmed(`Forget the job ${this.id}? Its receipts and the model it made stay.`, "Forget")) return;
        await call(path, { method: "DELETE" });
        location.hash = "#/jobs";
      }), { class: "quiet" }));
  }

  async doing(work) {
    this.wrong.replaceChildren();
    try {
      await work();
      if (location.hash.includes(this.id)) await this.look();
    } catch (error) {
      this.wrong.replaceChildren(trouble(error));
    }
  }

  async look() {
    const wasOver = OVER.has(this.job.state);
    const isLast = this.asking();
    const job = await get(`/v1/jobs/${encodeURIComponent(this.id)}`);
    if (!isLast()) return;
    this.job = job;
    this.draw();
    if (wasOver && !OVER.has(this.job.state)) this.follow();
  }

  // An event tells that the service is there, and of a job that was queued that it has begun.
  hear(event) {
    const wasLost = this.lost.hasChildNodes();
    this.lost.replaceChildren();
    if (wasLost || this.job.state === "queued") this.lookBeside();
    this.curves.happened.push(event);
    // They come in bursts, and are drawn once for each frame.
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.drawEvents();
    });
  }

  // However many events come meanwhile, it is asked for once.
  async lookBeside() {
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      await this.look();
    } catch (error) {
      this.lost.replaceChildren(trouble(error));
    }
    this.isLooking = false;
  }

  async follow() {
    while (!this.listening.signal.aborted) {
      this.curves.happened = [];
      try {
        for await (const event of events(`/v1/jobs/${encodeURIComponent(this.id)}/events`, undefined, this.listening.signal)) this.hear(event);
        await this.look();
        this.lost.replaceChildren();
        if (OVER.has(this.job.state)) return;
      } catch (error) {
        if (this.listening.signal.aborted) return;
        this.lost.replaceChildren(trouble(error));
        if (error.status) return;
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
  }
}

export async function one(place, id) {
  place.replaceChildren(loading("the job"));
  const view = new Details(place, await get(`/v1/jobs/${encodeURIComponent(id)}`));
  view.draw();
  view.follow();
  return () => view.listening.abort();
}
