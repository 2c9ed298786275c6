// Now: how the service and each of its models goes, as the service tells it each second.

import { ApiError, events } from "./api.js";
import { el, loading, notice, trouble } from "./dom.js";
import { bytes, digits, grade, metered, scaled, seconds } from "./figures.js";
import { plot } from "./plot.js";

const KEPT_S = 600;
const AGAIN_MS = [1000, 2000, 5000];
const METER_WAITS = 10;
const SILENT_MS = 5000;

// One glance: a colour, a sentence, and what to do.
function verdict({ status, trouble: found, models }) {
  const all = Object.values(models);
  const sum = (name) => all.reduce((total, one) => total + one[name], 0);
  if (status !== "UP") return ["bad", "Not ready", found[0] ? `${found.join("; ")}.` : "It is starting; look again in a moment."];
  if (found.length) return ["warn", "Ready, with trouble", `${found.join("; ")}.`];
  if (sum("waiting")) return ["warn", `Busy: ${sum("waiting")} waiting`, `The first has waited ${seconds(Math.max(...all.map((one) => one.oldest_wait_s)))}.`];
  return ["good", "Healthy", sum("running") ? `${sum("running")} running, nobody waits.` : "Ready, and idle."];
}

const percent = (share) => `${digits(100 * share)} %`;

function tile(name, least, tell) {
  const { node, draw } = plot(name, least, tell);
  const value = el("span", { class: "value" }, "–");
  const under = el("span", { class: "span" });
  const box = el("div", { class: "figure" }, el("dt", {}, name), el("dd", {}, value, under, node));
  return { box, draw(text, small, series) {
    value.textContent = text;
    under.textContent = small;
    draw(series, KEPT_S);
  } };
}

const tiles = (made) => el("dl", { class: `figures tiles of-${Object.keys(made).length}` }, Object.values(made).map(({ box }) => box));

class ModelCard {
  constructor(name) {
    this.name = name;
    this.state = el("span", { class: "badge" });
    this.tiles = {
      queue: tile("Running and waiting", 4), tokens: tile("Tokens a second", 10),
      ttft: tile("First token (TTFT)", 0.05, seconds), tpot: tile("Per token (TPOT)", 0.02, seconds),
      kv: tile("KV cache", 1, percent), memory: tile("Memory", 1, bytes),
    };
    this.node = el("section", { class: "card", "aria-label": name },
      el("div", { class: "card-head" }, el("h2", {}, name), this.state), tiles(this.tiles));
  }

  draw(now, series) {
    const past = (value) => series(({ models }) => models[this.name] ? value(models[this.name]) : null);
    this.state.textContent = now.state.replaceAll("_", " ");
    this.state.dataset.status = now.status;
    this.tiles.queue.draw(`${now.running} · ${now.waiting}`, now.waiting ? `the first for ${seconds(now.oldest_wait_s)}` : "nobody waits",
      [past((one) => one.running), past((one) => one.waiting)]);
    this.tiles.tokens.draw(digits(now.tokens_per_s), "written", [past((one) => one.tokens_per_s)]);
    this.latency("ttft", now.ttft_s, past);
    this.latency("tpot", now.tpot_s, past);
    this.tiles.kv.draw(percent(now.kv_cache), "in use", [past((one) => one.kv_cache)]);
    this.tiles.memory.draw(bytes(now.memory_bytes), "of its process", [past((one) => one.memory_bytes)]);
  }

  latency(what, now, past) {
    const text = now ? `${seconds(now.p50)} · ${seconds(now.p95)}` : "–";
    const under = now ? "p50 · p95, last minute" : "no recent answer";
    this.tiles[what].draw(text, under, ["p50", "p95"].map((name) => past((one) => one[`${what}_s`]?.[name] ?? null)));
  }
}

class Dashboard {
  constructor(place) {
    this.place = place;
    this.samples = [];
    this.light = el("p", { class: "dot verdict", role: "status" });
    this.live = el("span", { class: "badge live", role: "status" });
    this.advice = el("p", { class: "lead" });
    this.cards = new Map();
    this.all = { power: tile("Power", 1, (value) => scaled(value, "W")), tokens: tile("Tokens a second", 10), queue: tile("Running and waiting", 4), memory: tile("Memory of models", 1, bytes) };
    this.meter = el("p", { class: "hint" });
    this.whole = el("section", { class: "card", "aria-label": "The service" },
      el("div", { class: "card-head" }, el("h2", {}, "The service")), tiles(this.all), this.meter);
    this.list = el("div");
    this.node = el("div", {}, el("h1", { class: "unseen" }, "Now"),
      el("div", { class: "view-head" }, this.light, this.live), this.advice, this.whole, this.list,
      el("p", { class: "hint" }, "Each plot is of the last ten minutes. A dashed line is p95, or who waits."));
  }

