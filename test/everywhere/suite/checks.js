// Counts what passed; a check that fails is noted and the suite goes on.

/** Messages are short: they go through a process's output or a page's answer. */
export function createChecks() {
  const failures = [];
  const skips = [];
  let passed = 0;
  return {
    failures,
    skips,
    count: () => passed,
    /** Notes the outcome of `work`, which throws where something is wrong. Resolves to its result. */
    async check(name, work) {
      try {
        const result = await work();
        passed += 1;
        return result;
      } catch (error) {
        failures.push(`${name}: ${String(error?.message ?? error).slice(0, 400)}`);
        return undefined;
      }
    },
    skip(name, reason) {
      skips.push(`${name}: ${reason}`);
    },
  };
}

export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

/** What went wrong, and where. Only V8 begins the stack with the message. */
export function explain(error) {
  const stack = String(error?.stack ?? "");
  return stack.includes(error?.message) ? stack : `${error}\n${stack}`;
}
