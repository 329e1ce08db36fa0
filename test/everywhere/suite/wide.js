// A build that the runtime does not run: `strict` runs instead, and one line says why.
import { expect } from "./checks.js";

/** Resolves to what `work` does, and to what was said on the console meanwhile. */
export async function listen(work) {
  const { warn } = console;
  const said = [];
  console.warn = (line) => said.push(line);
  try {
    return [await work(), said];
  } finally {
    console.warn = warn;
  }
}

/** Those who ask at the same time, and later, get `strict`; the first is told the reason, which must have `refused` in it. */
export async function checkRefusal({ createEngine }, { build, threads, refused }, checks) {
  await checks.check(`build ${build} runs as strict`, async () => {
    const open = () => createEngine({ build, threads });
    const [engines, said] = await listen(async () => [...(await Promise.all([open(), open()])), await open()]);
    for (const engine of engines) {
      expect(engine.build === "strict", `an engine runs as ${engine.build}`);
      engine.dispose();
    }
    const isRight = said.length === 1 && said[0].startsWith(`steepest: build "${build}" runs as "strict": `);
    expect(isRight && said[0].includes(refused), `it says ${JSON.stringify(said)}, not once "${refused}"`);
  });
  return { build, threads, passed: checks.count(), failures: checks.failures, skips: checks.skips };
}
