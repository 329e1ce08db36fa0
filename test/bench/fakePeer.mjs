// A peer that learns at once: its losses are 4, 3, 2, 1. Its argument chooses what it does wrong.
import { LeftOut, repeatingSession, serve, trainingSession } from "../../bench/peers/serve.mjs";

const [, , fault] = process.argv;
if (fault === "crash") throw new Error("no luck");

function train(task) {
  let steps = 0;
  return trainingSession(task, {
    alike: false,
    note: "counts down",
    start() {
      steps = 0;
    },
    step(batch) {
      steps += 1;
      if (fault === "wrong batch" && batch !== (steps - 1) % task.batches) throw new Error("out of order");
      if (fault === "fails") throw new Error("cannot step");
    },
    stepWithLoss() {
      steps += 1;
      return fault === "NaN" ? Number.NaN : 5 - steps;
    },
  });
}

function product({ n, a, b }) {
  const results = () =>
    Float64Array.from({ length: n * n }, (_, i) => {
      const [row, column] = [Math.floor(i / n), i % n];
      return a.subarray(row * n, (row + 1) * n).reduce((sum, value, p) => sum + value * b[p * n + column], 0);
    });
  return repeatingSession({ results, once: () => Promise.resolve() });
}

function predict() {
  if (fault === "noise") process.stdout.write("not JSON\n");
  throw new LeftOut("sees no future");
}

await serve("1.2.3", { train, product, ...(fault === "ignorant" ? {} : { predict }) });
