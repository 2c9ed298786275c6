// The frame: which view is open, the theme, the key, and the light that says how it goes.

import { key, ROOT, unreachable } from "./api.js";
import { el, loading, trouble } from "./dom.js";
import { latest } from "./latest.js";

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

const LIGHT_WITHIN_MS = 4000;

const main = document.getElementById("main");
// Where each address was when it was left.
const places = new Map();
const opening = latest();
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
  show(view, parts.map(plain));
}

// A view fills a place of its own, so that one that is late fills nobody else's.
async function show([name, title], parts) {
  leave?.();
  leave = undefined;
  const isLast = opening();
  const place = el("div", { class: "view" }, loading(title));
  main.replaceChildren(place);
  try {
    const view = await import(`./${name}.js`).catch(() => { throw unreachable(); });
    if (!isLast()) return;
    const leaving = await view[name](place, ...parts);
    if (isLast()) leave = leaving;
    else leaving?.();
  } catch (error) {
    place.replaceChildren(trouble(error, () => show([name, title], parts)));
  }
}

const go = () => draw(location.hash.replace(/^#\//, "").split("/"));

// A place where one has been is found as it was left, any other at its top.
function move(event) {
  places.set(new URL(event.oldURL).hash, whereabouts(location.hash));
  const wasHere = history.state?.wasHere;
  history.replaceState({ wasHere: true }, "");
  if (!wasHere) scrollTo(0, 0);
  go();
  main.focus({ preventScroll: true });
  if (wasHere) comeBack(places.get(location.hash) ?? { y: 0 });
}

// The link that one follows tells it best: what is above may be of another height later.
const linkTo = (href) => main.querySelector(`a[href="${CSS.escape(href)}"]`);
const whereabouts = (next) => ({ y: scrollY, next, top: linkTo(next)?.getBoundingClientRect().top });

// As soon as there is so much to see again, and once more where that changes heights, unless one has
// gone elsewhere by then.
function comeBack({ y, next, top }) {
  const watcher = new ResizeObserver(() => {
    const link = top !== undefined && linkTo(next);
    const away = link ? link.getBoundingClientRect().top - top : y - scrollY;
    if (Math.abs(away) < 1) watcher.disconnect();
    else scrollBy(0, away);
  });
  watcher.observe(main);
  for (const act of ["wheel", "keydown", "pointerdown", "hashchange"]) addEventListener(act, () => watcher.disconnect(), { once: true });
}

async function light() {
  const node = document.getElementById("health");
  let status = "unreachable";
  try {
    const signal = AbortSignal.timeout(LIGHT_WITHIN_MS);
    const response = await fetch(new URL("health", ROOT), { cache: "no-store", signal });
    status = (await response.json()).status === "UP" ? "ready" : "not ready";
  } catch { /* unreachable it is */ }
  if (node.dataset.status === status) return;
  node.dataset.status = status;
  node.lastElementChild.textContent = status;
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
    // Its marks for code are for a shell.
    said.textContent = event.type === "key-wanted" ? event.detail.replaceAll("`", "") : "";
    dialog.showModal();
    input.focus();
  };
  document.getElementById("key").addEventListener("click", ask);
  document.addEventListener("key-wanted", ask);
  // Before it closes, so that no late refusal asks for what was just given.
  dialog.addEventListener("submit", ({ submitter }) => {
    const given = submitter.value === "use" ? input.value.trim() : "";
    if (!given && submitter.value !== "forget") return;
    key.set(given);
    dialog.addEventListener("close", go, { once: true });
  });
  dialog.addEventListener("close", () => { input.value = ""; });
}

document.getElementById("views").append(...VIEWS.map(([name, title]) => el("a", { href: `#/${name}` }, title)));
theme();
askForKey();
document.querySelector(".skip").addEventListener("click", (event) => {
  // Its address is none of a view.
  event.preventDefault();
  main.focus();
});
history.scrollRestoration = "manual";
history.replaceState({ wasHere: true }, "");
addEventListener("hashchange", move);
go();
light();
setInterval(() => { if (!document.hidden) light(); }, 5000);
