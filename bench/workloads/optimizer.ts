// Steps of optimizers over ten million parameters, next to a copy of as many bytes: what the memory gives.
import type { Engine } from "../../src/engine/engine.js";
import { elements, type Pointer, serial, startRecording } from "../../src/engine/instructions.js";
import { createLease, type Lease } from "../../src/engine/lease.js";
import type { Recorder } from "../../src/engine/recorder.js";
import { installProgram } from "../../src/graph/program.js";
import {
  adadelta,
  adagrad,
  adam,
  adamax,
  adamW,
  clipByGlobalNorm,
  lamb,
  lion,
  nadam,
  type Optimizer,
  radam,
  rmsprop,
  rprop,
  sgd,
} from "../../src/optim/index.js";
import { layoutOptimizer, placeOptimizer } from "../../src/optim/placement.js";
import { engineOf } from "../engines.js";
import { clipPlain, firstParameters, gradientsOf, type PlainOptimizer, plainSteps } from "../javascript/optimizers.js";
import {
  type Contestant,
  type GradientKind,
  type PeerWork,
  type RemoteContestant,
  type Variant,
  variantOf,
  type Workload,
} from "../workload.js";
import { checkValues } from "./values.js";

interface OptimizerCase {
  readonly create: (learningRate: number) => Optimizer;
  readonly learningRate: number;
  /** How many values it keeps for each parameter. */
  readonly slots: number;
  /** Values that a step reads and writes for each parameter. Default: all of them, and no more: once over everything. */
  readonly moved?: number;
  /** Whether a step leaves something else where the gradients were. */
  readonly spends?: boolean;
}

const cases: Record<PlainOptimizer, OptimizerCase> = {
  sgd: { create: (learningRate) => sgd({ learningRate }), learningRate: 0.1, slots: 0 },
  momentum: { create: (learningRate) => sgd({ learningRate, momentum: 0.9 }), learningRate: 0.1, slots: 1 },
  adam: { create: (learningRate) => adam({ learningRate }), learningRate: 0.001, slots: 2 },
  adamW: { create: (learningRate) => adamW({ learningRate }), learningRate: 0.001, slots: 2 },
  adamax: { create: (learningRate) => adamax({ learningRate }), learningRate: 0.002, slots: 2 },
  nadam: { create: (learningRate) => nadam({ learningRate }), learningRate: 0.002, slots: 2 },
  radam: { create: (learningRate) => radam({ learningRate }), learningRate: 0.01, slots: 2 },
  rmsprop: { create: (learningRate) => rmsprop({ learningRate }), learningRate: 0.001, slots: 1 },
  adagrad: { create: (learningRate) => adagrad({ learningRate }), learningRate: 0.01, slots: 1 },
  adadelta: { create: (learningRate) => adadelta({ learningRate }), learningRate: 1, slots: 2 },
  rprop: { create: (learningRate) => rprop({ learningRate }), learningRate: 0.001, slots: 2 },
  lion: { create: (learningRate) => lion({ learningRate }), learningRate: 1e-4, slots: 1 },
  // Twice, as a norm is needed between: gradient, moments and parameter in, moments and direction out; then direction and parameter.
  lamb: { create: (learningRate) => lamb({ learningRate }), learningRate: 0.001, slots: 2, moved: 10, spends: true },
};

/** Tensors of so many values each, as a model has them: PyTorch takes them one by one. */
interface Size {
  readonly tensors: number;
  readonly length: number;
}

const TEN_MILLION: Size = { tensors: 10, length: 1_000_000 };

/** What a workload does besides its optimizer's step. */
interface Setting {
  readonly gradients: GradientKind;
  /** The global norm that gradients are clipped to. */
  readonly bound?: number | undefined;
  /** Whether it scales the gradients. */
  readonly scales?: boolean;
}

const PLAIN: Setting = { gradients: "usual" };
const TINY: Setting = { gradients: "tiny" };
/** The norm of ten million gradients is 24, so this scales each; the other bound nothing. */
const CLIPPED: Setting = { gradients: "usual", bound: 0.1, scales: true };
const CLIPPED_NEVER: Setting = { gradients: "usual", bound: 1e6 };

