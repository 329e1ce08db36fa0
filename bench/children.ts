// Contestants in processes of their own: the build `wide`, whose flag changes how V8 compiles whatever is in the process, and
// other revisions of the source, beside which this one runs in the same way. The process is serve.ts in the source's folder.
//
//   ours → { command: "prepare", implementation }       child → {}, { leftOut }, or { lacks }
//   ours → { command: "reset", implementation }         child → {}
//   ours → { command: "run", implementation, steps }    child → { elapsedMs }
import { fileURLToPath } from "node:url";
import { type Conversation, converse } from "./conversation.js";
import { type Implementation, LeftOut, type RemoteContestant, variantOf, type Yardstick } from "./workload.js";

/** A folder with the source, its build and this bench. */
export interface Tree {
  readonly folder: string;
  /** Of another revision: its commit. */
  readonly commit?: string;
}

export const thisTree: Tree = { folder: fileURLToPath(new URL("../", import.meta.url)) };

/** What lets Node load TypeScript. */
export const TYPESCRIPT = ["--import", new URL("typescript.mjs", import.meta.url).href] as const;

/** The processes of one workload. */
export interface Children {
  /** Checked, as a workload's own `prepare`. Throws LeftOut where the source lacks what the workload needs. */
  prepare(implementation: Implementation | Yardstick, tree: Tree): Promise<RemoteContestant>;
  /** Ends all. */
  end(): void;
}

/** One process for all that a source can run together: they share their engines and the results they are checked by. */
export function createChildren(workload: string): Children {
  const children = new Map<string, Conversation>();
  const childOf = ({ folder }: Tree, build: string | undefined): Conversation => {
    const kind = build === "wide" ? "wide" : "any";
    const key = `${kind} ${folder}`;
    const args = [...TYPESCRIPT, `${folder}/bench/serve.ts`, workload];
    const known = children.get(key);
    const child = known ?? converse("the child", { command: process.execPath, args, folder });
    children.set(key, child);
    return child;
  };
  return {
    async prepare(implementation, tree) {
      const child = childOf(tree, variantOf(implementation)?.build);
      const { lacks } = await child.ask({ command: "prepare", implementation });
      if (lacks !== undefined && tree.commit !== undefined) throw new LeftOut(`${tree.commit}: ${lacks}`);
      if (lacks !== undefined) throw new Error(lacks);
      return {
        remote: true,
        async reset() {
          await child.ask({ command: "reset", implementation });
        },
        async run(steps) {
          const { elapsedMs } = await child.ask({ command: "run", implementation, steps });
          if (elapsedMs === undefined || !(elapsedMs >= 0)) throw new Error(`the child's time is ${elapsedMs}`);
          return { elapsedMs };
        },
        dispose() {},
      };
    },
    end() {
      for (const child of children.values()) child.close();
    },
  };
}
