// What is drawn of a plan: its memory to scale, and its cost over how busy it is.

import { el, svg } from "./dom.js";
import { bytes, digits, scaled } from "./figures.js";

const PARTS = [["Weights", "weights_bytes"], ["KV cache", "kv_total_bytes"], ["Activations", "compute_bytes"], ["Engine", "overhead_bytes"]];

// A bar of what fills the memory; where that is more than there is, a line says where it ends.
export function memoryBar(plan) {
  const there = plan.available_bytes ?? plan.total_bytes;
  const most = Math.max(plan.total_bytes, there);
  let at = 0;
  const rects = PARTS.map(([, name], part) => {
    const rect = svg("rect", { class: `part-${part}`, x: 1000 * at / most, width: 1000 * plan[name] / most, y: 0, height: 40 });
    at += plan[name];
    return rect;
  });
  const told = `${bytes(plan.total_bytes)} of ${plan.available_bytes ? bytes(there) : "an unknown memory"}`;
  return [
    svg("svg", { class: "memory", viewBox: "0 0 1000 40", preserveAspectRatio: "none", role: "img", "aria-label": `Memory: ${told}` },
      svg("rect", { class: "free", x: 0, width: 1000 * there / most, y: 0, height: 40 }), rects,
      plan.total_bytes > there && svg("line", { class: "limit", x1: 1000 * there / most, x2: 1000 * there / most, y1: 0, y2: 40 })),
    el("ul", { class: "legend" }, PARTS.filter(([, name]) => plan[name]).map(([title, name]) => el("li", {},
      el("span", { class: `swatch part-${PARTS.findIndex(([, one]) => one === name)}` }), `${title} `, el("strong", {}, bytes(plan[name])),
      name === "weights_bytes" && !plan.weights_are_exact && ` (${bytes(plan.weights_low_bytes)} at least)`)),
    plan.headroom_bytes > 0 && el("li", {}, el("span", { class: "swatch free" }), "Free ", el("strong", {}, bytes(plan.headroom_bytes)))),
  ];
}

// What a million written tokens cost at full load, in as large a batch as there is room for.
function fullCost(plan, utilization) {
  const cost = plan.batches?.at(-1)?.cost_usd_per_mtok;
  return cost && { central: cost.central * utilization, low: cost.low * utilization, high: cost.high * utilization };
}

const LEFT = 52;
const BOTTOM = 34;
// Nearer to idle a token has hardly a price.
const LEAST = 0.05;

class Scales {
  constructor(width, height, costs) {
    Object.assign(this, { width, height });
    this.low = Math.log10(Math.min(...costs) * 0.7);
    this.high = Math.log10(Math.max(...costs) * 1.3);
  }

  x(share) {
    return LEFT + (this.width - LEFT - 12) * share;
  }

  y(cost) {
    const at = (Math.log10(cost) - this.low) / (this.high - this.low);
    return 10 + (this.height - BOTTOM - 10) * (1 - Math.min(1, Math.max(0, at)));
  }

  // Costs to write beside the axis: the decades, and between them where there are few.
  get ticks() {
    const decades = [];
    for (let power = Math.floor(this.low); power <= this.high; power += 1) decades.push(10 ** power);
    const all = this.high - this.low < 2.2 ? decades.flatMap((one) => [one, 2 * one, 5 * one]) : decades;
    return all.filter((one) => Math.log10(one) >= this.low && Math.log10(one) <= this.high);
  }
}

function axes(scales) {
  const { width, height } = scales;
  return [
    scales.ticks.map((one) => [svg("line", { class: "rule", x1: LEFT, x2: width - 12, y1: scales.y(one), y2: scales.y(one) }),
      svg("text", { class: "tick end", x: LEFT - 8, y: scales.y(one) + 4 }, `$${digits(one)}`)]),
    [0, 0.25, 0.5, 0.75].map((one) => svg("text", { class: "tick middle", x: scales.x(one), y: height - 12 }, `${100 * one} %`)),
    svg("text", { class: "tick end", x: width - 8, y: height - 12 }, "100 %"),
  ];
}

const shares = Array.from({ length: 50 }, (_, at) => LEAST + (1 - LEAST) * at / 49);
const points = (scales, cost) => shares.map((one) => `${scales.x(one).toFixed(1)},${scales.y(cost / one).toFixed(1)}`);

function breakEven(scales, value) {
  if (!value || value.low >= 1) return [];
  const [from, to, at] = [value.low, Math.min(1, value.high), value.central].map((one) => scales.x(Math.max(0, one)));
  return [
    svg("rect", { class: "even-range", x: from, width: Math.max(1, to - from), y: 10, height: scales.height - BOTTOM - 10 }),
    value.central < 1 && svg("line", { class: "even", x1: at, x2: at, y1: 10, y2: scales.height - BOTTOM }),
  ];
}

// Cost of a million written tokens over the share of full load, with its interval; somebody else's
// price, where one is named, and from where on one's own is the cheaper one.
export function costPlot(plan, utilization, completion) {
  const full = fullCost(plan, utilization);
  const narrow = matchMedia("(max-width: 47.99rem)").matches;
  const [width, height] = narrow ? [360, 260] : [720, 300];
  const there = plan.saas && plan.saas.cost_usd_per_request.central / completion * 1e6;
  const scales = new Scales(width, height, [full.low, full.high / LEAST, ...(there ? [there] : [])]);
  const band = [...points(scales, full.low), ...points(scales, full.high).reverse()].join(" ");
  const [x, y] = [scales.x(utilization), scales.y(full.central / utilization)];
  const label = `Cost over the share of full load: ${scaled(full.central, "$")} a million tokens at full load, `
    + `${scaled(full.central / utilization, "$")} at ${Math.round(100 * utilization)} %${there ? `; ${plan.saas.model} takes ${scaled(there, "$")}` : ""}`;
  return el("figure", { class: "cost" },
    svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
      axes(scales), breakEven(scales, plan.break_even_utilization),
      svg("polygon", { class: "band", points: band }), svg("polyline", { class: "own", points: points(scales, full.central).join(" ") }),
      there && svg("line", { class: "there", x1: LEFT, x2: width - 12, y1: scales.y(there), y2: scales.y(there) }),
      svg("line", { class: "at", x1: x, x2: x, y1: y, y2: height - BOTTOM }), svg("circle", { class: "at-mark", cx: x, cy: y, r: 5 })),
    el("figcaption", {}, el("ul", { class: "legend" },
      el("li", {}, el("span", { class: "key own" }), "Of one's own, with its interval"),
      there && el("li", {}, el("span", { class: "key there" }), `${plan.saas.model}, ${scaled(there, "$")}`),
      plan.break_even_utilization?.low < 1 && el("li", {}, el("span", { class: "swatch even-range" }), "Break-even, with its interval"))));
}
