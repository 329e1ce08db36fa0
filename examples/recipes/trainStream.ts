import { adam, compile, dense, type EpochResult, meanSquaredError, relu, type Source, sequential } from "steepest";

/** Trains once on all that a source gives, whatever its size. `seen` hears of the samples. */
export async function trainStream(
  data: Source,
  width: number,
  seen: (samples: number) => void,
): Promise<EpochResult<never>> {
  const model = sequential({ input: [width] }, dense(16), relu(), dense(1));
  using trainer = await compile(model, { loss: meanSquaredError(), optimizer: adam({ learningRate: 1e-3 }), seed: 1 });
  const onProgress = ({ samples }: { samples: number }) => seen(samples);
  const [epoch] = await trainer.fit(data, { batchSize: 256, onProgress });
  return epoch;
}
