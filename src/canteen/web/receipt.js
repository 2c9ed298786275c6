// What an answer ate and drank.

import { el } from "./dom.js";
import { count, digits, estimate, plain, seconds } from "./figures.js";

export const litres = (ml) => ({ ...ml, central: ml.central / 1000, low: ml.low / 1000, high: ml.high / 1000 });

// The estimates of a receipt or of a sum of receipts.
export function estimates({ energy_wh, water_ml, carbon_g, cost_usd }) {
  return [
    estimate("Energy", energy_wh, "Wh"),
    estimate("Water, power plants", litres(water_ml.source), "L"),
    estimate("Water, on site", litres(water_ml.site), "L"),
    estimate("Carbon", carbon_g, "g"),
    estimate("Cost", cost_usd, "$"),
  ];
}

// `ttftS` is what the browser saw; the receipt's own is what the service knows of.
export function receipt(footprint, ttftS) {
  const { prompt, cached, completion } = footprint.tokens;
  const { queue, prefill, decode } = footprint.time_s;
  const rate = completion > 1 && decode ? digits((completion - 1) / decode) : "–";
  return el("section", { class: "receipt", "aria-label": "Receipt" },
    el("dl", { class: "figures" },
      estimates(footprint),
      plain("Tokens", `${count(prompt)} in, ${count(completion)} out`, cached ? `${count(cached)} from the cache` : ""),
      completion > 0 && [
        plain("First token", seconds(ttftS ?? queue + prefill), ttftS === undefined ? "in the service" : "as seen here"),
        plain("Tokens a second", rate, "after the first"),
      ]),
    el("p", { class: "hint" },
      el("a", { href: `#/footprint/${encodeURIComponent(footprint.id)}` }, "How these figures come about"), " · ",
      `${footprint.model} on ${footprint.engine}, node ${footprint.node}`));
}
