// Names tests, runs them one after another, and counts.

const results = { passed: 0, failed: 0 };

export async function test(name, body) {
  const begin = performance.now();
  try {
    await body();
    results.passed++;
    console.log(`ok    ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  } catch (error) {
    results.failed++;
    console.log(`FAIL  ${name}\n${error.stack ?? error}`);
  }
}

/** Prints the counts, last, and makes the process fail if a test did. */
export function finish() {
  console.log(`${results.passed} passed, ${results.failed} failed`);
  process.exitCode = results.failed > 0 ? 1 : 0;
}

/** Asks until the answer is true of `holds`. It gives up after two minutes, for machines that have much else to do. */
export async function until(ask, holds, what) {
  const end = performance.now() + 120_000;
  let last;
  while (performance.now() < end) {
    last = await ask();
    if (holds(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: still ${JSON.stringify(last)} after two minutes`);
}
