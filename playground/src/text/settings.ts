import { choice, type Field, number, type SettingsOf } from "../settings.js";

export const RATES = [0.0003, 0.001, 0.002, 0.004, 0.01] as const;

/** What the text begins with, at most 40 characters. */
const prompt: Field<string> = {
  fallback: "The whale ",
  read: (text) => (text.length > 0 && text.length <= 40 ? text : undefined),
  write: (value) => value,
};

export const schema = {
  model: choice(["gpt", "lstm", "gru"], "gpt"),
  width: number(48, { min: 16, max: 256, whole: true }),
  context: number(48, { min: 8, max: 128, whole: true }),
  batch: number(16, { min: 1, max: 64, whole: true }),
  rate: number(0.004, { min: 0.00001, max: 1 }),
  temperature: number(0.7, { min: 0, max: 2 }),
  prompt,
  seed: number(1, { min: 0, max: 999_999, whole: true }),
  threads: number(1, { min: 1, max: 8, whole: true }),
};

export type TextSettings = SettingsOf<typeof schema>;
