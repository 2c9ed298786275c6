// Texts with places in them marked. Places are counted in characters as Unicode has them, and
// JavaScript counts otherwise.

import { el } from "./dom.js";

// The text in pieces, each place of `found` as `mark(text, one)` draws it; of two that overlap the
// first is marked.
export function marked(text, found, mark) {
  const characters = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const one of [...found].sort((a, b) => a.start - b.start)) {
    if (one.start < at) continue;
    pieces.push(characters.slice(at, one.start).join(""), mark(characters.slice(one.start, one.end).join(""), one));
    at = one.end;
  }
  return [...pieces, characters.slice(at).join("")];
}

const SILENT = new Set(("a an and are as at be by can do does for from has have how i in is it its not of on or that the this to "
  + "was what when where which who why will with you").split(" "));
const stem = (word) => word.length > 5 ? word.slice(0, -2) : word.replace(/(?<=...)s$/, "");

// A text with the words of a query in it marked, in whatever ending.
export function withWords(text, query) {
  const wanted = (query.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).filter((word) => !SILENT.has(word)).map(stem);
  return text.split(/([\p{L}\p{N}]+)/u).map((piece, at) =>
    at % 2 && wanted.some((word) => piece.toLowerCase().startsWith(word)) ? el("mark", { class: "word" }, piece) : piece);
}

// A button in one place that leads to another, and shows which.
export function leading(label, name, find) {
  return el("button", { type: "button", class: "cite", "aria-label": name, onclick: () => {
    const target = find();
    target.closest("[data-lit]")?.querySelectorAll(".lit").forEach((one) => one.classList.remove("lit"));
    target.classList.add("lit");
    target.scrollIntoView({ block: "center" });
    target.focus({ preventScroll: true });
  } }, label);
}
