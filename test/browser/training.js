// A training whose every number is compared between runtimes; runs in pages, workers and Node alike.

/** The model has dropout and a ragged last batch; returns all numbers as one string of bits. */
export async function train(steepest, options) {
  const { adam, compile, crossEntropy, dense, dropout, relu, sequential } = steepest;
  let seed = 12345;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const data = {
    x: Float32Array.from({ length: 300 * 200 }, () => random() - 0.5),
    y: Uint8Array.from({ length: 300 }, () => Math.floor(random() * 10)),
  };
  const model = sequential({ input: [200] }, dense(256), relu(), dropout(0.2), dense(128), relu(), dense(10));
  const trainer = await compile(model, {
    loss: crossEntropy(),
    optimizer: adam(),
    metrics: ["accuracy"],
    seed: 5,
    ...options,
  });
  const numbers = [];
  for await (const { loss, accuracy } of trainer.fit(data, { epochs: 2, batchSize: 128 })) numbers.push(loss, accuracy);
  numbers.push(...(await trainer.predict(data.x)));
  for (const { data } of trainer.parameters().values()) numbers.push(...data);
  const { threads, background, build } = trainer;
  trainer.dispose();
  let hash = 0;
  for (const word of new Uint32Array(Float64Array.from(numbers).buffer)) hash = (Math.imul(hash, 31) + word) | 0;
  return { digest: hash >>> 0, first: numbers.slice(0, 4), threads, background, build };
}
