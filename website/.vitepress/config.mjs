import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import highlighter from "highlight.js/lib/common";
import { defineConfig } from "vitepress";
import { GUIDES, placeOf } from "../sitemap.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const pages = fileURLToPath(new URL("../.pages/", import.meta.url));
const { version } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const reference = JSON.parse(readFileSync(`${pages}reference.json`, "utf8"));

const guides = GUIDES.map(({ text, items }) => ({
  text,
  items: items
    .filter(([file]) => existsSync(root + file))
    .map(([file, title]) => ({ text: title, link: placeOf(file) })),
}));
const api = [
  {
    text: "Reference",
    link: "/api/",
    items: reference.map(({ path, title }) => ({ text: title, link: `/api/${path}` })),
  },
];

export default defineConfig({
  title: "Steepest",
  description: "Train neural networks in JavaScript: in Node, Deno, Bun, browsers and at the edge.",
  lang: "en",
  base: process.env.SITE_BASE ?? "/",
  srcDir: ".pages",
  outDir: "../site",
  cacheDir: ".cache",
  cleanUrls: false,
  metaChunk: true,
  router: { prefetchLinks: false },
  lastUpdated: false,
  ignoreDeadLinks: [/\.txt$/, /^\/playground\//],
  markdown: {
    highlight,
    // Indented blocks, as fences: keys reach what scrolls.
    config: (md) => {
      md.renderer.rules.code_block = (tokens, index) => highlight(tokens[index].content, "text");
    },
    // GitHub's headings have the anchors that the pages' links use.
    anchor: { slugify: (text) => githubSlug(text) },
  },
  themeConfig: {
    nav: [
      { text: "Guides", link: "/start" },
      { text: "Reference", link: "/api/" },
      { text: "Examples", link: "/examples/" },
      { text: "Benchmarks", link: "/benchmarks" },
      { text: "Playground", link: "/playground/", target: "_self" },
      { text: `v${version}`, link: "/changelog" },
    ],
    sidebar: { "/": guides, "/api/": api },
    outline: [2, 3],
    search: { provider: "local", options: { _render: searchable } },
    externalLinkIcon: false,
  },
});

function githubSlug(text) {
  return text
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

/** Code with classes by highlight.js: a fifth of the HTML that Shiki writes, which gives each token two colours. */
function highlight(code, language) {
  const known = highlighter.getLanguage(language) !== undefined && language !== "text";
  const html = known ? highlighter.highlight(code, { language }).value : escapeHtml(code);
  return `<pre tabindex="0" v-pre><code>${html}</code></pre>`;
}

function escapeHtml(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** What the search knows of a page: its text without programs, and of the reference what a name is. */
function searchable(source, env, md) {
  if (env.frontmatter?.search === false) return "";
  let text = source.replace(/^```[\s\S]*?^```$/gm, "");
  if (env.relativePath.startsWith("api/")) text = text.replace(/^(<pre|\||See \[|Throws |\[`).*$/gm, "");
  return md.render(text, env);
}
