// Loaded before a worker or a coordinator, with --expose-gc: on SIGUSR2 it prints what is alive, as a line of JSON.
process.on("SIGUSR2", () => {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  console.log(JSON.stringify({ event: "memory", bytes: heapUsed + external }));
});
