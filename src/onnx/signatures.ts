// What operators take, as ONNX defines it for opset 7 to 21. An attribute or an input beyond is an error: what it would change is not
// known here.
import { ModelError, showNames, showValue } from "../engine/errors.js";
import type { OnnxNode } from "./schema.js";

/** Of operators that take any number. */
const MANY = Number.POSITIVE_INFINITY;

const REMEDY = "the file is damaged, or of a later opset than 21";

/** Operators with the attributes that they have, and how many inputs at most. */
const ROWS: readonly (readonly [inputs: number, attributes: string, operators: string])[] = [
  [
    1,
    "",
    "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor GlobalAveragePool GlobalMaxPool HardSwish Identity IsNaN Log Mish Neg Not Reciprocal Relu Round Sigmoid Sign Sin Sinh Size Softplus Softsign Sqrt Tan Tanh",
  ],
  [2, "", "Add And Div Equal Expand Greater GreaterOrEqual Less LessOrEqual MatMul Mul Or PRelu Pow Sub Tile Xor"],
  [3, "", "Range Where"],
  [MANY, "", "Max Mean Min Sum"],
  [8, "activation_alpha activation_beta activations clip direction hidden_size input_forget layout", "LSTM"],
  [6, "activation_alpha activation_beta activations clip direction hidden_size layout", "RNN"],
  [6, "activation_alpha activation_beta activations clip direction hidden_size layout linear_before_reset", "GRU"],
  [2, "align_corners mode padding_mode", "GridSample"],
  [2, "allowzero", "Reshape"],
  [1, "alpha", "Celu Elu LeakyRelu ThresholdedRelu"],
  [1, "alpha beta", "HardSigmoid"],
  [1, "alpha beta bias size", "LRN"],
  [3, "alpha beta transA transB", "Gemm"],
  [1, "alpha gamma", "Selu"],
  [
    4,
    "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value keep_aspect_ratio_policy mode nearest_mode",
    "Resize",
  ],
  [1, "approximate", "Gelu"],
  [1, "auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides", "AveragePool"],
  [1, "auto_pad ceil_mode dilations kernel_shape pads storage_order strides", "MaxPool"],
  [3, "auto_pad dilations group kernel_shape output_padding output_shape pads strides", "ConvTranspose"],
  [3, "auto_pad dilations group kernel_shape pads strides", "Conv"],
  [1, "axes", "MeanVarianceNormalization"],
  [2, "axes", "Squeeze Unsqueeze"],
  [5, "axes ends starts", "Slice"],
  [
    2,
    "axes keepdims noop_with_empty_axes",
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare",
  ],
  [1, "axis", "Flatten LogSoftmax Softmax"],
  [2, "axis", "Gather GatherElements"],
  [3, "axis", "OneHot"],
  [MANY, "axis", "Concat"],
  [3, "axis epsilon stash_type", "LayerNormalization"],
  [2, "axis k largest sorted", "TopK"],
  [1, "axis keepdims select_last_index", "ArgMax ArgMin"],
  [2, "axis num_outputs split", "Split"],
  [1, "axis p", "LpNormalization"],
  [3, "axis reduction", "ScatterElements"],
  [2, "batch_dims", "GatherND"],
  [1, "bias lambd", "Shrink"],
  [1, "blocksize", "SpaceToDepth"],
  [1, "blocksize mode", "DepthToSpace"],
  [
    MANY,
    "body directions num_scan_inputs scan_input_axes scan_input_directions scan_output_axes scan_output_directions",
    "Scan",
  ],
  [1, "end start", "Shape"],
  [3, "epsilon", "InstanceNormalization"],
  [5, "epsilon momentum spatial training_mode", "BatchNormalization"],
  [3, "epsilon num_groups stash_type", "GroupNormalization"],
  [MANY, "equation", "Einsum"],
  [2, "exclusive reverse", "CumSum"],
  [2, "fmod", "Mod"],
  [3, "kernel_shape pads strides", "MaxUnpool"],
  [3, "max min", "Clip"],
  [4, "mode pads value", "Pad"],
  [1, "perm", "Transpose"],
  [3, "ratio seed", "Dropout"],
  [3, "reduction", "ScatterND"],
  [1, "saturate to", "Cast"],
  [0, "sparse_value value value_float value_floats value_int value_ints value_string value_strings", "Constant"],
  [2, "upper", "Trilu"],
  [1, "value", "ConstantOfShape"],
];

const wordsOf = (text: string): string[] => (text === "" ? [] : text.split(" "));

const SIGNATURES = new Map(
  ROWS.flatMap(([inputs, attributes, operators]) =>
    wordsOf(operators).map((operator) => [operator, { inputs, attributes: wordsOf(attributes) }] as const),
  ),
);

export const signed: readonly string[] = [...SIGNATURES.keys()];

/** Throws ModelError if a node has an attribute or an input that its operator does not have. */
export function checkSignature({ type, name, inputs, attributes }: OnnxNode): void {
  const signature = SIGNATURES.get(type);
  if (signature === undefined) return;
  const where = `fromOnnx: ${type} ${showValue(name.slice(0, 80))}`;
  if (inputs.length > signature.inputs)
    throw new ModelError(`${where}: must have at most ${signature.inputs} inputs, got ${inputs.length}: ${REMEDY}`);
  const unknown = Object.keys(attributes).filter((attribute) => !signature.attributes.includes(attribute));
  if (unknown.length > 0)
    throw new ModelError(
      `${where}: must have the attributes of the operator, got ${showNames(unknown.map((one) => one.slice(0, 80)))} too: ${REMEDY}`,
    );
}
