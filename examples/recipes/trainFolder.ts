import * as S from "steepest";
import { split } from "steepest/data";
import { imageFolder } from "steepest/images";

export async function trainFolder(path: string, epochs: number): Promise<{ loss: number; accuracy: number }> {
  const { samples, shape, classNames } = await imageFolder(path, { size: [28, 28], channels: 1 });
  const { training, test } = split(samples, { parts: { training: 0.8, test: 0.2 }, stratify: samples.y });
  const moved = S.randomAffine({ rotation: 10, translation: 0.05 });
  const features = [moved, S.conv2d(16, 3), S.relu(), S.maxPool2d(2), S.flatten()] as const;
  const model = S.sequential({ input: shape }, ...features, S.dense(classNames.length));
  const optimizer = S.adam({ learningRate: 0.003 });
  using trainer = await S.compile(model, { loss: S.crossEntropy(), optimizer, metrics: ["accuracy"], seed: 1 });
  await trainer.fit(training, { epochs });
  return await trainer.evaluate(test);
}
