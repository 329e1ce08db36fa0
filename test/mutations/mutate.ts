// Changes of a file, by a number: the same number always makes the same change.

/** Numbers from a seed: xorshift32. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** At most this many bytes are added. */
const MOST_ADDED = 16;

/** Makes a file with some bytes changed, left out, doubled or cut off. What it gives holds until it is called again. */
export function mutations(bytes: Uint8Array, name: string): (index: number) => Uint8Array {
  const { length } = bytes;
  const room = new Uint8Array(length + MOST_ADDED);
  let seed = 0x811c9dc5;
  for (const letter of name) seed = Math.imul(seed ^ (letter.codePointAt(0) as number), 0x01000193);
  return (index) => {
    const random = randomOf(Math.imul(seed ^ index, 0x9e3779b1) ^ (index >>> 3));
    // The first numbers of near seeds are near.
    for (let skipped = 0; skipped < 4; skipped++) random(2);
    room.set(bytes);
    // Most of what can go wrong is in what describes the data: at the beginning, and at the end of archives.
    const place = () => {
      const kind = random(4);
      if (kind === 0) return random(length);
      return kind === 1 ? length - 1 - random(Math.min(length, 300)) : random(Math.min(length, 700));
    };
    switch (random(5)) {
      case 0:
        return room.subarray(0, random(length));
      case 1: {
        const at = place();
        const left = Math.min(1 + random(4), length - at);
        room.copyWithin(at, at + left, length);
        return room.subarray(0, length - left);
      }
      case 2: {
        const at = place();
        const doubled = Math.min(1 + random(8), length - at);
        room.copyWithin(at + doubled, at, length);
        return room.subarray(0, length + doubled);
      }
      default:
        for (let count = 1 + random(3); count > 0; count--)
          room[place()] = random(3) === 0 ? 0x30 + random(10) : random(256);
        return room.subarray(0, length);
    }
  };
}
