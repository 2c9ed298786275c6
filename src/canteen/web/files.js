// Texts and files that people bring: typed, pasted, dropped or chosen.

import { button, el, field } from "./dom.js";
import { bytes } from "./figures.js";
import { latest } from "./latest.js";

// What a browser reads as the service does; of all else the service makes the text.
const isPlain = (file) => /\.txt$/i.test(file.name) || file.type === "text/plain";

export async function base64(file) {
  const data = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let at = 0; at < data.length; at += 0x8000) text += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return btoa(text);
}

// A place to drop files on, around something, with a button for those who rather choose.
export function dropping(take, content, { multiple = false } = {}) {
  const input = el("input", { type: "file", class: "unseen", multiple, accept: ".txt,.md,.html,.htm,.pdf,.jsonl,text/*,application/pdf",
    onchange: () => { take([...input.files]); input.value = ""; } });
  const node = el("div", { class: "drop",
    ondragover: (event) => { event.preventDefault(); node.classList.add("over"); },
    ondragleave: () => node.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      node.classList.remove("over");
      if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    } },
  content,
  el("p", { class: "hint" }, el("label", { class: "as-link" }, multiple ? "Choose files" : "Choose a file", input),
    " or drop it here: text, Markdown, HTML or PDF."));
  return node;
}

// A text, or a file in its place.
export class TextOrFile {
  constructor(label, value, rows = 6) {
    this.asking = latest();
    this.area = el("textarea", { rows, value, required: true });
    this.told = el("p", { class: "file", hidden: true });
    this.node = dropping(([file]) => this.take(file), [field(label, this.area), this.told]);
  }

  async take(file) {
    const isLast = this.asking();
    const content = isPlain(file) ? await file.text() : await base64(file);
    if (!isLast()) return;
    if (isPlain(file)) {
      this.forget();
      this.area.value = content;
      return;
    }
    this.document = { name: file.name, media_type: file.type, data: content };
    this.area.value = "";
    this.area.required = false;
    this.area.parentElement.hidden = true;
    this.told.hidden = false;
    this.told.replaceChildren(el("strong", {}, file.name), ` ${bytes(file.size)} `,
      button("Take it away", () => this.forget(), { class: "quiet" }));
  }

  forget() {
    this.document = undefined;
    this.area.required = true;
    this.area.parentElement.hidden = false;
    this.told.hidden = true;
  }

  // As a request has it: a text, or a document.
  get value() {
    return this.document ?? this.area.value;
  }
}
