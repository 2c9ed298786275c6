// The frame: which view is open, the theme, the key, and the light that says how it goes.

import { key, ROOT } from "./api.js";
import { el, trouble } from "./dom.js";

// Each is a module of that name, which is loaded when it is opened.
const VIEWS = [
  ["play", "Play"],
  ["now", "Now"],
  ["footprint", "Ate and drank"],
  ["models", "Models"],
  ["tasks", "Tasks"],
  ["plan", "Plan"],
  ["jobs", "Jobs"],
  ["keys", "Keys"],
];

const main = document.getElementById("main");
let open = 0;
let leave;

// A part of an address that is no encoding is taken as it is.
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function draw([name, ...parts]) {
  const view = VIEWS.find(([one]) => one === name) ?? VIEWS[0];
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === `#/${view[0]}`) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else link.removeAttribute("aria-current");
  }
  document.title = `${view[1]} · Canteen`;
  show(view[0], parts.map(plain));
}

// A view fills a place of its own, so that one that is late fills nobody else's.
async function show(name, parts) {
  leave?.();
  leave = undefined;
  const turn = ++open;
  const place = el("div", { class: "view" });
  main.replaceChildren(place);
  try {
    const view = await import(`./${name}.js`);
    if (turn !== open) return;
    const leaving = await view[name](place, ...parts);
    if (turn === open) leave = leaving;
    else leaving?.();
  } catch (error) {
    place.replaceChildren(trouble(error, () => show(name, parts)));
  }
}

const go = () => draw(location.hash.replace(/^#\//, "").split("/"));

async function light() {
  const node = document.getElementById("health");
  let status = "unreachable";
  try {
    const response = await fetch(new URL("health", ROOT), { cache: "no-store" });
    status = (await response.json()).status === "UP" ? "ready" : "not ready";
  } catch { /* unreachable it is */ }
  node.dataset.status = status;
  node.textContent = status;
}

function theme() {
  const stored = localStorage.getItem("canteen.theme");
  if (stored) document.documentElement.dataset.theme = stored;
  document.getElementById("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme
      ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    const next = now === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("canteen.theme", next);
  });
}

function askForKey() {
  const dialog = document.getElementById("ask-key");
  const input = document.getElementById("key-input");
  const said = document.getElementById("ask-key-said");
  const ask = (event) => {
    if (dialog.open) return;
    said.textContent = event.type === "key-wanted" ? event.detail : "";
    input.value = "";
    dialog.returnValue = "cancel";
    dialog.showModal();
    input.focus();
  };
  document.getElementById("key").addEventListener("click", ask);
  document.addEventListener("key-wanted", ask);
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "use" && input.value.trim()) key.set(input.value.trim());
    else if (dialog.returnValue === "forget") key.set("");
    else return;
    input.value = "";
    go();
  });
}

document.getElementById("views").append(...VIEWS.map(([name, title]) => el("a", { href: `#/${name}` }, title)));
theme();
askForKey();
addEventListener("hashchange", () => { go(); main.focus({ preventScroll: true }); scrollTo(0, 0); });
go();
light();
setInterval(() => { if (!document.hidden) light(); }, 5000);