  hear(event) {
    if (event.samples) {
      this.samples = event.samples;
      const { source, boundary, grade: letter } = event.meter;
      this.meter.replaceChildren(`Power is that of ${metered(boundary)} `, grade(letter), ` ${source}.`);
    } else this.samples.push(event);
    const now = this.samples.at(-1);
    while (now.at_s - this.samples[0].at_s > KEPT_S) this.samples.shift();
    this.live.textContent = "live";
    this.live.dataset.status = "UP";
    this.draw(now);
  }

  series(now) {
    return (value) => this.samples.map((one) => [now.at_s - one.at_s, value(one)]);
  }

  draw(now) {
    const [status, text, advice] = verdict(now);
    this.say(status, text, advice);
    const series = this.series(now);
    this.drawAll(now, series);
    for (const [name, card] of this.cards) {
      if (now.models[name]) continue;
      card.node.remove();
      this.cards.delete(name);
    }
    for (const [name, one] of Object.entries(now.models)) {
      if (!this.cards.has(name)) {
        this.cards.set(name, new ModelCard(name));
        this.list.append(this.cards.get(name).node);
      }
      this.cards.get(name).draw(one, series);
    }
    if (!this.cards.size) this.list.replaceChildren(this.empty());
    else this.list.querySelector(".notice")?.remove();
    if (!this.node.isConnected) this.place.replaceChildren(this.node);
  }

  drawAll({ models }, series) {
    // The meter is not read at each sample while a long step is under way.
    const power = (this.samples.slice(-METER_WAITS).findLast((one) => one.power_w.meter !== null) ?? this.samples.at(-1)).power_w;
    const sum = (name) => ({ models: some }) => Object.values(some).reduce((total, one) => total + one[name], 0);
    const said = power.boards !== null ? `${scaled(power.boards, "W")} of it on GPUs`
      : power.requests ? `${scaled(power.requests, "W")} of it for requests` : "as the meter counts it";
    this.all.power.draw(power.meter === null ? "–" : scaled(power.meter, "W"), said,
      [series((one) => one.power_w.meter), series((one) => one.power_w.boards)]);
    this.all.tokens.draw(digits(sum("tokens_per_s")({ models })), "written by all models", [series(sum("tokens_per_s"))]);
    this.all.queue.draw(`${sum("running")({ models })} · ${sum("waiting")({ models })}`, "in all queues", [series(sum("running")), series(sum("waiting"))]);
    this.all.memory.draw(bytes(sum("memory_bytes")({ models })), `${Object.keys(models).length} in memory`, [series(sum("memory_bytes"))]);
  }

  say(status, text, advice) {
    this.light.dataset.status = status;
    // What has not changed is not read out again.
    if (this.light.textContent !== text) this.light.textContent = text;
    this.advice.textContent = advice;
  }

  gone(error) {
    this.say("bad", "No word from the service", `${error.message} Trying again by itself.`);
    this.live.textContent = "reconnecting …";
    delete this.live.dataset.status;
    if (!this.node.isConnected) this.place.replaceChildren(this.node);
  }

  empty() {
    return notice("No model is in memory.", el("p", {}, "One is loaded when it is first asked: ",
      el("a", { href: "#/play" }, "Play"), ", or load one under ", el("a", { href: "#/models" }, "Models"), "."));
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// Trying again is of no use where a key is not for it.
const isFinal = (error) => error.status === 401 || error.status === 403;

export async function now(place) {
  place.replaceChildren(loading("how it goes"));
  const board = new Dashboard(place);
  let listening = new AbortController();

  async function listen() {
    const { signal } = listening;
    let silence;
    for (let failures = 0; !signal.aborted; failures++) {
      // A connection may be dead without an end, so one that is silent is ended. One that was is
      // waited for longer the next time: it may be slow.
      const dead = new AbortController();
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => dead.abort(new ApiError("Nothing is heard of the service.", 0)), SILENT_MS * (1 + Math.min(failures, 5)));
      };
      try {
        heard();
        for await (const event of events("/v1/now", undefined, AbortSignal.any([signal, dead.signal]))) {
          failures = 0;
          board.hear(event);
          heard();
        }
        throw new ApiError("The service has ended, or is being started again.", 0);
      } catch (error) {
        clearTimeout(silence);
        if (signal.aborted) return;
        if (isFinal(error)) {
          place.replaceChildren(trouble(error, listen));
          return;
        }
        board.gone(error);
      }
      await wait(AGAIN_MS[Math.min(failures, AGAIN_MS.length - 1)]);
    }
  }

  // Nobody is told what nobody looks at.
  function look() {
    listening.abort();
    listening = new AbortController();
    if (!document.hidden) listen();
  }

  document.addEventListener("visibilitychange", look);
  listen();
  return () => {
    document.removeEventListener("visibilitychange", look);
    listening.abort();
  };
}
