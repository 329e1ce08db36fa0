// Which products of a model can be computed with int8, and its prediction with those in their place.
import { INT8_DEPTH, INT8_TERMS } from "../engine/constants.js";
import { nodesBehind } from "../graph/backward.js";
import { applyAgain } from "../graph/operation.js";
import { constant, type Node, type Tensor } from "../graph/tensor.js";
import { convolutionOp } from "../ops/conv.js";
import { linearOp, matmulOp } from "../ops/matmul.js";
import type { Convolution } from "../ops/window.js";
import { type InputScale, pairsOf, quantizedInput, quantizedProduct } from "./operations.js";
import type { Int8Weight } from "./weights.js";

/** A dense product or a convolution of a traced prediction, by a parameter. */
export interface Product {
  readonly node: Node;
  /** Path of the parameter. */
  readonly path: string;
  readonly weight: Tensor;
  readonly input: Tensor;
  /** Sizes of its window; absent for a dense product. */
  readonly window: Convolution | undefined;
}

/** What a product is computed with. */
export interface ProductValues {
  readonly weight: Int8Weight;
  readonly packed: Uint32Array;
  /** Of its input, whose numbers are about `step` apart. */
  readonly scale: InputScale;
  readonly step: number;
}

/**
 * The products behind these outputs, in the order in which they are computed, which is the same in any batch. A parameter that is
 * used in another way too stays as it is.
 */
export function findProducts(outputs: readonly Tensor[], parameters: ReadonlyMap<string, Tensor>): Product[] {
  const paths = new Map([...parameters].map(([path, tensor]) => [tensor, path]));
  const products: Product[] = [];
  const others = new Set<Tensor>(outputs);
  for (const node of nodesBehind(outputs)) {
    const weight = weightOf(node);
    const path = weight && paths.get(weight);
    node.inputs.forEach((input, index) => {
      if (index !== 1 || path === undefined) others.add(input);
    });
    if (weight === undefined || path === undefined) continue;
    const window = node.operation === convolutionOp ? (node.attributes as Convolution) : undefined;
    products.push({ node, path, weight, input: node.inputs[0] as Tensor, window });
  }
  return products.filter(({ weight }) => !others.has(weight));
}

/** The weight of a product that the kernels can compute. */
function weightOf({ operation, attributes, inputs }: Node): Tensor | undefined {
  const weight = inputs[1];
  if (weight?.source.kind !== "parameter" || weight.shape.includes(0)) return undefined;
  const depth = weight.shape.slice(0, -1).reduce((product, size) => product * size, 1);
  if (depth > INT8_TERMS) return undefined;
  if (operation === linearOp) return weight;
  if (operation === matmulOp && (attributes as { form: string }).form === "plain") return weight;
  if (operation !== convolutionOp) return undefined;
  const { groups, windowHeight, windowWidth, channels } = attributes as Convolution;
  return groups === 1 && windowHeight * windowWidth * pairsOf(channels) <= INT8_DEPTH ? weight : undefined;
}

/** The outputs again, with the given products computed from int8. */
export function replaceProducts(
  outputs: readonly Tensor[],
  products: ReadonlyMap<Node, { readonly product: Product; readonly values: ProductValues }>,
): Tensor[] {
  const now = new Map<Tensor, Tensor>();
  const quantized = new Map<Tensor, { readonly step: number; readonly tensor: Tensor }[]>();
  const current = (tensor: Tensor): Tensor => now.get(tensor) ?? tensor;
  const inputOf = (x: Tensor, { step, scale }: ProductValues): Tensor => {
    const made = quantized.get(x) ?? [];
    quantized.set(x, made);
    const known = made.find((one) => one.step === step);
    if (known !== undefined) return known.tensor;
    const tensor = quantizedInput(x, scale);
    made.push({ step, tensor });
    return tensor;
  };
  for (const node of nodesBehind(outputs)) {
    const found = products.get(node);
    if (found !== undefined) {
      const { product, values } = found;
      const x = inputOf(current(product.input), values);
      const bias = node.inputs.slice(2).map(current);
      const scales = Float32Array.from(values.weight.scales, (scale) => scale * values.step);
      const operands = [x, constant(values.packed), constant(scales), ...bias];
      const [output] = node.outputs as [Tensor];
      now.set(output, quantizedProduct(operands, output.shape, product.window));
    } else if (node.inputs.some((input) => now.has(input))) {
      const again = applyAgain(node, node.inputs.map(current));
      node.outputs.forEach((output, index) => {
        now.set(output, again[index] as Tensor);
      });
    }
  }
  return outputs.map(current);
}
