// Parts of a date as features.
import { cosPi } from "../engine/portableMath.js";
import type { DatePart } from "./tableOptions.js";

const DAY = 86_400_000;

/** Parts that go round: how many of them there are, and which one a date is at, from 0. */
const CYCLES: Readonly<Partial<Record<DatePart, { size: number; of: (date: Date) => number }>>> = {
  month: { size: 12, of: (date) => date.getUTCMonth() },
  day: { size: 31, of: (date) => date.getUTCDate() - 1 },
  dayOfWeek: { size: 7, of: (date) => date.getUTCDay() },
  hour: { size: 24, of: (date) => (((date.getTime() % DAY) + DAY) % DAY) / 3_600_000 },
};

export const isCyclic = (part: DatePart): boolean => CYCLES[part] !== undefined;

/** cos 2πt, with the same bits in every engine. */
function cosOfTurn(turn: number): number {
  const x = 2 * (turn - Math.floor(turn));
  return cosPi(x > 1 ? 2 - x : x);
}

/** The part of a date as a number to scale, or as the sine and cosine of where it is in its cycle. */
export function partOfDate(part: DatePart, time: number): readonly number[] {
  const date = new Date(time);
  const cycle = CYCLES[part];
  if (cycle === undefined) return [part === "year" ? date.getUTCFullYear() : time / DAY];
  const turn = cycle.of(date) / cycle.size;
  return [cosOfTurn(turn - 0.25), cosOfTurn(turn)];
}
