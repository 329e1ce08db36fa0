// Names that other libraries have for an option, or that a slip of the pen makes of one: so that a refusal names the right one.

/** What the option is called here (the first that the call knows), or what to do in its place. By name in small letters, without `_`. */
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
  axisnorm: ["axis"],
  // Matrices.
  adjointa: ["transposeA"],
  adjointb: ["transposeB"],
  // Training.
  lr: ["learningRate"],
  rate: ["learningRate"],
};

/** The remedy for an option that does not exist, where the habit is known. */
export function remedyFor(name: string, known: readonly string[]): string | undefined {
  const plain = name.toLowerCase().replaceAll(/[_-]/g, "");
  const same = known.find((option) => option.toLowerCase() === plain);
  if (same !== undefined) return `write ${same}`;
  const habit = Object.hasOwn(HABITS, plain) ? HABITS[plain] : undefined;
  if (typeof habit === "string") return habit;
  const meant = habit?.find((option) => known.includes(option));
  return meant === undefined ? undefined : `write ${meant}`;
}
