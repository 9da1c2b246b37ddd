// The description of the API, made ready for this page.

// The page is under the API's path, at whichever of its hosts the reader came to.
export const base = new URL("..", import.meta.url).href.replace(/\/$/, "");

/** The description as the API has it: it says where the API is for the world. */
export async function load() {
  const reply = await fetch(`${base}/openapi.json`);
  if (reply.ok) return reply.json();
  const why = `The description is not there (status ${reply.status}); load the page again.`;
  document.getElementById("standing").textContent = why;
  throw new Error(why);
}

/** The same for Swagger UI: calls go to the page's own host, with nothing filled in that is optional. */
export function tried(description) {
  const copy = structuredClone(description);
  copy.servers = [{ url: base }];
  // A browser sends no body with a GET: there the parameters are in the query.
  for (const item of Object.values(copy.paths)) delete item.get?.requestBody;
  for (const operation of operations(copy)) {
    const [scope] = Object.values(operation.security[0] ?? {}).flat();
    if (scope) operation.description += `\n\nNeeds the scope \`${scope}\`.`;
    for (const parameter of operation.parameters ?? []) {
      if (!parameter.required) delete parameter.example;
    }
    const form = operation.requestBody?.content["application/x-www-form-urlencoded"];
    if (form) blank(copy.components.schemas[form.schema.$ref.split("/").pop()]);
  }
  return copy;
}

/** Swagger UI fills "string" into a field without an example, and sends it. */
function blank({ properties, required = [] }) {
  for (const [name, property] of Object.entries(properties)) {
    if (!required.includes(name)) property.example ??= "";
  }
}

/** Calls that are answered by a redirect, as a test of their URLs. */
export function redirecting(description) {
  const paths = Object.entries(description.paths)
    .filter(([, item]) => Object.values(item).some((one) => "303" in one.responses))
    .map(([path]) => new RegExp(`${path.replace(/{\w+}/g, "[^/]+")}$`));
  return (url) => paths.some((path) => path.test(url));
}

function operations(description) {
  return Object.values(description.paths).flatMap((item) => Object.values(item));
}
