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
  const ready = location.pathname.startsWith("/playground/") ? hasTrained() : isAlive;
  const whenAlive = () => (ready() ? whenDrawn(2) : requestAnimationFrame(whenAlive));
  whenAlive();
});
const isAlive = () => document.querySelector("#app")?.__vue_app__ !== undefined;

/** What a page of the playground must come to, by pressing its button. */
function hasTrained() {
  const number = (id) => Number.parseFloat(document.getElementById(id).textContent.replaceAll(",", ""));
  const goals = {
    index: () => number("test-accuracy") >= 95,
    digits: () => number("accuracy") >= 90,
    text: () => number("loss") < 3.2 && document.querySelectorAll("#samples li").length > 0,
    descent: () => number("steps") >= 200,
  };
  const reached = goals[/(\w+)\.html$/.exec(location.pathname)[1]];
  const play = document.getElementById("play");
  let pressed = false;
  return () => {
    if (!document.getElementById("status").textContent.includes("build")) return false;
    if (!pressed) play.click();
    pressed = true;
    if (!reached()) return false;
    play.click();
    return play.getAttribute("aria-pressed") === "false";
  };
}

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
  const [path, hash = ""] = next.split("#");
  if (next !== "") location.href = `${path}?observed#${hash}`;
}
