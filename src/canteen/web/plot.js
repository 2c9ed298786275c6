// Small plots of the last ten minutes.

import { svg } from "./dom.js";

const WIDTH = 240;
const HEIGHT = 44;

// Points are [age in seconds, value]; a null is a gap.
function path(points, spanS, most) {
  let pen = "M";
  return points.map(([ageS, value]) => {
    if (value === null) {
      pen = "M";
      return "";
    }
    const x = WIDTH * (1 - ageS / spanS);
    const y = HEIGHT - 3 - (HEIGHT - 8) * value / most;
    const step = `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
    return step;
  }).join("");
}

// A plot that is drawn anew by its function, with series of points over so many seconds; `least`
// is the smallest top.
export function plot(label, least) {
  const lines = [0, 1].map((at) => svg("path", { class: `line line-${at}`, fill: "none" }));
  const node = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: HEIGHT - 2, y2: HEIGHT - 2 }), lines);
  function draw(series, spanS) {
    const most = Math.max(least, ...series.flat().map(([, value]) => value ?? 0));
    lines.forEach((line, at) => line.setAttribute("d", path(series[at] ?? [], spanS, most)));
  }
  node.setAttribute("aria-label", `${label} over the last minutes`);
  return { node, draw };
}
