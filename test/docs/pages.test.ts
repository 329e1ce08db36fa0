// Each page of docs/ has a place on the site, in the order in which people need them, and a line in README.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { GUIDES } = (await import(pathToFileURL(join(root, "website/sitemap.mjs")).href)) as {
  GUIDES: readonly { text: string; items: readonly (readonly [file: string, title: string])[] }[];
};
const pages = readdirSync(join(root, "docs")).map((name) => `docs/${name}`);

test("guides are in the order in which people need them, and no page is without one", () => {
  expect(GUIDES.map(({ text }) => text)).toEqual([
    ...["Start", "Training", "Data", "Saving and moving models", "Browsers, workers, the edge", "Speed"],
    ...["Reproducibility", "Beyond one machine", "Coming from", "The project"],
  ]);
  const files = GUIDES.flatMap(({ items }) => items.map(([file]) => file));
  expect(files.filter((file) => file.startsWith("docs/")).sort()).toEqual([...pages].sort());
  expect(files.filter((file) => !existsSync(join(root, file)) && file !== "build/gallery.md")).toEqual([]);
  expect(new Set(files).size).toBe(files.length);
});

test("README has a line for each page", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const table = readme.slice(readme.indexOf("## Where to go next"), readme.indexOf("## Where it runs"));
  expect(pages.filter((page) => !table.includes(`](${page})`))).toEqual([]);
});

test("docs/inside.md has each layer and each entry", () => {
  const page = readFileSync(join(root, "docs/inside.md"), "utf8");
  const facade = readFileSync(join(root, "src/index.ts"), "utf8");
  const others = /losses|Losses|metrics|Metrics|ctc|model|ports|scope/;
  const layers = [...facade.matchAll(/export \{([^}]*)\} from "\.\/nn\/([^"]*)"/g)].flatMap(
    ([, names = "", from = ""]) => (others.test(from) ? [] : names.split(",").map((name) => name.trim())),
  );
  const made = layers.filter((name) => name !== "" && !name.startsWith("type "));
  expect(made.length).toBeGreaterThan(90);
  expect(made.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const entries = Object.keys(exports).filter((path) => path !== "./package.json");
  expect(entries.filter((path) => !page.includes(`\`steepest${path.slice(1)}\``))).toEqual([]);
});
