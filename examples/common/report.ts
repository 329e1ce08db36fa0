// How an example says whether it reached its target. All targets stand in examples/list.json.
import list from "../list.json" with { type: "json" };

interface Target {
  /** What is measured, in words. */
  readonly measure: string;
  /** The least, or the most, that the number may be. */
  readonly atLeast?: number;
  readonly atMost?: number;
  /** The bound of a short run, where it is another. */
  readonly quick?: number;
}

export interface Verdict {
  readonly name: string;
  readonly target: { readonly text: string; readonly number: number };
  readonly reached: number;
  readonly passed: boolean;
}

/** Whether `--quick` asks for a short run: fewer samples or epochs, and a target that fits. */
export const quick = process.argv.includes("--quick");

/** Compares with the target. A number that is none passes nothing. */
export function judge(name: string, target: Target, reached: number, short = quick): Verdict {
  const { measure, atLeast, atMost = Number.NaN } = target;
  const bound = (short ? target.quick : undefined) ?? atLeast ?? atMost;
  const text = `${measure}: ${atLeast === undefined ? "at most" : "at least"} ${bound}`;
  const passed = atLeast === undefined ? reached <= bound : reached >= bound;
  return { name, target: { text, number: bound }, reached, passed };
}

/**
 * The last line of an example: its target, what it reached, and whether that will do. A missed target is exit code 1.
 * `npm run examples` gets the verdict as a message.
 */
export function report(name: string, reached: number): void {
  const entry = list.find((example) => example.name === name);
  if (entry === undefined) throw new Error(`examples/list.json has no example "${name}": add it`);
  const verdict = judge(name, entry.target, reached);
  const shown = Number.isInteger(reached) ? reached : Number(reached.toPrecision(4));
  console.log(`\nTarget: ${verdict.target.text}. Reached: ${shown}, ${verdict.passed ? "passed" : "missed"}.`);
  if (!verdict.passed) process.exitCode = 1;
  process.send?.({ verdict });
}
