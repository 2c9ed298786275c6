// Builds elements. Text only ever becomes a text node, whoever wrote it.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const el = (tag, attributes = {}, ...children) =>
  filled(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

let lastId = 0;

// A labelled control; the hint is read out with it.
export function field(label, control, hint = "") {
  const id = `f${++lastId}`;
  control.id = id;
  if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
  return el("div", { class: "field" },
    el("label", { for: id }, label), control,
    hint && el("p", { class: "hint", id: `${id}-hint` }, hint));
}

export const button = (label, onclick, attributes = {}) =>
  el("button", { type: "button", onclick, ...attributes }, label);

// A button that may not be pressed for now: unlike one that is disabled, it keeps the focus.
export const pause = (control, isPaused) => control.setAttribute("aria-disabled", Boolean(isPaused));

// On a phone a row is a block whose cells say what they are, so the roles are told.
export function table(caption, heads, rows) {
  const cell = (content, at) => at
    ? el("td", { role: "cell", "data-label": heads[at] }, el("div", {}, content))
    : el("th", { role: "rowheader", scope: "row" }, content);
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", { role: "table" },
      el("caption", { class: "unseen" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" },
        heads.map((head) => el("th", { role: "columnheader", scope: "col" }, head)))),
      el("tbody", { role: "rowgroup" }, rows.map((cells) => el("tr", { role: "row" }, cells.map(cell))))));
}

export const notice = (text, ...more) => el("div", { class: "notice" }, el("p", {}, text), ...more);

export const loading = (what) => el("p", { class: "loading", role: "status" }, `Loading ${what} …`);

// What went wrong, what to do, and a way to try again.
export function trouble(error, again) {
  return el("div", { class: "notice bad", role: "alert" },
    el("p", {}, el("strong", {}, error.title ?? "That did not work."), " ", error.message),
    error.advice && el("p", {}, error.advice),
    again && button("Try again", again));
}

export async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied";
  } catch {
    said.textContent = "Select and copy it by hand: the browser allows no copying here";
  }
  setTimeout(() => { said.textContent = "Copy"; }, 2500);
}

// A question before what cannot be undone; resolves to whether it was answered with yes.
export function confirmed(question, yes) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { "aria-label": question, onclose: () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    } },
    el("form", { method: "dialog" }, el("p", {}, question),
      el("div", { class: "actions" },
        el("button", { class: "danger", value: "yes" }, yes),
        el("button", { class: "quiet", value: "no", autofocus: true }, "Cancel"))));
    document.body.append(dialog);
    dialog.showModal();
  });
}
