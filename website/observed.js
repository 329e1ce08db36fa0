// What a page of the site tells the test when no driver may watch it (Firefox): its errors, and whom it called. The test
// server puts this before all other scripts of a page that is asked for with ?observed, and opens the next page.
const said = [];
for (const method of ["error", "warn"]) {
  const plain = console[method];
  console[method] = (...values) => {
    said.push(values.join(" "));
    plain.apply(console, values);
  };
}
addEventListener("error", (event) => said.push(event.message ?? `could not load ${event.target?.src}`), true);
addEventListener("unhandledrejection", (event) => said.push(String(event.reason)));
addEventListener("load", () => {
  // Two frames later the page has been made alive by its script, and drawn.
  const whenDrawn = (left) => (left === 0 ? tell() : requestAnimationFrame(() => whenDrawn(left - 1)));
  const whenAlive = () =>
    document.querySelector("#app")?.__vue_app__ ? whenDrawn(2) : requestAnimationFrame(whenAlive);
  whenAlive();
});
async function tell() {
  const called = performance.getEntriesByType("resource").map(({ name }) => new URL(name).origin);
  const elsewhere = called.filter((origin) => origin !== location.origin);
  const body = JSON.stringify({
    path: location.pathname,
    said,
    elsewhere,
    heading: document.querySelector("h1")?.textContent,
  });
  const next = await (await fetch("/observed", { method: "POST", body })).text();
  if (next !== "") location.href = `${next}?observed`;
}