export function optimizerWorkloads(size: Size = TEN_MILLION): Workload[] {
  const names = Object.keys(cases) as PlainOptimizer[];
  const over = `over ${(size.tensors * size.length) / 1e6} million parameters`;
  return [
    ...names.map((name) => {
      const bytes = bytesOf(name, size);
      const copy = { name: "copy", create: (engine: Engine) => copyOf(engine, bytes) };
      return optimizerWorkload(name, `a step of ${name} ${over}`, { name, size, setting: PLAIN, bytes }, copy);
    }),
    ...(["momentum", "adam"] as const).flatMap((name) => {
      const unclipped = (scales: boolean) => ({
        name: "unclipped",
        create: (engine: Engine) => stepsOf(engine, { name, size, setting: { ...PLAIN, scales } }),
      });
      const about = `a step of ${name} ${over}, clipped by global norm: it scales`;
      const [scaled, idle] = [CLIPPED, CLIPPED_NEVER].map((setting) => ({ name, size, setting }));
      return [
        optimizerWorkload(`${name}-clip`, `${about} all gradients`, scaled, unclipped(true)),
        optimizerWorkload(`${name}-clip-idle`, `${about} none`, idle, unclipped(false)),
      ];
    }),
    ...(["adam", "rmsprop", "lion"] as const).map((name) => {
      const usual = { name: "usual", create: (engine: Engine) => stepsOf(engine, { name, size, setting: PLAIN }) };
      const about = `a step of ${name} ${over}, with moments that would be denormal`;
      return optimizerWorkload(`${name}-denormal`, about, { name, size, setting: TINY }, usual);
    }),
  ];
}

/** What is done in a step. */
interface Work {
  readonly name: PlainOptimizer;
  readonly size: Size;
  readonly setting: Setting;
}

/** Parameters, gradients and what is kept are read, and all but the gradients written. */
function bytesOf(name: PlainOptimizer, { tensors, length }: Size): number {
  const { slots, moved = 3 + 2 * slots } = cases[name];
  return 4 * moved * tensors * length;
}

/** Steps until results are compared: radam divides by the root of its second moment from the sixth on. */
const CHECKED_STEPS = 8;
/** Of parameters below 0.2, in which each step is a rounding of 7e-9. */
const TOLERANCE = 1e-7;

/** Plain JavaScript's parameters, of the last work only: they are large. */
let latest: { readonly work: Work; readonly parameters: Float32Array } | undefined;

function expectedOf(work: Work): Float32Array {
  if (latest?.work === work) return latest.parameters;
  const parameters = firstSteps(plainStepsOf(work));
  latest = { work, parameters };
  return parameters;
}

function optimizerWorkload(
  title: string,
  description: string,
  { bytes, ...work }: Work & { readonly bytes?: number },
  yardstick: { readonly name: string; create(engine: Engine): Steps },
): Workload {
  return {
    name: `optimizer-${title}`,
    description,
    ...(bytes === undefined ? { metric: "step-ms", work: 1 } : { metric: "gbytes-s", work: bytes }),
    async prepare(implementation) {
      const variant = variantOf(implementation);
      const steps = variant === undefined ? plainStepsOf(work) : stepsOf(await engineOf(variant), work);
      try {
        checkValues("parameters", firstSteps(steps), expectedOf(work), () => TOLERANCE);
      } catch (error) {
        steps.dispose();
        throw error;
      }
      return contestantOf(steps);
    },
    yardstick: {
      name: yardstick.name,
      prepare: async (variant: Variant) => contestantOf(yardstick.create(await engineOf(variant))),
    },
    forPeers: () => peerWork(work),
  };
}

/** Steps of one work, in one memory. */
interface Steps {
  /** Makes the next step possible, where a step changes what it reads. */
  readonly restore?: (() => void) | undefined;
  run(steps: number): void;
  dispose(): void;
}

type CheckableSteps = Steps & { parameters(): Float32Array };

function firstSteps({ restore, run, parameters }: CheckableSteps): Float32Array {
  for (let i = 0; i < CHECKED_STEPS; i++) {
    restore?.();
    run(1);
  }
  return parameters();
}

/** What has to be restored takes the time itself: of the steps alone. */
function contestantOf({ restore, run, dispose }: Steps): Contestant | RemoteContestant {
  if (restore === undefined) return { reset() {}, run, dispose };
  return {
    remote: true,
    async reset() {},
    async run(steps) {
      let elapsedMs = 0;
      for (let i = 0; i < steps; i++) {
        restore();
        const start = performance.now();
        run(1);
        elapsedMs += performance.now() - start;
      }
      return { elapsedMs };
    },
    dispose,
  };
}

function optimizerOf({ name, setting: { bound } }: Work): Optimizer {
  const { create, learningRate } = cases[name];
  return bound === undefined ? create(learningRate) : clipByGlobalNorm(bound, create(learningRate));
}

