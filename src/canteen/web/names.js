// Who asked: keys by their names, where those may be seen.

import { get } from "./api.js";
import { el } from "./dom.js";

// The names by id. Without them the ids are as good, so nothing is said of what went wrong.
export async function keyNames() {
  try {
    const { keys = [] } = await get("/v1/keys", { accept: [401, 403] });
    return new Map(keys.map(({ id, name }) => [id, name]));
  } catch {
    return new Map();
  }
}

export const who = (id, names) => names.has(id) ? [names.get(id), el("span", { class: "span" }, id)] : id;
