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
