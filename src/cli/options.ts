// Command-line options: parsed by Node's own parser, checked here.
import { parseArgs } from "node:util";

/** A mistake in how a command was called: prints the usage, exit code 2. */
export class UsageError extends Error {}

/** Options of a command: what each takes, its default, and the line that explains it. */
export interface OptionTable {
  readonly [name: string]: { readonly placeholder: string; readonly default: string; readonly help: string };
}

/** Values by option name, as text; throws UsageError for unknown options, missing values or stray arguments. */
export function parseOptions<T extends OptionTable>(table: T, args: readonly string[]): Record<keyof T, string> {
  return parseArguments(table, args, false).options;
}

/** The same, with what is no option. */
export function parseArguments<T extends OptionTable>(
  table: T,
  args: readonly string[],
  allowPositionals = true,
): { options: Record<keyof T, string>; positionals: readonly string[] } {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, { default: value }]) => [name, { type: "string" as const, default: value }]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals });
    return { options: values as Record<keyof T, string>, positionals };
  } catch (error) {
    throw new UsageError((error as Error).message.split(". To specify")[0]);
  }
}

export function showOptions(table: OptionTable): string {
  const lines = Object.entries(table).map(([name, { placeholder, default: value, help }]) => {
    return `  --${`${name} ${placeholder}`.padEnd(26)} ${help} (default ${value || "none"})`;
  });
  return lines.join("\n");
}

/** A whole number within [least, most]. */
export function wholeNumber(name: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  const bound = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new UsageError(`--${name} must be a whole number ${bound}, got "${text}"`);
}

/** A finite number above 0. */
export function positiveNumber(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new UsageError(`--${name} must be a number above 0, got "${text}"`);
}
