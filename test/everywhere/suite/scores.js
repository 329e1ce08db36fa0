// steepest/search and steepest/metrics, which have no kernels: the same numbers in every runtime.
import { expect } from "./checks.js";

export async function checkScores({ search, metrics }, checks) {
  if (search === undefined || metrics === undefined) return checks.skip("search and metrics", "without their entries");
  await checks.check("metrics", () => checkMetrics(metrics));
  await checks.check("search", () => checkSearch(search));
}

// scikit-learn's documentation has these scores and this area.
function checkMetrics({ accumulate, rocAuc }) {
  const [scores, targets] = [
    [0.1, 0.4, 0.35, 0.8],
    [0, 0, 1, 1],
  ];
  const area = rocAuc(scores, targets);
  expect(area === 0.75, `the area is ${area} instead of 0.75`);
  const parts = accumulate.rocAuc();
  for (let i = 0; i < 4; i++) parts.add([scores[i]], [targets[i]]);
  expect(parts.value() === 0.75, `the area of parts is ${parts.value()} instead of 0.75`);
}

/** A bowl with its bottom at rate 0.01 and 8 units. */
const bowl = ({ parameters: { rate, units } }) => (Math.log10(rate) + 2) ** 2 + (units - 8) ** 2 / 64;

/** Of twenty at random: the bits that Node found. */
const BEST = '{"rate":0.0050112225724179916,"units":6}';

async function checkSearch({ integers, logUniform, randomSearch, search }) {
  const space = { rate: logUniform(1e-4, 1), units: integers(2, 32) };
  const { best, trials } = await search(space, bowl, { strategy: randomSearch({ trials: 20 }), seed: 1 });
  const found = JSON.stringify(best.parameters);
  expect(trials.length === 20, `${trials.length} trials instead of 20`);
  expect(found === BEST, `the best is ${found} instead of ${BEST}`);
}
