// Tables of options: what they read, what they refuse, and that the compiler holds them complete.
import { expect, test } from "vitest";
import { ModelError } from "../../src/engine/errors.js";
import {
  choice,
  flag,
  integer,
  number,
  type OptionsOf,
  optional,
  readOptions,
  unchecked,
} from "../../src/engine/options.js";

interface Options {
  slope: number;
  steps?: number;
  reverse?: boolean;
  mode?: "near" | "far";
  limit?: number;
  size?: readonly number[];
}

const TABLE = {
  slope: number(undefined, { min: 0 }),
  steps: integer(3, { min: 1, max: 9 }),
  reverse: flag(false),
  mode: choice("near", ["near", "far"]),
  limit: optional(number()),
  size: unchecked<readonly number[] | undefined>(),
} satisfies OptionsOf<Options>;

test("what is given, and the defaults of the rest", () => {
  const size = [1, 2];
  expect(readOptions("move", { slope: 2, size, mode: "far" }, TABLE)).toEqual({
    ...{ slope: 2, steps: 3, reverse: false, mode: "far", limit: undefined },
    size,
  });
  // What is undefined is absent.
  expect(readOptions("move", { slope: 0, steps: undefined, limit: -1 }, TABLE)).toMatchObject({ steps: 3, limit: -1 });
});

test.each([
  [{ slope: 1, speed: 2 }, 'move: unknown option "speed": the options are slope, steps, reverse, mode, limit, size'],
  [{}, "move: slope must be a number of at least 0, got undefined"],
  [{ slope: -1 }, "move: slope must be a number of at least 0, got -1"],
  [{ slope: 1, steps: 10 }, "move: steps must be a whole number from 1 to 9, got 10"],
  [{ slope: 1, steps: null }, "move: steps must be a whole number from 1 to 9, got null"],
  [{ slope: 1, reverse: 1 }, "move: reverse must be true or false, got 1"],
  [{ slope: 1, mode: "up" }, 'move: mode must be "near" or "far", got "up"'],
  [{ slope: 1, limit: Number.NaN }, "move: limit must be a finite number, got NaN"],
  [3, "move: options must be an object such as { slope: … }, got 3"],
])("refuses %j", (options, message) => {
  expect(() => readOptions("move", options as object, TABLE)).toThrow(ModelError);
  expect(() => readOptions("move", options as object, TABLE)).toThrow(message);
});

test("the compiler refuses a table that lacks an option, has one too many, or reads another type", () => {
  interface Two {
    first?: number;
    second?: boolean;
  }
  // @ts-expect-error second is missing
  const lacking = { first: number(1) } satisfies OptionsOf<Two>;
  // @ts-expect-error there is no third
  const beyond = { first: number(1), second: flag(true), third: flag(true) } satisfies OptionsOf<Two>;
  // @ts-expect-error first is a number
  const other = { first: flag(true), second: flag(true) } satisfies OptionsOf<Two>;
  const read = readOptions("two", {}, { first: number(1), second: flag(true) } satisfies OptionsOf<Two>);
  const types: { first: number; second: boolean } = read;
  expect([lacking, beyond, other, types]).toHaveLength(4);
});
