// A row for each export of "steepest/diagnostics".
import * as S from "steepest";
import * as diagnostics from "steepest/diagnostics";
import type { Row } from "../sweep.js";

const trainer = S.compileSync(S.sequential({ input: [2] }, S.dense(3)), {
  loss: S.crossEntropy(),
  optimizer: S.sgd(),
  seed: 1,
});
const data = () => ({ x: Float32Array.of(0.1, 0.2, 0.3, 0.4), y: Uint32Array.of(0, 2) });

export const diagnosticsRows: readonly Row[] = [
  {
    name: "watchTraining",
    call: diagnostics.watchTraining as never,
    good: () => [trainer, data(), { warn: false, samples: 2 }],
    optional: ["2"],
    opaque: ["0"],
    // An error of the samples says "x", "y" or "data".
    where: [/^x\b/, /^y\b/, /^data\b/, /^validation\b/],
    accepts: {
      "1.x": ["array", "typed array", "number"],
      "1.y": ["array", "typed array", "number"],
      "2.warn": ["function"],
    },
  },
  {
    name: "profile",
    call: diagnostics.profile as never,
    good: () => [
      S.sequential({ input: [2] }, S.dense(3)),
      data(),
      { loss: S.crossEntropy(), optimizer: S.sgd(), batchSize: 2, millisecondsEach: 0.01 },
    ],
    opaque: ["0", "2.loss", "2.optimizer"],
    where: [/^x\b/, /^y\b/, /^data\b/, "compile", "engine"],
    accepts: { "1.x": ["array", "typed array", "number"], "1.y": ["array", "typed array", "number"] },
  },
];

export const namesOfDiagnostics = Object.keys(diagnostics);
