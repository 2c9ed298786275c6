// Long lists: a filter by name, and the focus that stays where a list is drawn anew.

import { el, field } from "./dom.js";
import { count } from "./figures.js";

// So many are seen at one glance.
const FEW = 12;

export class NameFilter {
  constructor(label) {
    this.input = el("input", { type: "search", spellcheck: "false", autocomplete: "off", oninput: () => this.apply() });
    this.said = el("p", { class: "hint", role: "status" });
    this.node = el("div", { class: "bar", hidden: true }, field(label, this.input), this.said);
    this.items = [];
  }

  // The names of the list and their nodes, which are hidden where the name is another.
  over(items) {
    this.items = items;
    this.node.hidden = items.length <= FEW;
    this.apply();
  }

  apply() {
    const wanted = this.node.hidden ? "" : this.input.value.trim().toLowerCase();
    const found = this.items.filter(([name, node]) => {
      node.hidden = !name.toLowerCase().includes(wanted);
      return !node.hidden;
    });
    this.said.textContent = wanted ? `${count(found.length)} of ${count(this.items.length)}` : "";
  }
}

// The focus stays with a node that is drawn again, and falls to the list where it is gone.
export function redraw(list, ...nodes) {
  const held = document.activeElement;
  const hadFocus = list.contains(held);
  list.replaceChildren(...nodes);
  if (hadFocus) (held.isConnected ? held : list).focus({ preventScroll: true });
}
