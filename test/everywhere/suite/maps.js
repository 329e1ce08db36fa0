// Elements that worker threads make (`map({ module, workers })`): the same in every runtime, and a training on them has the same bits.
import { expect } from "./checks.js";
import change from "./mapped.js";
import { sameBits } from "./numbers.js";

const COUNT = 9;

export async function checkMaps(modules, kit, checks) {
  const { data } = modules;
  if (data === undefined) return checks.skip("maps in workers", "without steepest/data");
  if (!hasWorkers(data)) return checks.skip("maps in workers", "this runtime has none");
  const isBrowser = globalThis.process?.versions?.node === undefined;
  if (!isBrowser) return checkMapsHere(modules, kit, checks);
  // The page's policy, and that of its workers, allows workers from files alone.
  await checks.check("a map in workers that the policy forbids", () => checkForbidden(data));
  if (globalThis.document === undefined) return checks.skip("maps in workers", "a frame of the page has them");
  await checkFrame(checks);
}

/** Where workers may be started. */
export async function checkMapsHere({ steepest, data }, kit, checks) {
  await checks.check("maps in workers", () => checkElements(data));
  await checks.check("a map in a worker that throws", () => checkFailure(data));
  await checks.check("a training on what workers make", () => checkTraining(steepest, data, kit));
}

const module = addressOf("./mapped.js");

/** In Cloudflare's runtime no module has an address. */
function addressOf(path) {
  try {
    return new URL(path, import.meta.url);
  } catch {
    return "file:///mapped.js";
  }
}

function hasWorkers({ source }) {
  try {
    source([1]).map({ module });
    return true;
  } catch (error) {
    expect(error.message.includes("which this runtime does not have"), error.message);
    return false;
  }
}

async function failureOf(from) {
  return await elements(from, 1).then(
    () => "nothing, as it did not fail",
    (error) => String(error?.message),
  );
}

async function checkForbidden(data) {
  const said = await failureOf(rows(data).map({ module }));
  expect(said.includes("must answer, got none, as the worker was lost: "), `it said ${said}`);
}

async function checkFrame(checks) {
  const frame = document.createElement("iframe");
  frame.src = "/maps";
  const answer = new Promise((resolve) => {
    globalThis.addEventListener("message", function take({ data: message }) {
      if (message?.maps === undefined) return;
      globalThis.removeEventListener("message", take);
      resolve(message.maps);
    });
  });
  document.body.append(frame);
  const { failures, passed } = await answer;
  frame.remove();
  await checks.check("maps in workers, in a frame", () => {
    expect(failures.length === 0 && passed === 3, `${passed} passed: ${failures.join("; ")}`);
  });
}

const rows = ({ source }) =>
  source(function* () {
    for (let i = 0; i < COUNT; i++) yield { x: Float32Array.of(i, i / 4), y: [i % 2] };
  });

async function elements(from, pass) {
  const all = [];
  const opened = from.open({ pass, skip: 0 });
  for (let next = await opened.next(); !next.done; next = await opened.next()) all.push(next.value);
  return all;
}

async function checkElements(data) {
  const wanted = JSON.stringify(await elements(rows(data).map(change), 3));
  for (const workers of [1, 3]) {
    const found = JSON.stringify(await elements(rows(data).map({ module, workers }), 3));
    expect(found === wanted, `${workers} workers made ${found.slice(0, 80)} instead of ${wanted.slice(0, 80)}`);
  }
  const [{ scope }] = await elements(rows(data).map({ module, name: "scope", workers: 1 }), 1);
  expect(scope !== "Window", "it was made by the page");
}

async function checkFailure(data) {
  const from = rows(data).map({ module, name: "failing", workers: 2 });
  const said = await failureOf(from);
  expect(/pass 1, element 3: .*RangeError: the third is too much/.test(said), `it said ${said}`);
}

async function checkTraining({ compile, dense, meanSquaredError, sequential, sgd }, data, { engine }) {
  const train = async (from) => {
    const options = {
      loss: meanSquaredError(),
      optimizer: sgd({ learningRate: 0.01 }),
      seed: 3,
      ...(engine === undefined ? {} : { engine }),
    };
    const trainer = await compile(sequential({ input: [2] }, dense(1)), options);
    await trainer.fit(from, { epochs: 2, batchSize: 3 });
    const { data: weight } = trainer.parameters().get("0.weight");
    trainer.dispose();
    return weight;
  };
  const wanted = await train(rows(data).map(change));
  const found = await train(rows(data).map({ module, workers: 2 }));
  expect(sameBits(found, wanted), `its weights are ${found} instead of ${wanted}`);
}
