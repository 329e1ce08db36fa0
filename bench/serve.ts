// The child's side of children.ts. Argument: the workload. It loads no more of the source than this needs: another revision
// may lack the rest.
import { createInterface } from "node:readline";
import { loadWorkload } from "./families.js";
import {
  CheckError,
  type Contestant,
  type Implementation,
  LeftOut,
  prepareIn,
  type RemoteContestant,
  type Yardstick,
} from "./workload.js";

interface Question {
  readonly command: "prepare" | "reset" | "run";
  readonly implementation: Implementation | Yardstick;
  readonly steps: number;
}

const [, , workload] = process.argv;
const contestants = new Map<Implementation | Yardstick, Contestant | RemoteContestant>();

function contestantOf(implementation: Implementation | Yardstick): Contestant | RemoteContestant {
  const contestant = contestants.get(implementation);
  if (contestant === undefined) throw new Error(`${implementation} must be prepared first`);
  return contestant;
}

const commands = {
  async prepare({ implementation }: Question) {
    try {
      const { enableRelaxedSimd, whyUnavailable } = await import("./engines.js");
      enableRelaxedSimd();
      const reason = whyUnavailable(implementation);
      if (reason !== undefined) throw new LeftOut(reason);
      contestants.set(implementation, await prepareIn(await loadWorkload(workload), implementation));
      return {};
    } catch (error) {
      if (error instanceof LeftOut || error instanceof CheckError) throw error;
      return { lacks: `it cannot do this: ${messageOf(error)}` };
    }
  },
  async reset({ implementation }: Question) {
    await contestantOf(implementation).reset();
    return {};
  },
  async run({ implementation, steps }: Question) {
    const contestant = contestantOf(implementation);
    const start = performance.now();
    const answer = contestant.run(steps);
    const elapsedMs = performance.now() - start;
    return { elapsedMs: answer === undefined ? elapsedMs : (await answer).elapsedMs };
  },
};

function messageOf(error: unknown): string {
  return String((error as Error | undefined)?.message ?? error).split("\n")[0];
}

const reply = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);
// Whatever is printed would break the lines.
console.log = console.info = console.error;
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const question: Question = JSON.parse(line);
    reply(await commands[question.command](question));
  } catch (error) {
    reply(error instanceof LeftOut ? { leftOut: error.message } : { error: messageOf(error) });
  }
}
// Engines that still have threads.
process.exit(0);
