// Keys: who may call, for what, and how much of it; for who administers.

import { call, get, key, post } from "./api.js";
import { button, confirmed, copy, el, field, loading, notice, trouble } from "./dom.js";
import { count, digits, moment } from "./figures.js";
import { latest } from "./latest.js";
import { NameFilter, redraw } from "./lists.js";

const SCOPES = {
  "llm:chat": "chat", "llm:embed": "embed", "llm:tasks": "tasks and search", "llm:footprint": "see the footprint", "llm:admin": "administer",
};
const ADMIN = "llm:admin";
const USUAL = ["llm:chat", "llm:embed", "llm:tasks"];
const LOCKS_OUT = "Make a first key that may not administer? From then on every caller needs a key, and nobody can make or revoke one here: "
  + "only the command “canteen keys” on the machine itself can.";
const UNITS = { tokens: "tokens", requests: "requests", usd: "US dollars", wh: "Wh of energy", ml: "mL of water" };
const PERIODS = { minute: "a minute", day: "a day", month: "a month" };
// Seconds; a map, as an object would have the numbers first.
const LASTS = new Map([["", "until it is revoked"], [86400, "a day"], [604800, "a week"], [2592000, "30 days"], [31536000, "a year"]]);

const day = (seconds) => new Date(seconds * 1000).toLocaleDateString("en", { dateStyle: "medium" });
const options = (told) => [...told instanceof Map ? told : Object.entries(told)].map(([value, label]) => el("option", { value }, label));

function nameOf(limit) {
  const [unit, period] = limit.split("_per_");
  return period ? `${UNITS[unit] ?? unit} ${PERIODS[period] ?? period}` : "requests at once";
}

// Three digits, but no whole number is rounded.
const amount = (value) => value < 1000 ? digits(value) : count(Math.round(value));

// One limit of a key in the making.
class LimitRow {
  constructor(gone) {
    this.most = el("input", { type: "number", min: 0, step: "any", "aria-label": "At most", placeholder: "100000" });
    this.unit = el("select", { "aria-label": "Unit", onchange: () => { this.period.hidden = this.unit.value === "concurrency"; } },
      options({ ...UNITS, concurrency: "requests at once" }));
    this.period = el("select", { "aria-label": "Period" }, options(PERIODS));
    this.period.value = "day";
    this.node = el("div", { class: "limit" }, this.most, this.unit, this.period,
      button("Remove", () => gone(this), { class: "quiet", "aria-label": "Remove this limit" }));
  }

  get told() {
    if (this.most.value === "") return [];
    return [[this.unit.value === "concurrency" ? "concurrency" : `${this.unit.value}_per_${this.period.value}`, Number(this.most.value)]];
  }
}

// What a key has had of a limit, what is held for what runs, and what is left.
function budget(name, { most, used, held, ends_s: ends }) {
  const had = used + held;
  const left = Math.max(0, most - had);
  const state = had >= most ? "bad" : had > 0.8 * most ? "warn" : "good";
  return el("div", { class: "budget", "data-status": state },
    el("div", { class: "budget-head" }, el("span", {}, nameOf(name)), el("span", {}, `${amount(left)} of ${amount(most)} left`)),
    el("meter", { min: 0, max: most || 1, value: Math.min(had, most || 1), "aria-label": `${nameOf(name)}: used` }),
    el("p", { class: "hint" }, [`${amount(used)} used`, held && `${amount(held)} held`, ends && `anew ${moment(new Date(ends * 1000))}`].filter(Boolean).join(" · ")));
}

class Keys {
  constructor(place) {
    this.place = place;
    this.asking = latest();
    this.secrets = el("div", { "aria-live": "polite" });
    this.wrong = el("div");
    this.list = el("div", { tabindex: "-1" });
    this.filter = new NameFilter("Find a key");
    this.limits = el("div");
    this.rows = [];
    this.name = el("input", { required: true, placeholder: "shop", maxlength: 100 });
    this.models = el("input", { placeholder: "all", spellcheck: "false" });
    this.lasts = el("select", {}, options(LASTS));
    this.boxes = Object.entries(SCOPES).map(([scope, label]) => {
      const box = el("input", { type: "checkbox", value: scope });
      box.checked = USUAL.includes(scope);
      return [box, el("label", { class: "check" }, box, ` ${label}`)];
    });
    this.making = el("details", { class: "card" }, el("summary", {}, "Make a key"), this.form());
  }

  async open() {
    this.place.replaceChildren(
      el("h1", {}, "Keys"),
      el("p", { class: "lead" }, "Who may call, for what, and how much. A secret is shown once, when it is made."),
      this.secrets, this.wrong, this.making, this.filter.node, this.list);
    this.list.replaceChildren(loading("the keys"));
    await this.draw();
  }

  form() {
    return el("form", { onsubmit: (event) => { event.preventDefault(); this.make(); } },
      el("div", { class: "fields" }, field("Whose, or what for", this.name),
        field("Models", this.models, "Names or patterns, such as smollm2:*, with commas between."), field("Good for", this.lasts)),
      el("fieldset", {}, el("legend", {}, "It may"), this.boxes.map(([, label]) => label)),
      el("fieldset", { class: "limits" }, el("legend", {}, "At most"), this.limits, button("Add a limit", () => this.addLimit())),
      el("button", { type: "submit", class: "primary" }, "Make key"));
  }

  addLimit() {
    const row = new LimitRow((gone) => {
      this.rows = this.rows.filter((one) => one !== gone);
      gone.node.remove();
    });
    this.rows.push(row);
    this.limits.append(row.node);
    row.most.focus();
  }

