// Whether a text is a JSON schema that a model can be held to.

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];
const OF_SCHEMAS = ["properties", "$defs", "definitions"];
const LISTS = ["anyOf", "oneOf", "allOf", "prefixItems"];

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// What is wrong with a schema or one inside it, as it is found at a path; empty where nothing is.
function fault(schema, at) {
  if (typeof schema === "boolean") return "";
  if (!isObject(schema)) return `${at} must be an object`;
  for (const type of [schema.type ?? []].flat()) {
    if (!TYPES.includes(type)) return `${at}.type is ${JSON.stringify(type)}; it may be ${TYPES.join(", ")}`;
  }
  if (schema.enum !== undefined && !(Array.isArray(schema.enum) && schema.enum.length)) return `${at}.enum must be a list of values`;
  if (schema.required !== undefined && !Array.isArray(schema.required)) return `${at}.required must be a list of names`;
  const unknown = (schema.required ?? []).find((name) => schema.properties && !(name in schema.properties));
  if (unknown) return `${at}.required names ${JSON.stringify(unknown)}, which is not among its properties`;
  return inner(schema, at);
}

function inner(schema, at) {
  for (const name of OF_SCHEMAS.filter((one) => schema[one] !== undefined)) {
    if (!isObject(schema[name])) return `${at}.${name} must be an object of schemas by name`;
  }
  for (const name of LISTS.filter((one) => schema[one] !== undefined)) {
    if (!Array.isArray(schema[name])) return `${at}.${name} must be a list of schemas`;
  }
  const within = [
    ...OF_SCHEMAS.flatMap((name) => Object.entries(schema[name] ?? {}).map(([key, one]) => [one, `${at}.${name}.${key}`])),
    ...LISTS.flatMap((name) => (schema[name] ?? []).map((one, place) => [one, `${at}.${name}[${place}]`])),
    ...(schema.items === undefined ? [] : [[schema.items, `${at}.items`]]),
  ];
  return within.reduce((found, [one, path]) => found || fault(one, path), "");
}

// In words, what is to be mended; empty for a schema, and for nothing at all.
export function schemaProblem(text) {
  if (!text.trim()) return "";
  let schema;
  try {
    schema = JSON.parse(text);
  } catch (error) {
    return `The JSON schema is no JSON: ${error.message}.`;
  }
  const found = isObject(schema) ? fault(schema, "schema") : "it must be an object";
  return found && `The JSON schema is none: ${found}.`;
}
