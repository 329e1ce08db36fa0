// The site's pages, made of what is in the repository: docs/*.md and its relatives with their links turned, and the
// examples' sources, which they point to. Nothing is written twice; on GitHub the same pages read as they stand.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { GUIDES, placeOf } from "./sitemap.mjs";

const root = fileURLToPath(new URL("../", import.meta.url));
const listed = GUIDES.flatMap(({ items }) => items.map(([file]) => file)).filter((file) => existsSync(root + file));

/** Applies `change` to all that is not within a fence. */
function outsideOfFences(text, change) {
  return text
    .split(/^(```[\s\S]*?^```$)/m)
    .map((part, index) => (index % 2 === 0 ? change(part) : part))
    .join("");
}

/** Links to files become links to pages; what the site does not have, the text of the link. */
export function turnLinks(text, file) {
  const wanted = new Set();
  const turned = outsideOfFences(text, (part) =>
    part.replace(
      /\[((?:[^[\]]|\[[^\]]*\])*)\]\((?!https?:|\/)([^)#\s]*)(#[^)\s]*)?\)/g,
      (_, words, path, anchor = "") => {
        if (path === "") return `[${words}](${anchor})`;
        const target = posix.join(posix.dirname(file), path).replace(/\/$/, "/README.md");
        const place = listed.includes(target) || target.startsWith("examples/") ? placeOf(target) : undefined;
        if (place === undefined) return words;
        if (!target.endsWith(".md")) wanted.add(target);
        return target.endsWith(".md") ? `[${words}](${place}${anchor})` : `[${words}](${place}){target="_self"}`;
      },
    ),
  );
  return { text: turned, wanted };
}

/** A program behind `<!-- runs in the page -->` gets its buttons. The mark is not seen where Markdown is read as it stands. */
const runnable = (text) =>
  text.replace(/^<!-- runs in the page -->\n+(```js\n[\s\S]*?^```$)/gm, "<Program>\n\n$1\n\n</Program>");

/** The table of the benchmarks' history gets its chart. */
const charted = (text) =>
  text.replace(/^<!-- history:begin \S+ -->$([\s\S]*?)^<!-- history:end -->$/gm, "<History>\n$1\n</History>");

function write(folder, place, text) {
  const path = join(folder, `${place.replace(/^\//, "").replace(/\/$/, "/index")}.md`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Writes all pages besides the reference. */
export function writePages(folder) {
  write(folder, "/index", readFileSync(new URL("./index.md", import.meta.url), "utf8"));
  const sources = new Set();
  for (const file of listed) {
    const { text, wanted } = turnLinks(readFileSync(root + file, "utf8"), file);
    for (const source of wanted) sources.add(source);
    write(folder, placeOf(file), charted(runnable(text)));
  }
  for (const source of sources) {
    const path = join(folder, "public", placeOf(source));
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(root + source, path);
  }
}
