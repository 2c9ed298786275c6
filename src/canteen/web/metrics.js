// Prometheus' text format, and what two readings of it say of the time between them.

// Samples by name: {labels, value}.
export function parsed(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    if (!line || line[0] === "#") continue;
    const found = /^([\w:]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, escaped) => escaped === "n" ? "\n" : escaped);
    }
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value: Number(found[3].replace("Inf", "Infinity")) });
  }
  return samples;
}

const isOf = (model) => ({ labels }) => model === undefined || (labels.model_name ?? labels.model) === model;

export function total(samples, name, model) {
  return (samples.get(name) ?? []).filter(isOf(model)).reduce((sum, { value }) => sum + value, 0);
}

// Cumulative counts by upper bound, in seconds.
export function buckets(samples, name, model) {
  const counts = new Map();
  for (const { labels, value } of (samples.get(`${name}_bucket`) ?? []).filter(isOf(model))) {
    const bound = Number(labels.le.replace("Inf", "Infinity"));
    counts.set(bound, (counts.get(bound) ?? 0) + value);
  }
  return [...counts].sort(([a], [b]) => a - b);
}

// A quantile of what came between two readings of a histogram, as Prometheus estimates it; null
// where nothing came.
export function quantile(share, now, before = []) {
  const earlier = new Map(before);
  const counts = now.map(([bound, value]) => [bound, value - (earlier.get(bound) ?? 0)]);
  const all = counts.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  const rank = share * all;
  let [low, below] = [0, 0];
  for (const [bound, value] of counts) {
    if (value >= rank) return bound === Infinity ? low : low + (bound - low) * (rank - below) / (value - below || 1);
    [low, below] = [bound, value];
  }
  return null;
}
