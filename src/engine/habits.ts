// Names that other libraries use for an option, so that an error can suggest the right one.

/**
 * For each name, in lower case and without `_` or `-`: what the option may be called here (the first that the call knows
 * is suggested), or what to do instead.
 */
const HABITS: Readonly<Record<string, readonly string[] | string>> = {
  // Axes and shapes.
  dim: ["axis", "axes"],
  dims: ["axes", "axis"],
  axes: ["axis"],
  axis: ["axes"],
  keepdim: ["keepDims"],
  // Windows.
  strides: ["stride"],
  dilationrate: ["dilation"],
  negativeslope: ["negativeSlope"],
  alpha: ["negativeSlope", "slope"],
  p: ["rate"],
  eps: ["epsilon"],
  ddof: ["correction"],
  unbiased: ["correction"],
  // Matrices.
  adjointa: ["transposeA"],
  adjointb: ["transposeB"],
  // Layers.
  activation: "add it behind, as a layer of its own: relu()",
  units: "the number of units is the first argument",
  filters: "the number of filters is the first argument",
  outchannels: "the number of filters is the first argument",
  inchannels: "it is known from the layer before",
  infeatures: "it is known from the layer before",
  inputdim: "it is known from the layer before",
  kernelsize: "the window is an argument before the options",
  poolsize: "the window is the first argument",
  numgroups: "the number of groups is the first argument",
  usebias: ["bias"],
  inputshape: ["input", "inputShape", "output"],
  kernelinitializer: ["weightInitializer"],
  kernelregularizer: ["weightRegularizer"],
  kernelconstraint: ["weightConstraint"],
  gammainitializer: ["weightInitializer"],
  betainitializer: ["biasInitializer"],
  depthmultiplier: ["multiplier"],
  center: ["affine"],
  scale: ["affine"],
  elementwiseaffine: ["affine"],
  dataformat: "channels come last here",
  returnindices: "there are none here",
  weightdecay: "give the layers a regularizer, as dense(8, { weightRegularizer: l2(1e-4) })",
  kernel: ["window"],
  minval: ["low"],
  maxval: ["high"],
  stddev: ["standardDeviation"],
  std: ["standardDeviation"],
  labelsmoothing: 'smooth the targets, and use crossEntropy({ targets: "distributions" })',
  fromlogits: ["from"],
  // Training.
  lr: ["learningRate"],
  rate: ["learningRate"],
  betas: ["beta1"],
  losses: ["loss"],
  metric: ["metrics"],
  lossfunction: ["loss"],
  optimiser: ["optimizer"],
  trainable: ["frozen"],
  validationdata: ["validation"],
  validationsplit: "split the data, and hand in the rest as validation",
  verbose: ["onProgress"],
  callbacks: ["onProgress"],
  batch: ["batchSize"],
  numepochs: ["epochs"],
  stepsperepoch: "an epoch sees every sample; trainSteps() trains so many steps",
  classweight: "repeat the samples of rare classes",
  sampleweight: "repeat the samples that count more",
};

/** The remedy for an option that does not exist, if its name is an option's in other letters, or one of those above. */
export function remedyFor(name: string, known: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[_-]/g, "");
  const same = known.find((option) => option.toLowerCase() === plain);
  if (same !== undefined) return `write ${same}`;
  const habit = Object.hasOwn(HABITS, plain) ? HABITS[plain] : undefined;
  if (typeof habit === "string") return habit;
  const meant = habit?.find((option) => known.includes(option));
  return meant === undefined ? undefined : `write ${meant}`;
}
