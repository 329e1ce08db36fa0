import { describe, expect, test } from "vitest";
import { ALIGNMENT } from "../../src/engine/allocator.js";
import { apply, applyAll, type Operation } from "../../src/graph/operation.js";
import { type Plan, planMemory } from "../../src/graph/plan.js";
import { bytesOf, input, type Tensor } from "../../src/graph/tensor.js";
import { createRandom } from "../ops/cases.js";

const LEAF = 1 << 30; // addresses of pinned tensors, far from the arena

interface Traits {
  size?: number;
  inPlace?: readonly number[];
  scratchBytes?: number;
  isView?: boolean;
  results?: number;
  epilogue?: number;
  acceptsEpilogue?: boolean;
}

/** An operation that computes nothing, with the traits the planner looks at. */
function operation({ size, inPlace, scratchBytes = 0, isView = false, results = 1, ...rest }: Traits): Operation {
  return {
    name: "test",
    infer: ([x]) => Array.from({ length: results }, () => ({ shape: size === undefined ? x.shape : [size] })),
    ...(isView ? {} : { forward: () => {} }),
    ofNothing: "forward",
    ...(inPlace ? { inPlace } : {}),
    scratchBytes: () => scratchBytes,
    ...rest,
  };
}

const node = (traits: Traits, ...inputs: Tensor[]) => apply(operation(traits), inputs, undefined);

function plan(outputs: readonly Tensor[], ...leaves: Tensor[]): Plan {
  return planMemory(outputs, new Map(leaves.map((tensor, index) => [tensor, LEAF + index * 4096])), {
    convolution: "auto",
  });
}

/**
 * Executes a plan on paper. Memory remembers which value wrote each word; every value that is read must still be there
 * as it was written, an operation may overwrite an input only where it says so, and the outputs must survive.
 */
function checkPlan({ steps, ...places }: Plan, outputs: readonly Tensor[]): void {
  const memory = new Map<number, Tensor>();
  const shown = new Map<Tensor, Tensor>(); // a view has the value of what it shows
  const rangeOf = (tensor: Tensor): [number, number] | undefined => {
    const offset = places.offsetOf(tensor);
    return offset === undefined ? undefined : [offset, offset + bytesOf(tensor)];
  };
  const words = ([from, to]: readonly [number, number]) =>
    Array.from({ length: Math.ceil((to - from) / 4) }, (_, index) => from + index * 4);
  const check = (tensor: Tensor, when: string): void => {
    const range = rangeOf(tensor);
    if (range === undefined) return;
    expect(range[0] % ALIGNMENT).toBe(0);
    expect(range[1]).toBeLessThanOrEqual(places.arenaBytes);
    const value = shown.get(tensor);
    for (const word of words(range))
      if (memory.get(word) !== value) throw new Error(`${when}: value ${tensor.id} is gone`);
  };
  const meet = (a: readonly [number, number], b: readonly [number, number]) =>
    Math.max(a[0], b[0]) < Math.min(a[1], b[1]);

  steps.forEach((step, time) => {
    const { operation: rule, inputs, attributes } = step.node;
    for (const tensor of inputs) check(tensor, `step ${time}`);
    if (rule.forward === undefined) {
      expect(rangeOf(step.outputs[0])).toEqual(rangeOf(inputs[0]));
      shown.set(step.outputs[0], shown.get(inputs[0]) ?? inputs[0]);
      return;
    }
    const scratch = places.scratchOffsetOf(step);
    const scratchRange = [
      scratch,
      scratch + (rule.scratchBytes?.(inputs, attributes, step.wanted, { convolution: "auto" }) ?? 0),
    ] as const;
    const written = step.outputs.flatMap((tensor) => {
      const range = rangeOf(tensor);
      return range ? [range] : [];
    });
    written.forEach((range, index) => {
      for (const other of [...written.slice(index + 1), scratchRange]) expect(meet(range, other)).toBe(false);
      inputs.forEach((tensor, at) => {
        const read = rangeOf(tensor);
        if (read === undefined || !meet(range, read)) return;
        const sameValue = inputs.some((one, i) => rule.inPlace?.includes(i) && shown.get(one) === shown.get(tensor));
        expect(index === 0 && sameValue, `step ${time} overwrites its input ${at}`).toBe(true);
        expect(read).toEqual(range);
      });
    });
    for (const tensor of inputs) {
      const read = rangeOf(tensor);
      if (read) expect(meet(read, scratchRange)).toBe(false);
    }
    for (const word of words(scratchRange)) memory.delete(word);
    for (const tensor of step.outputs) {
      shown.set(tensor, tensor);
      const range = rangeOf(tensor);
      if (range) for (const word of words(range)) memory.set(word, tensor);
    }
  });
  for (const tensor of outputs) check(tensor, "the end");
}

