// What worker threads load: an element, the place it has, and who made it.
const global = () => globalThis.constructor?.name ?? "";

export default function change({ x, y }, { pass, index }) {
  return { x: x.map((value) => value * 2 + index), y: [y[0] + pass] };
}

/** Of a thread that has no page: what its global scope is called. */
export const scope = (element) => ({ element, scope: global() });

export function failing(element, { index }) {
  if (index === 2) throw new RangeError("the third is too much");
  return element;
}
