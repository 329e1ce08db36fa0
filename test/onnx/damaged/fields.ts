// Changes of single fields of a file, whose lengths are right again afterwards: what a parser takes, and a reader may not.

/** A field: a number, the bytes of one that has a length, or the fields of a message. */
interface Field {
  number: number;
  wire: number;
  value: bigint | Uint8Array | Field[];
}

/** Messages in messages, by the numbers of their fields. */
interface Message {
  readonly [number: number]: Message;
}

const TENSOR: Message = {};
const VALUE: Message = { 2: { 1: { 2: { 1: {} } } } };
const ATTRIBUTE: { [number: number]: Message } = { 5: TENSOR };
const GRAPH: Message = { 1: { 5: ATTRIBUTE }, 5: TENSOR, 11: VALUE, 12: VALUE };
ATTRIBUTE[6] = GRAPH;
const MODEL: Message = { 7: GRAPH, 8: {} };

const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];

function parse(bytes: Uint8Array, message: Message): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Uint8Array => {
    at += length;
    return bytes.slice(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [number, wire] = [tag >>> 3, tag & 7];
    if (wire === VARINT) fields.push({ number, wire, value: varint() });
    else if (wire !== BYTES) fields.push({ number, wire, value: take(wire === FIXED32 ? 4 : 8) });
    else {
      const inner = take(Number(varint()));
      fields.push({ number, wire, value: number in message ? parse(inner, message[number]) : inner });
    }
  }
  return fields;
}

function varintOf(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

function encode(fields: readonly Field[]): number[] {
  return fields.flatMap(({ number, wire, value }) => {
    const tag = varintOf(BigInt(number) * 8n + BigInt(wire));
    if (typeof value === "bigint") return [...tag, ...varintOf(value)];
    const bytes = Array.isArray(value) ? encode(value) : [...value];
    return wire === BYTES ? [...tag, ...varintOf(BigInt(bytes.length)), ...bytes] : [...tag, ...bytes];
  });
}

/** All fields, each with the message that it is in. */
const placesOf = (fields: Field[]): [Field[], Field][] =>
  fields.flatMap((field) => [
    [fields, field] as [Field[], Field],
    ...(Array.isArray(field.value) ? placesOf(field.value) : []),
  ]);

const NUMBERS = [0n, 1n, 2n, 3n, 7n, 10n, 300n, -1n, 2n ** 31n, 2n ** 32n + 1n, 2n ** 53n, 2n ** 63n];

type Random = (below: number) => number;

/** A value of another kind, or another of its kind. */
function revalue(field: Field, random: Random): void {
  const { value } = field;
  if (typeof value === "bigint") field.value = NUMBERS[random(NUMBERS.length)];
  else if (Array.isArray(value))
    value.push({ number: random(24), wire: VARINT, value: NUMBERS[random(NUMBERS.length)] });
  else if (field.wire !== BYTES) field.value = value.map((byte) => byte ^ random(256));
  else if (random(2) === 0) field.value = value.slice(0, random(value.length + 1));
  else field.value = Uint8Array.from([...value, ...Array.from({ length: 1 + random(4) }, () => random(256))]);
}

/** As another type of field. */
function rewire(field: Field, random: Random): void {
  const bytes = Array.from({ length: 8 }, () => random(256));
  const wire = [VARINT, FIXED64, BYTES, FIXED32, 3, 4, 6][random(7)];
  field.wire = wire;
  if (wire === VARINT) field.value = BigInt(random(300));
  else if (wire === BYTES) field.value = Uint8Array.from(bytes.slice(random(8)));
  else field.value = Uint8Array.from(wire === FIXED64 ? bytes : wire === FIXED32 ? bytes.slice(4) : []);
}

function change(fields: Field[], random: Random): void {
  const places = placesOf(fields);
  const [message, field] = places[random(places.length)];
  const index = message.indexOf(field);
  switch (random(7)) {
    case 0:
      message.splice(index, 1);
      return;
    case 1:
      message.splice(random(message.length + 1), 0, structuredClone(field));
      return;
    case 2:
      field.number = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 20, 1000, 2 ** 29][random(16)];
      return;
    case 3: {
      // In the place of another.
      const other = structuredClone(places[random(places.length)][1]);
      message.splice(random(message.length + 1), 0, { ...other, number: field.number });
      return;
    }
    case 4:
      rewire(field, random);
      return;
    default:
      revalue(field, random);
  }
}

/** As `mutations` of bytes: the same number always makes the same change. */
export function fieldMutations(bytes: Uint8Array, randomOf: (index: number) => Random): (index: number) => Uint8Array {
  return (index) => {
    const fields = parse(bytes, MODEL);
    change(fields, randomOf(index));
    return Uint8Array.from(encode(fields));
  };
}
