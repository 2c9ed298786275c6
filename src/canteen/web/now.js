// Now: how the service and each of its models goes, each second.

import { call, get } from "./api.js";
import { el, loading, notice, trouble } from "./dom.js";
import { bytes, digits, seconds } from "./figures.js";
import { buckets, parsed, quantile, total } from "./metrics.js";
import { plot } from "./plot.js";

const EVERY_MS = 1000;
const KEPT_S = 600;
const LATENCY_OVER_S = 60;
const RATE_OVER_S = 5;

// Readings of ten minutes, kept while other views are looked at.
const readings = [];

async function read() {
  const [health, ps, metrics] = await Promise.all([
    get("/health", { accept: [503] }), get("/api/ps"), call("/metrics").then((response) => response.text()),
  ]);
  const samples = parsed(metrics);
  const names = new Set([
    ...ps.models.map(({ name }) => name),
    ...Object.keys(health.components).filter((name) => health.components[name].details?.running !== undefined),
  ]);
  const models = new Map([...names].map((name) => [name, counted(samples, name)]));
  return { atS: performance.now() / 1000, health, ps, models, trouble: troubles(samples) };
}

function counted(samples, name) {
  return {
    running: total(samples, "vllm:num_requests_running", name),
    waiting: total(samples, "vllm:num_requests_waiting", name),
    tokens: total(samples, "vllm:generation_tokens_total", name),
    kv: total(samples, "vllm:kv_cache_usage_perc", name),
    memory: total(samples, "llm_model_memory_bytes", name),
    oldestS: total(samples, "llm_queue_oldest_age_seconds", name),
    ttft: buckets(samples, "vllm:time_to_first_token_seconds", name),
    tpot: buckets(samples, "vllm:request_time_per_output_token_seconds", name),
  };
}

const TROUBLES = {
  canteen_ledger_trouble: "Receipts cannot be written; the log says why.",
  canteen_audit_trouble: "The audit cannot be written; the log says why.",
};

const troubles = (samples) =>
  Object.keys(TROUBLES).filter((name) => total(samples, name) > 0).map((name) => TROUBLES[name]);

function keep(reading) {
  readings.push(reading);
  while (reading.atS - readings[0].atS > KEPT_S) readings.shift();
}

// The latest reading at least so many seconds before another, else the first there is.
function before(reading, ageS) {
  return readings.findLast((one) => reading.atS - one.atS >= ageS) ?? readings[0];
}

function rate(reading, name) {
  const earlier = before(reading, RATE_OVER_S);
  const [now, then] = [reading.models.get(name), earlier.models.get(name)];
  if (!now || !then || reading === earlier) return null;
  return Math.max(0, now.tokens - then.tokens) / (reading.atS - earlier.atS);
}

// A quantile of the last minute, else of all time; and which of them it is.
function latency(reading, name, what, share) {
  const now = reading.models.get(name)[what];
  const then = before(reading, LATENCY_OVER_S).models.get(name)?.[what];
  const recent = then && quantile(share, now, then);
  return recent === null || recent === undefined ? { value: quantile(share, now), isRecent: false } : { value: recent, isRecent: true };
}

// One glance: a colour, a sentence, and what to do.
function verdict({ health, models, trouble: found }) {
  const down = Object.entries(health.components).filter(([, one]) => one.status === "DOWN").map(([name]) => name);
  if (down.length) return ["bad", `${down.join(", ")} is down`, "It is started again by itself; if it stays down, read the log of the service."];
  if (health.status !== "UP") return ["bad", "Not ready", "It is starting or shutting down; look again in a moment."];
  if (found.length) return ["warn", "Ready, with trouble", found.join(" ")];
  const waiting = [...models.values()].reduce((sum, one) => sum + one.waiting, 0);
  const oldestS = Math.max(0, ...[...models.values()].map((one) => one.oldestS));
  if (waiting) return ["warn", `Busy: ${waiting} waiting`, `The first has waited ${seconds(oldestS)}.`];
  const running = [...models.values()].reduce((sum, one) => sum + one.running, 0);
  return ["good", "Healthy", running ? `${running} running, nobody waits.` : "Ready, and idle."];
}

// From a minute, which is seen to move, to all that is kept.
const spanS = () => Math.max(60, readings.at(-1).atS - readings[0].atS);

function tile(name, least) {
  const { node, draw } = plot(name, least);
  const value = el("span", { class: "value" }, "–");
  const under = el("span", { class: "span" });
  const box = el("div", { class: "figure" }, el("dt", {}, name), el("dd", {}, value, under, node));
  return { box, draw(text, small, series) {
    value.textContent = text;
    under.textContent = small;
    draw(series, spanS());
  } };
}

