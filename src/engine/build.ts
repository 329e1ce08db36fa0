// Which build runs: the one that is asked for, or `strict` if the runtime cannot run that.
import { shared } from "./copies.js";
import { SteepestError } from "./errors.js";
import { hasRelaxedSimd, hasSimd } from "./features.js";
import * as host from "./host.js";
import { instantiateBare } from "./interpreter.js";
import { createMemory } from "./memory.js";
import { type Build, loadModule, type WidePlatform, widePlatform } from "./module.js";

interface Verdict {
  /** Why `wide` does not run; `undefined` if it does. */
  readonly reason: string | undefined;
}

// `wide` is tried once for all copies of the package, and for all who ask meanwhile.
const known = /* @__PURE__ */ shared<{ verdict?: Verdict; trial?: Promise<string | undefined> | undefined }>(
  "wide",
  {},
);
const warned = /* @__PURE__ */ new Set<Build>();

/** The build that will run. Warns the first time that it is not the one that is asked for. */
export async function chooseBuild(asked: Build): Promise<Build> {
  checkSimd();
  return chosen(asked, await whyNot(asked));
}

/** The synchronous form of `chooseBuild`. */
export function chooseBuildSync(asked: Build): Build {
  checkSimd();
  return chosen(asked, asked === "wide" ? whyNotYet() : whyNotFast(asked));
}

/** Why a build does not run here; `undefined` if it does. The first time that it is asked about `wide`, it tries it. */
export async function whyNot(build: Build): Promise<string | undefined> {
  if (build !== "wide") return whyNotFast(build);
  const platform = widePlatform();
  const lack = lackOf(platform);
  if (lack !== undefined) return lack;
  if (known.verdict === undefined) {
    known.trial ??= tryWide(platform as WidePlatform).finally(() => {
      known.trial = undefined;
    });
    known.verdict = { reason: await known.trial };
  }
  return known.verdict.reason;
}

function lackOf(platform: WidePlatform | string): string | undefined {
  return typeof platform === "string" ? platform : platform.lacks();
}

async function tryWide(platform: WidePlatform): Promise<string | undefined> {
  const { compareWide } = await import("./wide.js");
  return compareWide(platform, open, host);
}

/** A build's kernels over a memory of their own. */
async function open(build: Build) {
  const { memory, shared } = createMemory();
  return { memory, kernels: instantiateBare(await loadModule(build, shared), memory) };
}

/** Why `wide` does not run in the synchronous form. */
function whyNotYet(): string | undefined {
  const lack = lackOf(widePlatform());
  if (lack !== undefined) return lack;
  if (known.verdict !== undefined) return known.verdict.reason;
  return 'it must be tried first, which takes time: create an engine by createEngine({ build: "wide" }) before';
}

function whyNotFast(build: Build): string | undefined {
  if (build !== "fast" || hasRelaxedSimd()) return undefined;
  return "this runtime has no relaxed SIMD (Node 20 has it behind --experimental-wasm-relaxed-simd)";
}

function checkSimd(): void {
  if (hasSimd()) return;
  throw new SteepestError(
    "engine: this runtime has no WebAssembly SIMD: use Node 20, Chrome 91, Firefox 89, Safari 16.4 or newer",
  );
}

function chosen(asked: Build, reason: string | undefined): Build {
  if (reason === undefined) return asked;
  if (!warned.has(asked)) console.warn(`steepest: build "${asked}" runs as "strict": ${reason}`);
  warned.add(asked);
  return "strict";
}
