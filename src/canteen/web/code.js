// The call of an answer as code, for those who would rather write it.

import { button, copy, el } from "./dom.js";
import { key, ROOT } from "./api.js";

const base = () => ROOT.href.replace(/\/$/, "");
const bearer = () => key.get() ? "$CANTEEN_KEY" : "not needed";

function python(value, indent = "") {
  const inner = `${indent}    `;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) {
    return value.length ? `[\n${value.map((one) => `${inner}${python(one, inner)},\n`).join("")}${indent}]` : "[]";
  }
  if (typeof value === "object") {
    const rows = Object.entries(value).map(([name, one]) => `${inner}${JSON.stringify(name)}: ${python(one, inner)},\n`);
    return rows.length ? `{\n${rows.join("")}${indent}}` : "{}";
  }
  return JSON.stringify(value);
}

const secretInPython = () => key.get() ? 'os.environ["CANTEEN_KEY"]' : '"not needed"';
const importOs = () => key.get() ? "import os\n\n" : "";

// What OpenAI's own client does not know goes into the body beside what it knows.
const OWN = ["top_k", "min_p", "repetition_penalty"];

function named(body) {
  const known = Object.entries(body).filter(([name]) => !OWN.includes(name));
  const own = Object.entries(body).filter(([name]) => OWN.includes(name));
  return [...known, ...(own.length ? [["extra_body", Object.fromEntries(own)]] : [])]
    .map(([name, value]) => `    ${name}=${python(value, "    ")},\n`).join("");
}

function curl({ path, body }) {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const header = key.get() ? ` \\\n  -H "Authorization: Bearer ${bearer()}"` : "";
  return `curl -sSN ${base()}${path} \\\n  -H 'Content-Type: application/json'${header} \\\n  -d '${quoted}'\n`;
}

function openai({ body }) {
  return `${importOs()}from openai import OpenAI

client = OpenAI(base_url="${base()}/v1", api_key=${secretInPython()})
chunks = client.chat.completions.create(
${named(body)})
for chunk in chunks:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    else:
        print("\\n", chunk.footprint["energy_wh"])
`;
}

function java({ path, body }) {
  const json = JSON.stringify(body, null, 2).replaceAll("\\", "\\\\").replaceAll("\n", "\n            ");
  const header = key.get() ? '\n            .header("Authorization", "Bearer " + System.getenv("CANTEEN_KEY"))' : "";
  return `import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

public class Ask {
    public static void main(String[] args) throws Exception {
        var body = """
            ${json}
            """;
        var request = HttpRequest.newBuilder(URI.create("${base()}${path}"))
            .header("Content-Type", "application/json")${header}
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        HttpClient.newHttpClient().send(request, BodyHandlers.ofLines())
            .body().filter(line -> !line.isEmpty()).forEach(System.out::println);
    }
}
`;
}

function langchain({ body }) {
  const { messages, stream, stream_options: options, response_format: format, ...rest } = body;
  return `${importOs()}from langchain_openai import ChatOpenAI

llm = ChatOpenAI(
    base_url="${base()}/v1",
    api_key=${secretInPython()},
${named({ ...rest, ...(format && { model_kwargs: { response_format: format } }) })})
for chunk in llm.stream(${python(messages)}):
    print(chunk.text, end="", flush=True)
`;
}

const headersInPython = () => {
  const secret = key.get() ? ', "Authorization": "Bearer " + os.environ["CANTEEN_KEY"]' : "";
  return `{"Content-Type": "application/json"${secret}}`;
};

const asking = (path, indent) => `request = urllib.request.Request(
${indent}    "${base()}${path}", json.dumps(body).encode(), ${headersInPython()}
${indent})`;

const imports = () => `import json\n${key.get() ? "import os\n" : ""}import urllib.request\n`;

function plainPython({ path, body }) {
  return `${imports()}
body = ${python(body)}
${asking(path, "")}
with urllib.request.urlopen(request) as answer:
    print(json.dumps(json.load(answer), indent=2))
`;
}

// A tool that an agent can call, with the field that varies as its argument.
function tool({ path, body, name, about, varies }) {
  const { [varies]: given, ...fixed } = body;
  return `${imports()}
from langchain_core.tools import tool

@tool
def ${name}(${varies}: ${typeof given === "string" ? "str" : Array.isArray(given) ? "list" : "dict"}) -> dict:
    """${about}"""
    body = ${python({ ...fixed }, "    ")} | {"${varies}": ${varies}}
    ${asking(path, "    ")}
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


print(${name}.invoke({"${varies}": ${python(given)}}))
`;
}

const CHAT = { curl, Python: openai, Java: java, LangChain: langchain };
const PLAIN = { curl, Python: plainPython, Java: java };

// A dialog with a tab for each language. A call is a path and a body; one that is told its name,
// what it is about and which of its fields varies is a tool too.
export function showCode(asked) {
  const languages = asked.body.messages ? CHAT : { ...PLAIN, ...(asked.name && { LangChain: tool }) };
  const code = el("code");
  const copying = button("Copy", () => copy(code.textContent, copying), { class: "primary" });
  const tabs = Object.keys(languages).map((name) => el("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "code-panel", onclick: () => choose(name),
  }, name));
  function choose(name) {
    for (const tab of tabs) {
      const isChosen = tab.textContent === name;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    code.textContent = languages[name](asked);
  }
  function move(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
    next.focus();
    choose(next.textContent);
  }
  const panel = el("pre", { role: "tabpanel", id: "code-panel", tabindex: "0" }, code);
  const dialog = el("dialog", { class: "wide", "aria-label": "As code", onclose: () => dialog.remove() },
    el("h2", {}, "As code"),
    el("div", { role: "tablist", "aria-label": "Language", class: "tabs", onkeydown: move }, tabs),
    panel,
    el("div", { class: "actions" }, copying, button("Close", () => dialog.close(), { class: "quiet" })));
  choose("curl");
  document.body.append(dialog);
  dialog.showModal();
}
