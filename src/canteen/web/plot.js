// Plots: small ones of the last ten minutes, and charts with axes that are drawn at the width they
// have. What a chart shows is said in its label, and stands in a table or in figures beside it.

import { el, svg } from "./dom.js";
import { digits } from "./figures.js";

const WIDTH = 240;
const HEIGHT = 48;

// Points are [age in seconds, value]; a null is a gap.
function path(points, spanS, most) {
  let pen = "M";
  return points.map(([ageS, value]) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const step = `${pen}${(WIDTH * (1 - ageS / spanS)).toFixed(1)} ${heightOf(value, most)}`;
    pen = "L";
    return step;
  }).join("");
}

const heightOf = (value, most) => (HEIGHT - 2 - (HEIGHT - 6) * value / most).toFixed(1);

// What is under a line, piece by piece between its gaps.
function area(points, spanS, most) {
  const x = ([ageS]) => (WIDTH * (1 - ageS / spanS)).toFixed(1);
  const pieces = [[]];
  for (const point of points) {
    if (point[1] === null) pieces.push([]);
    else pieces.at(-1).push(point);
  }
  return pieces.filter((piece) => piece.length > 1).map((piece) =>
    `${path(piece, spanS, most)}L${x(piece.at(-1))} ${HEIGHT - 2}L${x(piece[0])} ${HEIGHT - 2}Z`).join("");
}

// A plot that is drawn anew by its function, with series of points over so many seconds; `least`
// is the smallest top, and `tell` writes a value.
export function plot(label, least, tell = digits) {
  const lines = [0, 1].map((at) => svg("path", { class: `line line-${at}`, fill: "none" }));
  const under = svg("path", { class: "area" });
  const peak = el("span", { class: "peak", "aria-hidden": "true" });
  const drawn = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1 }), under, lines);
  function draw(series, spanS) {
    const values = series.flat().map(([, value]) => value).filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const most = Math.max(least, high);
    under.setAttribute("d", area(series[0] ?? [], spanS, most));
    lines.forEach((line, at) => line.setAttribute("d", path(series[at] ?? [], spanS, most)));
    peak.textContent = values.length ? `at most ${tell(high)}` : "";
    drawn.setAttribute("aria-label", `${label} over the last ten minutes: ${values.length ? `${tell(low)} to ${tell(high)}` : "not known"}`);
  }
  return { node: el("div", { class: "plotted" }, peak, drawn), draw };
}

// Round numbers over a range, about so many.
export function ticks(low, high, about) {
  const rough = (high - low) / about || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(Number(at.toPrecision(12)));
  return found;
}

const MARGIN = { top: 14, right: 14, bottom: 38, left: 64 };

// A chart as wide as its place, drawn by `draw(paper)` whenever that changes; `redraw` does it too.
export function chart(label, height, draw) {
  const node = svg("svg", { class: "chart", height, role: "img", "aria-label": label });
  const redraw = () => {
    const width = node.getBoundingClientRect().width;
    if (!width) return;
    node.setAttribute("viewBox", `0 0 ${width} ${height}`);
    node.replaceChildren();
    draw(paper(node, width, height));
  };
  new ResizeObserver(redraw).observe(node);
  return { node, redraw };
}

// Where things are on a chart: scales from values to places, and axes.
function paper(node, width, height) {
  const inner = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const scale = (low, high, from, to) => (value) => from + (to - from) * (value - low) / (high - low || 1);
  const put = (tag, attributes, ...children) => {
    const made = svg(tag, attributes, ...children);
    node.append(made);
    return made;
  };
  const text = (x, y, words, attributes = {}) => put("text", { x, y, ...attributes }, words);
  return {
    inner, put, text, width, height,
    // The vertical axis with its grid; gives the scale.
    vertical(low, high, title, tell = digits) {
      const y = scale(low, high, inner.bottom, inner.top);
      for (const at of ticks(low, high, 4)) {
        put("line", { class: "grid-line", x1: inner.left, x2: inner.right, y1: y(at), y2: y(at) });
        text(inner.left - 8, y(at) + 4, tell(at), { "text-anchor": "end" });
      }
      if (title) text(14, (inner.top + inner.bottom) / 2, title, { class: "axis-title", "text-anchor": "middle", transform: `rotate(-90 14 ${(inner.top + inner.bottom) / 2})` });
      return y;
    },
    horizontal(low, high, title, tell = digits) {
      const x = scale(low, high, inner.left, inner.right);
      for (const at of ticks(low, high, Math.max(2, Math.floor(width / 70)))) text(x(at), inner.bottom + 17, tell(at), { "text-anchor": "middle" });
      text((inner.left + inner.right) / 2, height - 3, title, { class: "axis-title", "text-anchor": "middle" });
      return x;
    },
  };
}
