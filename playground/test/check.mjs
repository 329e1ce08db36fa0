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

/** A machine that has much else to do may take so long for a thing. What hangs ends by it. */
export const PATIENCE_MS = 300_000;

/** What the library says where a machine has much else to do: no fault of the page. */
export const isBusy = (text) => /a worker has not started within 1 s: if this machine is not busy/.test(text);

/** Asks until the answer is true of `holds`. */
export async function until(ask, holds, what) {
  const end = performance.now() + PATIENCE_MS;
  let last;
  while (performance.now() < end) {
    last = await ask();
    if (holds(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: still ${JSON.stringify(last)} after five minutes`);
}