/** Gradients that a step changes must be written again before the next one, as in a training. That is not timed. */
function changesGradients({ name, setting }: Work): boolean {
  return setting.scales === true || cases[name].spends === true;
}

/** Tensors that follow each other are one block to an optimizer, and each begins at a multiple of 64 bytes. */
function stepsOf(engine: Engine, work: Work): CheckableSteps {
  const { tensors, length } = work.size;
  const optimizer = optimizerOf(work);
  const trained = Array.from({ length: tensors }, (_, i) => ({ path: `${i}`, shape: [length], length }));
  const layout = layoutOptimizer("bench", optimizer, trained);
  const lease = createLease(engine);
  const takeBlock = () => lease.take(4 * tensors * length);
  const [parameters, gradients] = [takeBlock(), takeBlock()];
  const clock = lease.takeZeros(layout.clockBytes);
  const inBlock = (block: Pointer) => trained.map((_, i) => block + 4 * length * i);
  const placement = placeOptimizer(layout, {
    parameters: inBlock(parameters),
    gradients: inBlock(gradients),
    slots: layout.slots.map(({ bytes }) => lease.takeZeros(bytes)),
    scratch: lease.take(layout.scratchBytes),
    clock,
  });
  const g = gradientsOf(work.setting.gradients, tensors * length);
  engine.write(parameters, firstParameters(tensors * length), "float32");
  engine.write(gradients, g, "float32");
  engine.write(placement.learningRates[0], Float32Array.of(cases[work.name].learningRate), "float32");
  const run = programOf(engine, lease, (record) => {
    record.advance(serial, clock, 0, 0, 0);
    optimizer.record(record, placement);
  });
  return {
    restore: changesGradients(work) ? () => engine.write(gradients, g, "float32") : undefined,
    run,
    parameters: () => engine.floats(parameters, tensors * length).slice(),
    dispose: lease.release,
  };
}

/** Half of the bytes are read, and half of them written. */
function copyOf(engine: Engine, bytes: number): Steps {
  const lease = createLease(engine);
  const [from, to] = [lease.takeZeros(bytes / 2), lease.takeZeros(bytes / 2)];
  const run = programOf(engine, lease, (record) => record.copy(elements(bytes / 8), to, from, bytes / 8));
  return { run, dispose: lease.release };
}

function programOf(engine: Engine, lease: Lease, record: (recorder: Recorder) => void): (steps: number) => void {
  const recording = startRecording();
  record(recording.record);
  const { address, end, threads } = installProgram(engine, recording);
  lease.defer(() => engine.allocator.free(address));
  return (steps) => engine.run(address, end, steps, threads);
}

function plainStepsOf({
  name,
  size: { tensors, length },
  setting: { gradients, bound, scales },
}: Work): CheckableSteps {
  const { slots, learningRate: rate } = cases[name];
  const original = gradientsOf(gradients, tensors * length);
  const block = {
    p: firstParameters(tensors * length),
    g: scales ? original.slice() : original,
    // lamb's has its directions too.
    slots: Array.from({ length: name === "lamb" ? slots + 1 : slots }, () => new Float32Array(tensors * length)),
  };
  const step = plainSteps[name];
  let t = 0;
  return {
    restore: scales ? () => block.g.set(original) : undefined,
    run(steps) {
      for (let i = 0; i < steps; i++) {
        t += 1;
        if (bound !== undefined) clipPlain(block.g, bound);
        for (let k = 0; k < tensors; k++) step(block, { from: k * length, to: (k + 1) * length, rate, t });
      }
    },
    parameters: () => block.p,
    dispose() {},
  };
}

/** So many parameters of a peer are compared with. */
const PLACES = 1000;

function peerWork(work: Work): PeerWork {
  const { name, size, setting } = work;
  const count = size.tensors * size.length;
  // A prime number apart, so that they are in all tensors.
  const places = Array.from({ length: Math.min(PLACES, count) }, (_, i) => (i * 7919 * 13) % count);
  const expected = expectedOf(work);
  return {
    task: {
      kind: "optimizer",
      name,
      learningRate: cases[name].learningRate,
      ...size,
      gradients: setting.gradients,
      bound: setting.bound,
      steps: CHECKED_STEPS,
      places,
    },
    check: (results) => {
      checkValues(
        "parameters",
        results,
        places.map((i) => expected[i]),
        () => TOLERANCE,
      );
    },
  };
}
