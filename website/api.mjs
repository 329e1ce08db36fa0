// The API reference: TypeDoc reads the declarations of all entries in dist/types; this writes them as Markdown, one page
// for each entry, and for the two large ones by what it is about. TypeDoc's own pages, and those of its plugin for
// Markdown, take five times the space: a table of type parameters and a list of inherited members for each function.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { Application, ReflectionKind } from "typedoc";

const here = fileURLToPath(new URL("./", import.meta.url));
const root = fileURLToPath(new URL("../", import.meta.url));
const declarations = join(root, "dist/types");

/** The entries, in the package's order, with their declarations: those for Node have everything. */
export function entries() {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.entries(exports)
    .filter(([path, target]) => typeof target === "object" && path !== "./inline")
    .map(([path, target]) => ({
      name: `steepest${path.slice(1)}`,
      types: (target.node?.import ?? target.import ?? target.default).types,
    }));
}

/** Parts of the large entries: page, title, and the declarations' files. The first that fits takes a name. */
const PARTS = {
  steepest: [
    ["training", "Training", /^(train|engine|platform)\//],
    ["optimizers", "Optimizers and schedules", /^optim\//],
    ["losses", "Losses and metrics", /^nn\/.*(loss|metric|entropy|classCounts|rankings|moments|ctc)/i],
    ["layers", "Models and layers", /^/],
  ],
  "steepest/graph": [
    ["operations", "Operations on tensors", /^ops\//],
    ["functions", "Tensors and compiled functions", /^/],
  ],
};

/** Files that a script writes, with a method for each instruction of the kernels: nothing to read one by one. */
const WRITTEN = /^engine\/recorder\.d\.ts$/;

const ORDER = [ReflectionKind.Function, ReflectionKind.Variable, ReflectionKind.Class, ReflectionKind.Interface];
const KINDS = new Map([
  [ReflectionKind.Function, "function"],
  [ReflectionKind.Variable, "constant"],
  [ReflectionKind.Class, "class"],
  [ReflectionKind.Interface, "interface"],
  [ReflectionKind.TypeAlias, "type"],
  [ReflectionKind.Enum, "enum"],
  [ReflectionKind.Namespace, "namespace"],
]);

async function convert() {
  const app = await Application.bootstrapWithPlugins({
    entryPoints: entries().map(({ types }) => join(root, types)),
    tsconfig: join(here, "tsconfig.json"),
    plugin: ["typedoc-plugin-missing-exports"],
    readme: "none",
    excludeExternals: true,
    excludePrivate: true,
    excludeInternal: true,
    disableGit: true,
    sourceLinkTemplate: "{path}",
    validation: false,
    logLevel: "Error",
  });
  const project = await app.convert();
  if (project === undefined) throw new Error("TypeDoc could not read dist/types: see above; npm run build makes them");
  return project;
}

const fileOf = (reflection) => {
  const [source] = reflection.sources ?? reflection.signatures?.[0]?.sources ?? [];
  return source === undefined ? "" : relative(declarations, source.fullFileName).replaceAll("\\", "/");
};

/** Text outside of code: without what Vue or HTML would read. */
const plain = (text) =>
  text
    .split(/(`[^`]*`)/)
    .map((part, index) =>
      index % 2 === 1 ? part : part.replaceAll("<", "&lt;").replaceAll("{{", "&#123;&#123;").replaceAll("\\", "\\\\"),
    )
    .join("");
/** Text for a cell of a table. */
const cell = (text) => text.replaceAll("|", "\\|").replaceAll(/\s*\n\s*/g, " ");
const code = (text) => (text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``);
/** Signatures: many, so as little HTML as will do. */
const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "{": "&#123;", "\n": "&#10;" };
const signatureBlock = (text) =>
  `<pre class="signature" tabindex="0">${text.replaceAll(/[&<>{\n]/g, (char) => escapes[char])}</pre>`;
const fence = (text, language = "") => `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``;

/** Writes the pages; gives what is there for the side bar and for tests: pages with their names. */
export async function writeApi(folder) {
  const project = await convert();
  const modules = entries().map(({ name, types }) => {
    const file = relative(declarations, join(root, types)).replace(/\.d\.ts$/, "");
    const found = project.children.find((module) => fileOf(module) === `${file}.d.ts` || module.name === file);
    if (found === undefined) throw new Error(`TypeDoc has nothing for ${name} (${types})`);
    return { name, module: found };
  });
  const pages = [];
  const places = new Map();
  for (const { name, module } of modules) pages.push(...pagesOf(name, module));
  for (const page of pages)
    for (const item of page.items) places.set(item.reflection.id, `/api/${page.path}#${item.anchor}`);
  const links = linker(places);
  for (const page of pages) {
    const path = join(folder, `${page.path}.md`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, textOf(page, links));
  }
  writeFileSync(join(folder, "index.md"), indexOf(pages));
  return pages.map(({ path, title, entry, items }) => ({
    path,
    title,
    entry,
    names: items.filter(({ exported }) => exported).map(({ reflection }) => reflection.name),
  }));
}

/** The pages of an entry. Names that two declarations share, a function and its type, are told apart by their anchors. */
function pagesOf(entry, module) {
  const base = entry.replace(/^steepest\/?/, "") || "steepest";
  const parts = PARTS[entry] ?? [[undefined, entry, /^/]];
  const pages = parts.map(([part, title]) => ({
    path: part === undefined ? base : `${base}-${part}`,
    title: part === undefined ? entry : title,
    entry,
    items: [],
    elsewhere: [],
    module,
  }));
  const internal = module.children.filter(({ name }) => name === "<internal>").flatMap(({ children }) => children);
  const all = [
    ...module.children.map((reflection) => ({ reflection, exported: true })),
    ...internal.map((reflection) => ({ reflection, exported: false })),
  ];
  for (const item of all) {
    const { reflection } = item;
    if (reflection.name === "<internal>") continue;
    if (reflection.isReference()) {
      pages.at(-1).elsewhere.push(reflection);
      continue;
    }
    const file = fileOf(reflection);
    const index = parts.findIndex(([, , pattern]) => pattern.test(file));
    pages[index].items.push(item);
  }
  const rank = ({ reflection, exported }) => {
    const place = ORDER.indexOf(reflection.kind);
    return (exported ? 0 : 100) + (place === -1 ? ORDER.length : place);
  };
  for (const page of pages) {
    page.items.sort((a, b) => rank(a) - rank(b) || a.reflection.name.localeCompare(b.reflection.name, "en"));
    const taken = new Map();
    for (const item of page.items) {
      const slug = item.reflection.name.toLowerCase();
      const count = taken.get(slug) ?? 0;
      taken.set(slug, count + 1);
      item.anchor = count === 0 ? slug : `${slug}-${count}`;
    }
  }
  return pages.filter(({ items, elsewhere }) => items.length + elsewhere.length > 0);
}

/** Where a name leads to, and a comment's parts as Markdown. */
function linker(places) {
  const placeOf = (reflection) => {
    for (let at = reflection; at !== undefined; at = at.parent) {
      const place = places.get(at.id);
      if (place !== undefined) return place;
      if (at.isReference?.()) return placeOf(at.getTargetReflectionDeep());
    }
    return undefined;
  };
  const text = (parts = []) =>
    parts
      .map((part) => {
        if (part.kind !== "inline-tag") return part.kind === "code" ? part.text : plain(part.text);
        const place = typeof part.target === "object" ? placeOf(part.target) : undefined;
        return place === undefined ? code(part.text) : `[${code(part.text)}](${place})`;
      })
      .join("")
      .trim();
  /** The names of the package that types name, once each, as links. */
  const named = (types) => {
    const found = new Map();
    const seen = (type) => {
      if (type === undefined || type === null || typeof type !== "object") return;
      if (Array.isArray(type)) return type.forEach(seen);
      if (type.type === "reference") {
        const target = type.reflection;
        const place = target === undefined ? undefined : placeOf(target);
        if (place !== undefined && target.kind !== ReflectionKind.TypeParameter) found.set(type.name, place);
        return seen(type.typeArguments);
      }
      if (type.type === "reflection") {
        for (const signature of type.declaration.signatures ?? []) {
          seen(signature.type);
          for (const parameter of signature.parameters ?? []) seen(parameter.type);
        }
        for (const child of type.declaration.children ?? []) seen(child.type);
        return;
      }
      for (const key of [
        "types",
        "elementType",
        "elements",
        "element",
        "target",
        "objectType",
        "trueType",
        "falseType",
      ])
        seen(type[key]);
    };
    types.forEach(seen);
    return [...found].map(([name, place]) => `[${code(name)}](${place})`);
  };
  return { placeOf, text, named };
}

const typeParameters = (reflection) => {
  const list = reflection.typeParameters ?? [];
  if (list.length === 0) return "";
  const one = (parameter) => {
    const bound = parameter.type === undefined ? "" : ` extends ${parameter.type}`;
    return `${parameter.name}${bound}${parameter.default === undefined ? "" : ` = ${parameter.default}`}`;
  };
  return `<${list.map(one).join(", ")}>`;
};

function parameterText(parameter) {
  const name = `${parameter.flags.isRest ? "..." : ""}${parameter.name === "__namedParameters" ? "options" : parameter.name}`;
  return `${name}${parameter.flags.isOptional || parameter.defaultValue !== undefined ? "?" : ""}: ${parameter.type}`;
}

/** `name<T>(a: A, b?: B): C`, with a line for each parameter if one line is too long. */
function signatureText(signature, name = signature.name) {
  const parameters = (signature.parameters ?? []).map(parameterText);
  const [head, tail] = [`${name}${typeParameters(signature)}(`, `): ${signature.type}`];
  const line = `${head}${parameters.join(", ")}${tail}`;
  if (line.length <= 100) return line;
  return `${head}${parameters.map((text) => `\n  ${text},`).join("")}\n${tail}`;
}

/** What a comment says besides its summary: parameters, results, errors, examples. */
function tagsOf(comment, links) {
  const lines = [];
  for (const tag of comment?.blockTags ?? []) {
    const body = links.text(tag.content);
    if (tag.tag === "@example") {
      lines.push(body.startsWith("```") ? body : fence(rawText(tag.content), "ts"));
    } else if (tag.tag === "@returns") lines.push(`Returns: ${body}`);
    else if (tag.tag === "@throws") lines.push(throwsText(tag, body));
    else if (tag.tag === "@default" || tag.tag === "@defaultValue") lines.push(`Default: ${body}`);
    else if (tag.tag !== "@param") lines.push(`${tag.tag.slice(1)} ${tag.name ?? ""}: ${body}`);
  }
  return lines;
}

/** `Throws ModelError if …`: TypeDoc keeps the type apart. */
function throwsText({ typeAnnotation }, body) {
  const text = body.replace(/^If /, "if ").replaceAll(/\s*\n\s*/g, " ");
  return typeAnnotation === undefined
    ? `Throws ${text}`
    : `Throws ${code(typeAnnotation.replace(/^\{|\}$/g, ""))} ${text}`;
}

/** The text of an example as it stands; TypeDoc puts a fence around it if there is none. */
function rawText(parts) {
  return parts
    .map(({ text }) => text)
    .join("")
    .replace(/^```\w*\n|\n```\s*$/g, "");
}

function signatureParts(signature, links, name) {
  const parts = [signatureBlock(signatureText(signature, name))];
  const summary = links.text(signature.comment?.summary);
  if (summary !== "") parts.push(summary);
  const told = (signature.parameters ?? []).filter(({ comment }) => comment !== undefined);
  if (told.length > 0)
    parts.push(told.map(({ name: of, comment }) => `- ${code(of)}: ${links.text(comment.summary)}`).join("\n"));
  parts.push(...tagsOf(signature.comment, links));
  return parts;
}

/** A table of properties, and the methods behind it. */
function memberParts(children, links) {
  const parts = [];
  const told = (member) => {
    const comment = member.comment ?? member.getSignature?.comment ?? member.signatures?.[0]?.comment;
    return [links.text(comment?.summary), ...tagsOf(comment, links).filter((line) => !line.startsWith("```"))]
      .filter((text) => text !== "")
      .join(" ");
  };
  const isMethod = (member) => member.signatures !== undefined;
  const properties = children.filter((member) => !isMethod(member));
  if (properties.length > 0) {
    const rows = properties.map((member) => {
      const type = member.type ?? member.getSignature?.type;
      const optional = member.flags.isOptional ? "?" : "";
      return `| ${code(member.name + optional)} | ${cell(code(String(type)))} | ${cell(told(member))} |`;
    });
    parts.push(["| | type | |", "|---|---|---|", ...rows].join("\n"));
  }
  for (const method of children.filter(isMethod)) {
    const texts = method.signatures.map((signature) => {
      const isNew = method.kind === ReflectionKind.Constructor;
      return signatureText(signature, isNew ? `new ${method.parent.name}` : method.name);
    });
    parts.push(signatureBlock(texts.join("\n")));
    for (const text of new Set(method.signatures.map((one) => links.text(one.comment?.summary))))
      if (text !== "") parts.push(text);
    for (const signature of method.signatures) parts.push(...tagsOf(signature.comment, links));
  }
  return parts;
}

function itemParts({ reflection, exported, anchor }, links) {
  const kind = KINDS.get(reflection.kind) ?? "name";
  const parts = [`### ${plain(reflection.name)} {#${anchor}}`];
  if (!exported) parts.push(`*${kind} of what is above; the entry does not export its name*`);
  const types = [];
  const callable = reflection.signatures ?? [];
  for (const signature of callable) {
    parts.push(...signatureParts(signature, links));
    types.push(signature.type, ...(signature.parameters ?? []).map(({ type }) => type));
  }
  const children = (reflection.children ?? reflection.type?.declaration?.children ?? []).filter(
    ({ inheritedFrom, flags }) => inheritedFrom === undefined && !flags.isPrivate && !WRITTEN.test(fileOf(reflection)),
  );
  if (callable.length === 0) {
    const extended = (reflection.extendedTypes ?? []).map(String).join(", ");
    const equals =
      reflection.type !== undefined && children.length === 0
        ? `${reflection.kind === ReflectionKind.Variable ? ": " : " = "}${reflection.type}`
        : "";
    const words = kind === "constant" ? "const" : kind;
    const from = extended === "" ? "" : ` extends ${extended}`;
    parts.push(signatureBlock(`${words} ${reflection.name}${typeParameters(reflection)}${from}${equals}`));
    const summary = links.text(reflection.comment?.summary);
    if (summary !== "") parts.push(summary);
    parts.push(...tagsOf(reflection.comment, links));
    types.push(reflection.type, ...(reflection.extendedTypes ?? []));
  }
  parts.push(...memberParts(children, links));
  for (const child of children)
    types.push(
      child.type,
      ...(child.signatures ?? []).flatMap((one) => [one.type, ...(one.parameters ?? []).map(({ type }) => type)]),
    );
  const own = links.placeOf(reflection);
  const named = links.named(types).filter((link) => !link.endsWith(`(${own})`));
  if (named.length > 0) parts.push(`See ${named.join(", ")}`);
  return parts;
}

function textOf({ title, entry, items, elsewhere, module, path }, links) {
  const heading = title === entry ? `# ${entry}` : `# ${title}: ${entry}`;
  const parts = ["---\noutline: false\n---", heading];
  const about = links.text(module.comment?.summary);
  if (about !== "") parts.push(about);
  const list = items.filter(({ exported }) => exported);
  parts.push(list.map(({ reflection, anchor }) => `[${code(reflection.name)}](/api/${path}#${anchor})`).join(" "));
  for (const item of items) parts.push(...itemParts(item, links));
  if (elsewhere.length > 0) {
    parts.push("## Names that other entries have too");
    const links_ = elsewhere.map((one) => {
      const place = links.placeOf(one);
      return place === undefined ? code(one.name) : `[${code(one.name)}](${place})`;
    });
    parts.push(links_.join(" "));
  }
  return `${parts.join("\n\n")}\n`;
}

function indexOf(pages) {
  const rows = pages.map(({ path, title, entry, items }) => {
    const count = items.filter(({ exported }) => exported).length;
    return `| [${title}](/api/${path}) | \`${entry}\` | ${count} |`;
  });
  return `# Reference

Every name that the package exports, from the docstrings of the sources. The search above finds all of them.

| | import from | names |
|---|---|---:|
${rows.join("\n")}
`;
}
