// Reads lines {"method", "answer"}; writes for each a line with what the schemas of @near-js/jsonrpc-types object to.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

// The library stands in the cache, not beside this file; its folder is the argument.
const require = createRequire(process.argv[2]);
const { VALIDATION_SCHEMA_MAP } = require("@near-js/jsonrpc-types");
const schemas = new Map();

// The schemas are of what the library hands to its caller: names in camel case.
const toCamelCase = (value) =>
  Array.isArray(value)
    ? value.map(toCamelCase)
    : value && typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [rename(name), toCamelCase(inner)]))
      : value;
const rename = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

function getSchema(method) {
  const known = VALIDATION_SCHEMA_MAP[method];
  if (known && !schemas.has(method)) schemas.set(method, known.responseSchema());
  return schemas.get(method);
}

for await (const line of createInterface({ input: process.stdin })) {
  const { method, answer } = JSON.parse(line);
  const schema = getSchema(method);
  const parsed = schema?.safeParse(toCamelCase(answer));
  const issues = parsed?.success === false ? parsed.error.issues : [];
  console.log(JSON.stringify({ known: schema !== undefined, issues }));
}
