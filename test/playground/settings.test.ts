// The settings that a link of the playground carries.
import { describe, expect, test } from "vitest";
import { schema } from "../../playground/src/points/settings.js";
import {
  choice,
  decodeSettings,
  defaultsOf,
  encodeSettings,
  integers,
  number,
  subset,
} from "../../playground/src/settings.js";

describe("settings in a link", () => {
  test("what has its default is not written", () => {
    expect(encodeSettings(schema, defaultsOf(schema))).toBe("");
    expect(
      encodeSettings(schema, { ...defaultsOf(schema), data: "spiral", layers: [8, 8], features: ["x", "sinx"] }),
    ).toBe("data=spiral&features=x.sinx&layers=8-8");
  });

  test("what was written is read", () => {
    const settings = {
      ...defaultsOf(schema),
      data: "hills" as const,
      noise: 35,
      features: ["xx", "yy"] as const,
      layers: [],
      rate: 0.0003,
      penalty: "l1" as const,
    };
    expect(decodeSettings(schema, `#${encodeSettings(schema, settings)}`)).toEqual(settings);
  });

  test.each([
    "data=sphere",
    "noise=51",
    "noise=",
    "noise=2.5",
    "layers=9",
    "layers=1-2-3-4-5-6-7",
    "layers=2--3",
    "features=z",
    "features=x.x",
    "rate=NaN",
    "rate=Infinity",
    "other=1",
    "%%%",
  ])("%s is no setting, and gives the default", (hash) => {
    expect(decodeSettings(schema, hash)).toEqual(defaultsOf(schema));
  });

  test("fields refuse what is none of their values", () => {
    expect(choice(["a", "b"], "a").read("c")).toBeUndefined();
    expect(number(1, { min: 0, max: 2 }).read("2")).toBe(2);
    expect(number(1, { min: 0, max: 2 }).read("2.01")).toBeUndefined();
    expect(subset(["a", "b", "c"], ["a"]).read("c.a")).toEqual(["a", "c"]);
    expect(integers([1], { min: 1, max: 8, most: 2 }).read("none")).toEqual([]);
  });
});
