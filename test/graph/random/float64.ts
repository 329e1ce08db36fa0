// Values in float64 and what is needed to write an operation's formula index by index; nothing of the library.
export interface Value {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

/** `f(index)` for each index of a shape, row-major. The array is the same one in each call. */
export function tabulate(shape: readonly number[], f: (index: readonly number[]) => number): Value {
  const index = shape.map(() => 0);
  const data = new Float64Array(countOf(shape));
  for (let place = 0; place < data.length; place++) {
    data[place] = f(index);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return { shape, data };
}

/** The element at an index of a shape that this value is broadcast to: axes are matched from the last one on. */
export function at({ shape, data }: Value, index: readonly number[]): number {
  const before = index.length - shape.length;
  let place = 0;
  for (let axis = 0; axis < shape.length; axis++) {
    place = place * shape[axis] + (shape[axis] === 1 ? 0 : index[before + axis]);
  }
  return data[place];
}

/** The shape that both are broadcast to, or undefined where there is none. */
export function commonShape(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape = Array.from({ length: rank }, (_, axis) => {
    const [left, right] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    return left === 1 ? right : right === 1 || left === right ? left : 0;
  });
  return shape.includes(0) ? undefined : shape;
}

/** `fold` of the elements along `axes`, which stay with size 1 where they are kept. */
export function foldOver(
  x: Value,
  axes: readonly number[],
  keepDims: boolean,
  fold: (elements: number[]) => number,
): Value {
  const kept = x.shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const groups = Array.from({ length: countOf(kept) }, (): number[] => []);
  tabulate(x.shape, (index) => {
    let group = 0;
    for (let axis = 0; axis < kept.length; axis++) group = group * kept[axis] + (kept[axis] === 1 ? 0 : index[axis]);
    const value = at(x, index);
    groups[group].push(value);
    return value;
  });
  const shape = keepDims ? kept : x.shape.filter((_, axis) => !axes.includes(axis));
  return { shape, data: Float64Array.from(groups, fold) };
}

/** `f` of each line along `axis`, which gives a line of any length in its place. */
export function alongAxis(x: Value, axis: number, f: (line: number[]) => readonly number[]): Value {
  const lines = new Map<string, readonly number[]>();
  const elementsOf = (index: readonly number[]) =>
    Array.from({ length: x.shape[axis] }, (_, i) => at(x, index.with(axis, i)));
  const length = f(elementsOf(x.shape.map(() => 0))).length;
  return tabulate(x.shape.with(axis, length), (index) => {
    const key = index.with(axis, 0).join();
    let line = lines.get(key);
    if (line === undefined) {
      line = f(elementsOf(index));
      lines.set(key, line);
    }
    return line[index[axis]];
  });
}

/** [.., m, k] · [.., k, n]; the axes before the last two are broadcast. */
export function matrixProduct(a: Value, b: Value): Value {
  const [m, k] = a.shape.slice(-2);
  const [n] = b.shape.slice(-1);
  const batch = commonShape(a.shape.slice(0, -2), b.shape.slice(0, -2)) as number[];
  return tabulate([...batch, m, n], (index) => {
    const [outer, i, j] = [index.slice(0, -2), index[index.length - 2], index[index.length - 1]];
    let total = 0;
    for (let p = 0; p < k; p++) total += at(a, [...outer, i, p]) * at(b, [...outer, p, j]);
    return total;
  });
}

export const transposed = (x: Value, axes: readonly number[]): Value =>
  tabulate(
    axes.map((axis) => x.shape[axis]),
    (index) => {
      const source = axes.map(() => 0);
      axes.forEach((axis, i) => {
        source[axis] = index[i];
      });
      return at(x, source);
    },
  );
