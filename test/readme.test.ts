// Every program in README and docs/ is pasted into a file of a fresh project as it stands, type-checked under the strictest
// options, and run by Node; what a page says it prints is what it prints.
//
//   ```js    a program, in JavaScript and in TypeScript alike     ```ts    one that only TypeScript takes
//   // … continues the program above                               is put behind the block before it
//   // in a page                                                   has a page's frames
//   ```text  behind a program: what it prints; … is anything
//   console.log(a); // 1: a word about it                          a line of what it prints, in either
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "steepest-readme-"));
afterAll(() => rmSync(folder, { recursive: true }));

interface Snippet {
  /** README-1: the page, and the number of the program there. */
  readonly name: string;
  readonly language: "js" | "ts";
  readonly inPage: boolean;
  source: string;
  prints: string | undefined;
}

const CONTINUES = "// … continues the program above";
const IN_PAGE = "// in a page";

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(root, page), "utf8");
  const found: Snippet[] = [];
  for (const [, language, source] of text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)) {
    const last = found.at(-1);
    if (language === "text" && last !== undefined) last.prints = source;
    if (language !== "js" && language !== "ts") continue;
    if (source.startsWith(CONTINUES)) {
      if (last === undefined) throw new Error(`${page}: no program to continue`);
      last.source += source;
      continue;
    }
    const name = `${page.replace(/^docs\/|\.md$/g, "")}-${found.length + 1}`;
    found.push({ name, language, inPage: source.startsWith(IN_PAGE), source, prints: undefined });
  }
  return found;
}

const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)];
const snippets = pages.flatMap(snippetsOf);

/** Runs Node; resolves to what it printed. Rejects with all of it. */
function node(cwd: string, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd }, (error, out, err) =>
      error ? reject(new Error(`${out}${err}`)) : resolve(out),
    );
  });
}

const config = {
  compilerOptions: {
    target: "es2022",
    module: "nodenext",
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
  },
};
const FRAMES = `let frames = 0;
globalThis.requestAnimationFrame = (draw) => frames++ < 3 && setImmediate(draw);
`;

/** An empty project that has installed the package, and the peers that pages name. */
beforeAll(() => {
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules/steepest"), "junction");
  for (const peer of ["csv-parse", "fast-png"])
    symlinkSync(join(root, "node_modules", peer), join(folder, "node_modules", peer), "junction");
  cpSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"), { recursive: true });
  cpSync(join(root, "node_modules/undici-types"), join(folder, "node_modules/undici-types"), { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "frames.mjs"), FRAMES);
  for (const [kind, lib, types] of [
    ["node", ["es2023"], ["node"]],
    ["page", ["es2023", "dom"], []],
  ] as const) {
    mkdirSync(join(folder, kind));
    const { compilerOptions } = config;
    const text = JSON.stringify({ compilerOptions: { ...compilerOptions, lib, types }, include: ["*.ts"] });
    writeFileSync(join(folder, kind, "tsconfig.json"), text);
  }
  for (const { name, source, inPage } of snippets)
    writeFileSync(join(folder, inPage ? "page" : "node", `${name}.ts`), source);
});

test.each(["node", "page"])("they are right by their types (%s)", async (kind) => {
  expect(snippets.length).toBeGreaterThan(20);
  await node(join(folder, kind), join(root, "node_modules/typescript/bin/tsc"), "-p", ".");
});

test.each(snippets)("$name", async ({ name, language, source, inPage, prints }) => {
  const place = join(folder, `run-${name}`);
  mkdirSync(place);
  const code = language === "js" ? source : transformSync(source, { loader: "ts", target: "node20" }).code;
  writeFileSync(join(place, "program.mjs"), code);
  const printed = await node(place, ...(inPage ? ["--import=../frames.mjs"] : []), "program.mjs");
  if (prints !== undefined) expect(printed.split("\n")).toEqual(prints.split("\n").map(lineOf));
  // What a line prints and says behind it that it prints; an explanation may follow, after a colon.
  for (const [, said] of source.matchAll(/console\.log\(.*\); \/\/ (.*)$/gm))
    expect(printed.split("\n")).toContain(said.split(": ")[0]);
});

/** A line as it must be; with … in it, anything may stand there. */
function lineOf(line: string): unknown {
  if (!line.includes("…")) return line;
  const parts = line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return expect.stringMatching(new RegExp(`^${parts.join(".*")}$`));
}

describe("README", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");

  test("opens with the install, and a program that runs in every Node as it stands", () => {
    const [install, program] = [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
    expect(install[2]).toBe("npm install steepest\n");
    expect(program[1]).toBe("js");
    const [first] = snippets;
    expect(first.prints).toBeDefined();
  });

  test("no program has what Node 20 and 22 stop at", () => {
    for (const { name, source } of snippets) expect(source, name).not.toMatch(/^\s*(await )?using /m);
  });
});

test("links lead to files and headings that are there", () => {
  const headingsOf = (text: string) =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    );
  for (const page of pages) {
    const text = readFileSync(join(root, page), "utf8");
    for (const [, path, heading] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const target = path === "" ? join(root, page) : join(root, page, "..", path);
      const found = heading === undefined ? readable(target) : headingsOf(readFileSync(target, "utf8"));
      expect(found === true || (Array.isArray(found) && found.includes(heading)), `${page}: ${path}#${heading}`).toBe(
        true,
      );
    }
  }
});

function readable(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
  } catch {
    return readFileSync(path).length > 0;
  }
}