describe("no two live values overlap", () => {
  test.each(Array.from({ length: 200 }, (_, seed) => seed))("random graph %i", (seed) => {
    const random = createRandom(seed + 1);
    const leaves = Array.from({ length: 1 + random.below(3) }, () => input([random.below(40)]));
    const tensors = [...leaves];
    const kinds: ((x: Tensor) => Traits)[] = [
      () => ({ size: random.below(60) }),
      () => ({ size: 0 }),
      () => ({ inPlace: [random.below(2)] }),
      () => ({ inPlace: [0, 1] }),
      () => ({ isView: true }),
      () => ({ scratchBytes: 4 * random.below(50) }),
      () => ({ results: 1 + random.below(3), inPlace: [0] }),
      () => ({ acceptsEpilogue: true }),
      () => ({ epilogue: 1 }),
    ];
    for (let count = 3 + random.below(25); count > 0; count--) {
      const pick = () => tensors[Math.max(0, tensors.length - 1 - random.below(6))];
      const inputs = Array.from({ length: 1 + random.below(3) }, pick);
      const traits = kinds[random.below(kinds.length)](inputs[0]);
      const used = traits.isView || traits.epilogue ? inputs.slice(0, 1) : inputs;
      tensors.push(...applyAll(operation(traits), used, undefined));
    }
    const results = [tensors.at(-1) as Tensor, tensors[random.below(tensors.length)]].filter(
      (tensor) => !leaves.includes(tensor),
    );
    const planned = plan(results, ...leaves);
    checkPlan(planned, results);
    expect(planned.arenaBytes).toBeLessThanOrEqual(planned.unsharedBytes);
  });

  test("the check itself: overlapping values are found", () => {
    const x = input([4]);
    const a = node({}, x);
    const b = node({}, x);
    const both = node({}, a, b);
    const planned = plan([both], x);
    const wrong = {
      ...planned,
      offsetOf: (tensor: Tensor) => (tensor === b ? planned.offsetOf(a) : planned.offsetOf(tensor)),
    };
    expect(() => checkPlan(wrong, [both])).toThrow(/value \d+ is gone/);
    checkPlan(planned, [both]);
  });
});

describe("in place", () => {
  const x = input([16]);

  test("a chain of operations that allow it lives in one buffer", () => {
    let y = node({}, x);
    for (let i = 0; i < 5; i++) y = node({ inPlace: [0] }, y);
    const { arenaBytes, unsharedBytes } = plan([y], x);
    expect([arenaBytes, unsharedBytes]).toEqual([64, 64]);
  });

  test("never over an input of the program, nor over what is read later or asked for", () => {
    const own = node({ inPlace: [0] }, x);
    expect(plan([own], x).offsetOf(own)).toBe(0);
    const a = node({}, x);
    const b = node({ inPlace: [0] }, a);
    const later = plan([node({}, a, b)], x);
    expect(later.offsetOf(b)).not.toBe(later.offsetOf(a));
    const kept = plan([a, b], x);
    expect(kept.offsetOf(b)).not.toBe(kept.offsetOf(a));
  });

  test("takes the second input where only that one dies", () => {
    const [a, b] = [node({}, x), node({}, x)];
    const y = node({ inPlace: [0, 1] }, a, b);
    const planned = plan([y, a], x);
    expect(planned.offsetOf(y)).toBe(planned.offsetOf(b));
  });

  test("a smaller operand is not taken over, though it has as many bytes of arena", () => {
    const small = node({ size: 4 }, x); // 16 bytes, the result 48: both take one line of 64
    const y = node({ size: 12, inPlace: [0] }, small);
    const planned = plan([y], x);
    expect(planned.offsetOf(y)).not.toBe(planned.offsetOf(small));
  });

  test("not while a view of it is still to be read", () => {
    const a = node({}, x);
    const view = node({ isView: true }, a);
    const b = node({ inPlace: [0] }, a);
    const planned = plan([node({}, view, b)], x);
    expect(planned.offsetOf(b)).not.toBe(planned.offsetOf(a));
  });
});

