// How often the suite runs in a runtime, and with what.

/** With worker threads: each number of them, once in the background, and the fast build. */
export const withThreads = [
  ...[1, 2, 3, 4, 8].map((threads) => ({ build: "strict", threads })),
  { build: "strict", threads: 2, background: true },
  ...[1, 4].map((threads) => ({ build: "fast", threads })),
];

/** Where an engine of the same kind runs `withThreads`: each operation once, and what threads could change. */
export const withFewerThreads = [
  { build: "strict", threads: 1 },
  { build: "strict", threads: 4 },
  { build: "strict", threads: 2, background: true },
  { build: "fast", threads: 1, brief: true },
  { build: "fast", threads: 4, brief: true },
];

/** In JavaScriptCore more threads than cores are ten times as slow, and the fast build is the strict one. */
export const withFewThreads = [
  ...[1, 2].map((threads) => ({ build: "strict", threads })),
  { build: "strict", threads: 4, brief: true },
  { build: "strict", threads: 2, background: true },
  { build: "fast", threads: 1, brief: true },
];

/** Where another browser of that engine has run the rest. */
export const withTwoThreads = [
  { build: "strict", threads: 2 },
  { build: "strict", threads: 2, background: true },
];

/** The build `wide`, if the runtime has it: each number of threads. */
export const wideWithThreads = [1, 2, 3, 4, 8].map((threads) => ({ build: "wide", threads }));

/** The build `wide`, if the runtime must say why it runs as "strict": the reason has to contain this. */
export const wideRefused = (refused) => ({ build: "wide", threads: 1, refused });

/** With one compiler of V8 alone; the fast build promises nothing there that it does not elsewhere. */
export const oneTier = [1, 4].map((threads) => ({ build: "strict", threads }));

/** A compiler of V8 that an older and a newer Node run in whole. */
export const briefTier = oneTier.map((run) => ({ ...run, brief: true }));

/** An isolated page: it must not wait, so the background is the default. */
const isolated = (runs) => [
  ...runs.filter(({ background }) => background === undefined).map((run) => ({ ...run, inBackground: true })),
  { build: "strict", threads: 2, background: true },
  { build: "strict", threads: 1, background: false, brief: true },
];
export const isolatedPage = isolated(withThreads);
export const isolatedPageOfTwo = isolated(withTwoThreads);

/** Where there are no threads: whoever asks for two gets one. */
export const withoutThreads = [
  { build: "strict", threads: 1 },
  { build: "strict", threads: 2, given: 1, brief: true },
  { build: "fast", threads: 1 },
];
