// Whether the build `wide` is worth running. Its kernels have up to twice the speed of `strict` if V8 joins pairs of 128-bit
// operations, and half of it if not, and no interface tells whether V8 does. So both builds are given a trial: a few kernels,
// of which they must make the same bits, and `wide` must be faster. This is a part of its own, which few programs load: it
// imports only types, so that nothing else becomes one.
import type { A_TRANSPOSED, B_TRANSPOSED, STRIP_COLUMNS, THREAD_SCRATCH_BYTES } from "./constants.js";
import type { Interpreter, KernelMemory, PAGE_BYTES } from "./interpreter.js";
import type { Build, WidePlatform } from "./module.js";
import type { Recorder } from "./recorder.js";

const LEFT: typeof A_TRANSPOSED = 1;
const RIGHT: typeof B_TRANSPOSED = 2;
const STRIP: typeof STRIP_COLUMNS = 256;
const SCRATCH: typeof THREAD_SCRATCH_BYTES = 524288;
const PAGE: typeof PAGE_BYTES = 65536;

/** `wide` runs if its time is less than this share of the strict build's. It is 0.5 to 0.8 with joined operations, 1.3 to 2 without. */
const ENOUGH = 0.95;
/** A measurement is of as many products as take so long: the clock of a page that is not isolated steps by 0.1 ms. */
const MEASURED_MS = 1;
/** The functions have been optimized if the best time has been the same for so long, and much better than at first. */
const SETTLED_MS = 30;
/** After so many measurements nothing more is waited for. Tests may have replaced the clock by one that stands still. */
const MOST_ROUNDS = 400;
/** If `wide` is not faster, both are measured for so long again: on a busy machine V8 may just have been late. */
const PATIENCE_MS = 1000;
const MOST_PATIENT_ROUNDS = 2000;
const MOST_PRODUCTS = 256;

// No multiples of the tiles' heights and widths, so that the edges are computed too.
const [M, N, K] = [90, 104, 93];

/** Makes one build's results. */
export interface Bench {
  readonly kernels: Interpreter;
  readonly memory: KernelMemory;
}

/** What of host.ts is needed. */
interface Host {
  readonly performance: { now(): number };
  breathe(): Promise<void>;
}

/** Resolves to why `wide` is not to run; `undefined` if it is. */
export async function compareWide(
  platform: WidePlatform,
  open: (build: Build) => Promise<Bench>,
  { performance: clock, breathe }: Host,
): Promise<string | undefined> {
  const strict = createContestant(await open("strict"), clock);
  // First alone, so that its functions are optimized as they are without joined operations.
  for (; !strict.isSettled(); await breathe()) strict.round();
  platform.enable();
  const wide = createContestant(await open("wide"), clock);
  for (; !wide.isSettled(); await breathe()) {
    strict.round();
    wide.round();
  }
  const expected = strict.results();
  if (wide.results().some((word, i) => word !== expected[i])) {
    platform.disable();
    return "it gives other bits here: please report that, with the processor and the version of the runtime";
  }
  const share = (): number => wide.best() / strict.best();
  const since = clock.now();
  for (let rounds = 0; !(share() < ENOUGH); rounds++) {
    if (rounds === MOST_PATIENT_ROUNDS || clock.now() - since > PATIENCE_MS)
      return `it is not faster here (its time is ${share().toFixed(2)} of strict's): ${platform.hint}`;
    strict.round();
    wide.round();
    await breathe();
  }
  return undefined;
}

interface Contestant {
  /** Calls all kernels once, and measures a product. */
  round(): void;
  /** Milliseconds for a product, at best. */
  best(): number;
  /** Whether the functions seem to have been optimized: V8 does that beside the calls, at a time of its own. */
  isSettled(): boolean;
  /** The bits of all results of the last round. */
  results(): Uint32Array;
}

/** A kernel's arguments after its workload. */
type Rest<Name extends keyof Recorder> = Recorder[Name] extends (work: never, ...rest: infer R) => void ? R : never;

function createContestant({ kernels, memory }: Bench, clock: Host["performance"]): Contestant {
  const scratch = Math.max(PAGE, kernels.heapBase());
  let end = scratch + SCRATCH;
  const place = (floats: number): number => {
    const address = end;
    end += floats * 4;
    return address;
  };
  const [x, weight, bias] = [M * K, K * N, N].map(place);
  const results = end;
  const [product, weightGradient, inputGradient] = [M * N, K * N, M * K].map(place);
  const [activated, normalized, probabilities, mean, factor] = [M * N, M * N, M * N, M, M].map(place);
  memory.grow(Math.ceil(end / PAGE) - memory.buffer.byteLength / PAGE);
  const call = <Name extends keyof Recorder & string>(name: Name, units: number, ...rest: Rest<Name>): void => {
    const kernel = kernels[name] as (...values: unknown[]) => void;
    // Some kernels take scratch memory behind their units.
    const hasScratch = kernel.length === rest.length + 3;
    kernel(0, units, ...(hasScratch ? [scratch] : []), ...rest);
  };
  const multiply = (): void => call("gemm", M, product, x, weight, bias, M, N, K, 0, 0, 0, STRIP);
  [x, weight, bias].forEach((address, i) => {
    const size = [M * K, K * N, N][i];
    call("initializeUniform", Math.ceil(size / 4), address, size, -1, 1, i, 0, 0);
  });
  const pace = createPace(clock);
  return {
    ...pace,
    round() {
      pace.measure(multiply);
      call("gemm", K, weightGradient, x, product, 0, K, N, M, LEFT, 0, 0, STRIP);
      call("gemm", M, inputGradient, product, weight, 0, M, K, N, RIGHT, 0, 0, STRIP);
      call("gelu", (M * N) / 4, activated, product, M * N);
      call("normalizeRows", M, normalized, mean, factor, activated, 0, 0, N, 1, 1e-5);
      call("softmax", M, probabilities, normalized, N);
    },
    results: () => new Uint32Array(memory.buffer.slice(results, end)),
  };
}

/** Measures a function again and again. */
function createPace(
  clock: Host["performance"],
): Pick<Contestant, "best" | "isSettled"> & { measure(f: () => void): void } {
  let [rounds, times, first, second, best, since] = [0, 1, 0, 0, Number.POSITIVE_INFINITY, 0];
  return {
    measure(f) {
      const begin = clock.now();
      for (let i = 0; i < times; i++) f();
      const end = clock.now();
      const each = (end - begin) / times;
      rounds += 1;
      // The first call compiles what it calls, for the time being without optimizing it.
      if (rounds === 1) first = each;
      else if (rounds === 2) second = each;
      else {
        if (end - begin < MEASURED_MS && times < MOST_PRODUCTS) {
          times *= 2;
          return;
        }
        if (each < 0.9 * best) since = end;
        best = Math.min(best, each);
      }
    },
    best: () => best,
    isSettled() {
      if (rounds > MOST_ROUNDS) return true;
      if (best === Number.POSITIVE_INFINITY || clock.now() - since < SETTLED_MS) return false;
      const [becameFast, wasFast] = [2 * best < second, first < 1.5 * best];
      return becameFast || wasFast;
    },
  };
}