class ModelCard {
  constructor(name) {
    this.name = name;
    this.state = el("span", { class: "badge" });
    this.tiles = {
      queue: tile("Running and waiting", 4), tokens: tile("Tokens a second", 10),
      ttft: tile("First token (TTFT)", 0.05), tpot: tile("Per token (TPOT)", 0.02),
      kv: tile("KV cache", 1), memory: tile("Memory", 1),
    };
    this.node = el("section", { class: "card", "aria-label": name },
      el("div", { class: "card-head" }, el("h2", {}, name), this.state),
      el("dl", { class: "figures tiles" }, Object.values(this.tiles).map(({ box }) => box)));
  }

  draw(reading) {
    const now = reading.models.get(this.name);
    this.state.textContent = this.standing(reading);
    this.tiles.queue.draw(`${now.running} · ${now.waiting}`, now.waiting ? `the first for ${seconds(now.oldestS)}` : "nobody waits",
      [this.series(reading, (one) => one.models.get(this.name)?.running ?? null), this.series(reading, (one) => one.models.get(this.name)?.waiting ?? null)]);
    this.tiles.tokens.draw(digits(rate(reading, this.name) ?? 0), "written, over 5 s", [this.series(reading, (one) => rate(one, this.name))]);
    this.latency(reading, "ttft");
    this.latency(reading, "tpot");
    this.tiles.kv.draw(`${digits(100 * now.kv)} %`, "in use", [this.series(reading, (one) => one.models.get(this.name)?.kv ?? null)]);
    this.tiles.memory.draw(bytes(now.memory), "of its process", [this.series(reading, (one) => one.models.get(this.name)?.memory ?? null)]);
  }

  latency(reading, what) {
    const [half, most] = [0.5, 0.95].map((share) => latency(reading, this.name, what, share));
    const values = half.value === null ? "–" : `${seconds(half.value)} · ${seconds(most.value)}`;
    const under = half.value === null ? "nothing asked yet" : `p50 · p95, ${half.isRecent ? "last minute" : "since the start"}`;
    const past = (share) => this.series(reading, (one) => {
      const { value, isRecent } = one.models.has(this.name) ? latency(one, this.name, what, share) : { value: null };
      return isRecent ? value : null;
    });
    this.tiles[what].draw(values, under, [past(0.5), past(0.95)]);
  }

  // Every second reading is enough for a line of this width.
  series(reading, value) {
    return readings.filter((_, at) => (readings.length - at) % 2).map((one) => [reading.atS - one.atS, value(one)]);
  }

  standing({ health, ps }) {
    const state = ps.states?.[this.name];
    const status = health.components[this.name]?.status ?? "not in memory";
    return state ? `${state.state.replaceAll("_", " ")} · ${state.why}` : status.toLowerCase();
  }
}

class Dashboard {
  constructor(place) {
    this.light = el("p", { class: "dot verdict", role: "status" });
    this.advice = el("p", { class: "lead" });
    this.cards = new Map();
    this.list = el("div");
    this.note = el("p", { class: "hint" }, "Plots go back to when this view was first opened, ten minutes at most. TTFT and TPOT are estimated from the buckets of /metrics; the dashed line is p95, or who waits.");
    this.place = place;
    this.node = el("div", {}, el("h1", { class: "unseen" }, "Now"), this.light, this.advice, this.list, this.note);
  }

  draw(reading) {
    const [status, text, advice] = verdict(reading);
    this.light.dataset.status = status;
    if (this.light.textContent !== text) this.light.textContent = text;
    this.advice.textContent = advice;
    for (const [name, card] of this.cards) {
      if (!reading.models.has(name)) {
        card.node.remove();
        this.cards.delete(name);
      }
    }
    for (const name of reading.models.keys()) {
      if (!this.cards.has(name)) {
        this.cards.set(name, new ModelCard(name));
        this.list.append(this.cards.get(name).node);
      }
      this.cards.get(name).draw(reading);
    }
    if (!reading.models.size) this.list.replaceChildren(this.empty());
    else this.list.querySelector(".notice")?.remove();
    if (!this.node.isConnected) this.place.replaceChildren(this.node);
  }

  empty() {
    return notice("No model is in memory.", el("p", {}, "One is loaded when it is first asked: ",
      el("a", { href: "#/play" }, "Play"), ", or load one under ", el("a", { href: "#/models" }, "Models"), "."));
  }
}

export async function now(place) {
  place.replaceChildren(loading("how it goes"));
  const board = new Dashboard(place);
  let timer;
  let isOpen = true;
  async function tick() {
    const startedMs = performance.now();
    try {
      if (!document.hidden) {
        const reading = await read();
        if (!isOpen) return;
        keep(reading);
        board.draw(reading);
      }
    } catch (error) {
      if (!isOpen) return;
      place.replaceChildren(trouble(error, tick));
      // Where the key is not for it, asking each second is no use.
      if (error.status === 401 || error.status === 403) return;
    }
    timer = setTimeout(tick, Math.max(100, EVERY_MS - (performance.now() - startedMs)));
  }
  await tick();
  return () => {
    isOpen = false;
    clearTimeout(timer);
  };
}
