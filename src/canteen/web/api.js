// The public HTTP API: the key in a header, errors with advice, streams as async iterators.

const KEY = "canteen.key";
// Where the API is, beside the console: a proxy may have put both behind a prefix.
export const ROOT = new URL("..", import.meta.url);

export const key = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (secret) => {
    if (secret) sessionStorage.setItem(KEY, secret);
    else sessionStorage.removeItem(KEY);
    document.dispatchEvent(new Event("key-changed"));
  },
};

export class ApiError extends Error {
  constructor(message, status, title, advice) {
    super(message);
    Object.assign(this, { status, title, advice });
  }
}

const ADVICE = {
  401: ["A key is needed.", "Press “Key” at the top and paste one."],
  403: ["Not allowed.", "Use a key with the scope that is named, or ask the operator of this service."],
  404: ["Not found.", "It may be gone by now: open this view again to see what there is."],
  429: ["Too much for now.", "Wait a moment, then try again."],
  503: ["The service is busy.", "Wait a moment, then try again."],
};

const RUNS = "See whether `canteen serve` still runs, then try again.";
export const unreachable = () => new ApiError("No answer from the service.", 0, "Cannot connect.", RUNS);

function messageOf(text, status) {
  try {
    const body = JSON.parse(text);
    return body.detail ?? body.error?.message ?? body.error ?? `The service answered ${status}.`;
  } catch {
    return `The service answered ${status}.`;
  }
}

// Who has given another key since has answered what a late refusal asks.
async function failure(response, sentKey) {
  const [title, advice] = ADVICE[response.status] ?? ["That did not work.", ""];
  const error = new ApiError(messageOf(await response.text(), response.status), response.status, title, advice);
  if (response.status === 401 && sentKey === key.get()) document.dispatchEvent(new CustomEvent("key-wanted", { detail: error.message }));
  return error;
}

export async function call(path, { method, body, signal, accept = [] } = {}) {
  const headers = {};
  const sentKey = key.get();
  if (sentKey) headers.authorization = `Bearer ${sentKey}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(new URL(path.replace(/^\//, ""), ROOT), {
      method: method ?? (body === undefined ? "GET" : "POST"), headers, signal, cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (!response.ok && !accept.includes(response.status)) throw await failure(response, sentKey);
  return response;
}

export const get = async (path, options) => (await call(path, options)).json();
export const post = async (path, body, options) => (await call(path, { ...options, body })).json();

function brokenOff(error) {
  if (error.name === "AbortError" || error instanceof ApiError) throw error;
  throw new ApiError("The service went away before the end.", 0, "Broken off.", RUNS);
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(brokenOff);
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      yield* parts;
    }
    if (rest) yield rest;
  } finally {
    reader.cancel().catch(() => {});
  }
}

// An event of a job may tell of an error too, which is the job's and not the stream's.
function checked(event) {
  if (!event.error || event.event) return event;
  throw new ApiError(event.error.message ?? event.error.detail ?? event.error, 200, "The answer broke off.",
    "Try again; the log of the service says more.");
}

// The objects of server-sent events; without a body they are got.
export async function* events(path, body, signal) {
  for await (const line of lines(await call(path, { body, signal }))) {
    if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
    yield checked(JSON.parse(line.slice(6)));
  }
}

// The objects of an NDJSON stream.
export async function* objects(path, body, signal) {
  for await (const line of lines(await call(path, { body, signal }))) {
    if (line.trim()) yield checked(JSON.parse(line));
  }
}

// The models of the store, and how each stands in memory.
export async function stored() {
  const [{ models }, ps] = await Promise.all([get("/v1/store"), get("/api/ps")]);
  const loaded = new Map(ps.models.map((one) => [one.name, one]));
  return models.map((one) => ({ ...one, loaded: loaded.get(one.name), state: ps.states?.[one.name] }));
}

// Those of a kind, the ones in memory first.
export async function modelsOf(wanted) {
  return (await stored()).filter(({ kind }) => kind === wanted)
    .sort((a, b) => Boolean(b.loaded) - Boolean(a.loaded) || a.name.localeCompare(b.name));
}
