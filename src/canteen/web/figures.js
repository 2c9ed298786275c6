// Numbers for people: scaled units, and intervals drawn as intervals.

import { el, svg } from "./dom.js";

const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"], [1e-12, "p"]];

// Three digits.
export function digits(value) {
  if (value === 0) return "0";
  return value.toLocaleString("en", { maximumSignificantDigits: 3 });
}

const SMALL_MONEY = PREFIXES.filter(([, prefix]) => prefix === "µ" || prefix === "n");

// Money is told in whole dollars, but for what would be mostly zeros.
function scaleOf(value, unit) {
  const size = Math.abs(value);
  const known = unit !== "$" ? PREFIXES : size < 0.9995e-4 ? SMALL_MONEY : [[1, ""]];
  return size ? known.find(([factor]) => size >= factor * 0.9995) ?? known.at(-1) : [1, ""];
}

const withUnit = (text, prefix, unit) => unit === "$" && !prefix ? `$${text}` : `${text} ${prefix}${unit}`;

export function scaled(value, unit) {
  const [factor, prefix] = scaleOf(value, unit);
  return withUnit(digits(value / factor), prefix, unit);
}

export function span({ low, high, central }, unit) {
  const [factor, prefix] = scaleOf(central, unit);
  const two = (value) => (value / factor).toLocaleString("en", { maximumSignificantDigits: 2 });
  return withUnit(`${two(low)} – ${two(high)}`, prefix, unit);
}

export function seconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  return value < 1 ? `${digits(value * 1000)} ms` : `${digits(value)} s`;
}

// A date and time here; the year where it is another.
export function moment(date, more = {}) {
  const year = date.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return date.toLocaleString("en", { year, month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...more });
}

// What a meter counts, in words.
const BOUNDARIES = {
  cpu: "the processor", platform: "the board", gpu: "the GPUs", "cpu+gpu": "processor and GPUs", it: "the whole machine",
};

export function metered(boundary) {
  return BOUNDARIES[boundary] ?? boundary;
}

export function bytes(value) {
  if (!value) return "0 B";
  const power = Math.min(Math.floor(Math.log(value) / Math.log(1024)), 4);
  return `${digits(value / 1024 ** power)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

export const count = (value) => value.toLocaleString("en");

const GRADES = {
  A: "measured by a counter", B: "modelled from much", C: "modelled from processor time",
  D: "declared or modelled from tokens",
};

export function grade(letter) {
  if (!letter) return null;
  return el("span", { class: "grade", "data-grade": letter, title: `Grade ${letter}: ${GRADES[letter] ?? ""}` },
    el("span", { class: "unseen" }, "grade "), letter);
}

// Low to high as a bar, the central value as a mark, on a scale from 0 to most.
export function interval({ low, high, central }, most = high) {
  const at = (value) => most ? Math.min(100, 100 * value / (most * 1.04)) : 0;
  return svg("svg", { class: "interval", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { class: "interval-axis", x1: 0, x2: 100, y1: 4, y2: 4 }),
    svg("rect", { class: "interval-range", x: at(low), y: 2, width: Math.max(0.8, at(high) - at(low)), height: 4 }),
    svg("rect", { class: "interval-mark", x: Math.max(0, at(central) - 0.6), y: 0, width: 1.2, height: 8 }));
}

// A figure with its name, interval and grade; null where nothing is known.
export function estimate(name, value, unit) {
  if (!value) return plain(name, "unknown");
  return el("div", { class: "figure" },
    el("dt", {}, name),
    el("dd", {},
      el("span", { class: "value" }, scaled(value.central, unit), " ", grade(value.grade)),
      interval(value),
      el("span", { class: "span" }, span(value, unit))));
}

export const plain = (name, value, under = "") => el("div", { class: "figure" },
  el("dt", {}, name),
  el("dd", {}, el("span", { class: "value" }, value), under && el("span", { class: "span" }, under)));

// How large a model is, and in what format.
export const weights = ({ num_parameters: num, quantization }) => [
  num >= 1e9 ? `${(num / 1e9).toFixed(1)} B` : num >= 1e6 ? `${Math.round(num / 1e6)} M` : "", quantization && quantization !== "none" ? quantization : "",
].filter(Boolean).join(" · ");
