// What of an ONNX file is read and written: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, whose numbers of fields and
// types these are.

/** Types of elements, by their numbers. */
export const ELEMENTS = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;

export type ElementName = keyof typeof ELEMENTS;

/** The version of the operators that is written. */
export const OPSET = 17;
/** The version of the file format that came with it. */
export const IR_VERSION = 8;

/** A tensor of a file: an initializer, or the value of an attribute. */
export interface OnnxTensor {
  readonly name: string;
  readonly dims: readonly number[];
  readonly type: ElementName;
  /** Whole numbers, of booleans too, are exact up to 2^53. */
  readonly data: Float32Array | Float64Array;
}

/** The value of an attribute, by the field that it has in the file. */
export type Attribute =
  | { readonly f: number }
  | { readonly i: number }
  | { readonly s: string }
  | { readonly t: OnnxTensor }
  | { readonly g: OnnxGraph }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] }
  | { readonly strings: readonly string[] };

export type Attributes = Readonly<Record<string, Attribute>>;

export interface OnnxNode {
  readonly name: string;
  readonly type: string;
  readonly domain: string;
  /** "" for one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** An input or output. A size may be a name, or unknown; without any, the rank is. */
export interface OnnxValue {
  readonly name: string;
  readonly type: ElementName;
  readonly dims: readonly (number | string | undefined)[] | undefined;
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

export interface OnnxModel {
  readonly producer: string;
  readonly irVersion: number;
  /** Versions of operators, by domain; "" is ONNX's own. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly graph: OnnxGraph;
  readonly metadata: Readonly<Record<string, string>>;
}