describe("views", () => {
  test("lie where their tensor lies, and keep it alive", () => {
    const x = input([16]);
    const a = node({}, x);
    const view = node({ isView: true }, node({ isView: true }, a));
    const others = node({}, node({}, node({}, x)));
    const end = node({}, view, others);
    const planned = plan([end], x);
    expect(planned.offsetOf(view)).toBe(planned.offsetOf(a));
    checkPlan(planned, [end]);
  });

  test("of a pinned tensor are pinned with it", () => {
    const x = input([16]);
    const view = node({ isView: true }, node({ isView: true }, x));
    const planned = plan([view], x);
    expect(planned.pinnedOf(view)).toBe(x);
    expect(planned.offsetOf(view)).toBeUndefined();
    expect(planned.arenaBytes).toBe(0);
  });
});

test("values that do not meet share bytes: a deep chain takes two buffers, not one a step", () => {
  let y = input([100]);
  const x = y;
  for (let i = 0; i < 50; i++) y = node({}, y);
  const { arenaBytes, unsharedBytes } = plan([y], x);
  expect(unsharedBytes).toBe(50 * 448); // 400 bytes take seven lines of 64
  expect(arenaBytes).toBe(2 * 448);
});

test("scratch is taken for its step only", () => {
  const x = input([16]);
  let y = node({}, x);
  for (let i = 0; i < 3; i++) y = node({ inPlace: [0], scratchBytes: 1000 }, y);
  const planned = plan([y], x);
  expect(planned.arenaBytes).toBe(64 + 1024);
  expect(planned.unsharedBytes).toBe(64 + 3 * 1024);
  checkPlan(planned, [y]);
});

test("a pinned result takes no arena", () => {
  const x = input([16]);
  const y = node({}, x);
  const planned = planMemory([y], new Map([x, y].map((tensor, index) => [tensor, LEAF + index * 64])), {
    convolution: "auto",
  });
  expect(planned.pinnedOf(y)).toBe(y);
  expect(planned.arenaBytes).toBe(0);
});

describe("fusion", () => {
  const x = input([16]);
  const linear = () => node({ acceptsEpilogue: true }, x);

  test("an activation becomes the last pass of the node before it", () => {
    const y = node({ epilogue: 7 }, linear());
    const { steps, arenaBytes } = plan([y], x);
    expect(steps.map(({ outputs, epilogue }) => ({ outputs, epilogue }))).toEqual([{ outputs: [y], epilogue: 7 }]);
    expect(arenaBytes).toBe(64);
  });

  test("not when somebody else reads what lies between", () => {
    const z = linear();
    expect(plan([node({}, node({ epilogue: 7 }, z), z)], x).steps.map(({ epilogue }) => epilogue)).toEqual([0, 0, 0]);
  });

  test("not when what lies between is asked for or pinned", () => {
    const z = linear();
    const y = node({ epilogue: 7 }, z);
    expect(plan([y, z], x).steps).toHaveLength(2);
    expect(plan([y], x, z).steps).toHaveLength(2);
  });

  test("not when the node before takes no epilogue, or the reader is none", () => {
    expect(plan([node({ epilogue: 7 }, node({}, x))], x).steps).toHaveLength(2);
    expect(plan([node({}, linear())], x).steps).toHaveLength(2);
  });

  test("one activation only", () => {
    const y = node({ epilogue: 8 }, node({ epilogue: 7 }, linear()));
    expect(plan([y], x).steps.map(({ epilogue }) => epilogue)).toEqual([7, 0]);
  });
});
