// The call of an answer as code, for those who would rather write it.

import { button, copy, el } from "./dom.js";
import { key } from "./api.js";

const base = () => location.origin;
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

function curl(body) {
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  const header = key.get() ? ` \\\n  -H "Authorization: Bearer ${bearer()}"` : "";
  return `curl -sSN ${base()}/v1/chat/completions \\\n  -H 'Content-Type: application/json'${header} \\\n  -d '${quoted}'\n`;
}

function openai(body) {
  const named = Object.entries(body).map(([name, value]) => `    ${name}=${python(value, "    ")},\n`).join("");
  return `${importOs()}from openai import OpenAI

client = OpenAI(base_url="${base()}/v1", api_key=${secretInPython()})
chunks = client.chat.completions.create(
${named})
for chunk in chunks:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    else:
        print("\\n", chunk.footprint["energy_wh"])
`;
}

function java(body) {
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
        var request = HttpRequest.newBuilder(URI.create("${base()}/v1/chat/completions"))
            .header("Content-Type", "application/json")${header}
            .POST(HttpRequest.BodyPublishers.ofString(body))
            .build();
        HttpClient.newHttpClient().send(request, BodyHandlers.ofLines())
            .body().filter(line -> line.startsWith("data: ")).forEach(System.out::println);
    }
}
`;
}

function langchain(body) {
  const { messages, model, temperature, max_tokens, seed, response_format } = body;
  const more = { model, temperature, max_tokens, seed, ...(response_format && { model_kwargs: { response_format } }) };
  const named = Object.entries(more).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `    ${name}=${python(value, "    ")},\n`).join("");
  return `${importOs()}from langchain_openai import ChatOpenAI

llm = ChatOpenAI(
    base_url="${base()}/v1",
    api_key=${secretInPython()},
${named})
for chunk in llm.stream(${python(messages)}):
    print(chunk.text, end="", flush=True)
`;
}

const LANGUAGES = { curl, Python: openai, Java: java, LangChain: langchain };

// A dialog with a tab for each language.
export function showCode(body) {
  const code = el("code");
  const copying = button("Copy", () => copy(code.textContent, copying), { class: "primary" });
  const tabs = Object.keys(LANGUAGES).map((name) => el("button", {
    type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "code-panel", onclick: () => choose(name),
  }, name));
  function choose(name) {
    for (const tab of tabs) {
      const isChosen = tab.textContent === name;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    code.textContent = LANGUAGES[name](body);
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
