// Runs one program of a page as a module. Its imports lead to the site's own copy of the package; what it prints is sent
// back. The page ends this worker when the program has ended, or when it is told to.
const own = new URL("../steepest/", self.location.href);
const at = (name) => new URL(`${name ?? "index"}.js`, own).href;

/** Numbers, arrays and objects as Node prints them, as far as the programs of the pages go. */
function shown(value, depth = 0) {
  if (typeof value === "string") return depth === 0 ? value : `'${value}'`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const kind = Array.isArray(value) ? "" : `${value.constructor.name}(${value.length}) `;
    const parts = Array.from(value, (one) => shown(one, depth + 1));
    return parts.length === 0 ? `${kind}[]` : `${kind}[ ${parts.join(", ")} ]`;
  }
  const parts = Object.entries(value).map(([key, one]) => `${key}: ${shown(one, depth + 1)}`);
  return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
}

for (const method of ["log", "info", "warn", "error", "debug"])
  console[method] = (...values) => postMessage({ line: values.map((value) => shown(value)).join(" ") });

addEventListener("message", async ({ data: { source } }) => {
  const turned = source.replace(
    /(\bfrom\s*|\bimport\s*\(\s*)"steepest(?:\/(\w+))?"/g,
    (_, word, name) => `${word}"${at(name)}"`,
  );
  const url = URL.createObjectURL(new Blob([turned], { type: "text/javascript" }));
  try {
    await import(url);
    postMessage({ end: "" });
  } catch (error) {
    postMessage({ end: shown(error) });
  }
});