  async draw() {
    const isLast = this.asking();
    try {
      const { keys } = await get("/v1/keys");
      if (!isLast()) return;
      if (!keys.length && !this.making.open) this.makeFirst();
      const good = keys.filter((one) => !one.revoked_s);
      const gone = keys.filter((one) => one.revoked_s);
      const cards = good.map((one) => this.card(one));
      this.filter.over(good.map(({ name }, at) => [name, cards[at]]));
      redraw(this.list, ...keys.length ? [el("ul", { class: "keys", "aria-label": "Keys" }, cards), this.revoked(gone)].filter(Boolean)
        : [notice("There is no key yet, and everybody who reaches this service may call.",
          el("p", {}, "With the first one, every caller needs one: make it for yourself, with all it may."))]);
    } catch (error) {
      if (isLast()) this.list.replaceChildren(trouble(error, () => this.draw()));
    }
  }

  // With the first key all others are shut out, so it had better be one's own.
  makeFirst() {
    this.making.open = true;
    for (const [box] of this.boxes) box.checked = true;
  }

  card(one) {
    const isOver = one.expires_s && one.expires_s * 1000 < Date.now();
    const spent = Object.entries(one.spent ?? {});
    return el("li", { class: "card", "aria-label": one.name },
      el("div", { class: "card-head" }, el("h2", {}, one.name),
        isOver && el("span", { class: "badge", "data-status": "DOWN" }, "expired"),
        el("div", { class: "actions ends" },
          !isOver && button("Rotate", () => this.rotate(one), { "aria-label": `Rotate ${one.name}` }),
          button("Revoke", () => this.revoke(one), { class: "quiet", "aria-label": `Revoke ${one.name}` }))),
      el("p", {}, one.scopes.map((scope) => el("span", { class: "badge" }, SCOPES[scope] ?? scope))),
      el("p", { class: "hint" }, [one.models.length ? `only ${one.models.join(", ")}` : "all models", one.expires_s ? `${isOver ? "was" : "is"} good until ${day(one.expires_s)}` : "does not expire", `made ${day(one.created_s)}`].join(" · "), " · ", el("span", { class: "mono" }, one.id)),
      spent.length ? el("div", { class: "budgets" }, spent.map(([name, told]) => budget(name, told))) : el("p", { class: "hint" }, "No limit."));
  }

  revoked(gone) {
    return gone.length > 0 && el("details", { class: "card" }, el("summary", {}, `${gone.length} revoked`),
      el("ul", { class: "gone" }, gone.map((one) => el("li", {}, one.name, el("span", { class: "span" }, `revoked ${day(one.revoked_s)} · `, el("span", { class: "mono" }, one.id))))));
  }

  show(name, secret) {
    const copying = button("Copy", () => copy(secret, copying), { class: "primary" });
    const using = button("Use it here", () => { key.set(secret); using.disabled = true; this.draw(); });
    const dismiss = () => {
      shown.remove();
      this.making.querySelector("summary").focus();
    };
    const shown = notice(`The secret of ${name}. It is not shown again.`,
      el("pre", { tabindex: "0" }, secret), el("div", { class: "actions" }, copying, using, button("Dismiss", dismiss, { class: "quiet" })));
    this.secrets.append(shown);
    shown.scrollIntoView({ block: "nearest" });
  }

  async doing(work) {
    this.wrong.replaceChildren();
    try {
      await work();
    } catch (error) {
      this.wrong.replaceChildren(trouble(error));
      this.wrong.scrollIntoView({ block: "nearest" });
      return;
    }
    await this.draw();
  }

  wanted() {
    return {
      name: this.name.value.trim(),
      scopes: this.boxes.filter(([box]) => box.checked).map(([box]) => box.value),
      models: this.models.value.split(",").map((name) => name.trim()).filter(Boolean),
      limits: this.wantedLimits(),
      ...(this.lasts.value && { expires_in_s: Number(this.lasts.value) }),
    };
  }

  wantedLimits() {
    const limits = this.rows.flatMap((row) => row.told);
    const twice = limits.find(([name], at) => limits.findIndex(([other]) => other === name) < at);
    if (twice) throw Object.assign(new Error(`There are two limits of ${nameOf(twice[0])}.`), { title: "Which of them?", advice: "Remove one." });
    return Object.fromEntries(limits);
  }

  make() {
    return this.doing(async () => {
      const wanted = this.wanted();
      const isFirst = !(await get("/v1/keys")).keys.length;
      if (isFirst && !wanted.scopes.includes(ADMIN) && !await confirmed(LOCKS_OUT, "Make it")) return;
      const made = await post("/v1/keys", wanted);
      this.show(made.name, made.key);
      this.name.value = this.models.value = "";
      this.rows = [];
      this.limits.replaceChildren();
      if (isFirst && wanted.scopes.includes(ADMIN)) key.set(made.key);
    });
  }

  async rotate({ id, name }) {
    if (!await confirmed(`Give ${name} another secret? The old one is good for a day beside it.`, "Rotate")) return;
    await this.doing(async () => this.show(name, (await post(`/v1/keys/${encodeURIComponent(id)}/rotate`, {})).key));
  }

  async revoke({ id, name }) {
    if (!await confirmed(`Revoke ${name}? Whoever uses it may call no more.`, "Revoke")) return;
    await this.doing(() => call(`/v1/keys/${encodeURIComponent(id)}`, { method: "DELETE" }));
  }
}

export const keys = (place) => new Keys(place).open();
