// What a command is: its options as a table, from which commander reads arguments and help is written.
import { Command, CommanderError, Option } from "commander";
import { bold } from "./terminal.js";

/** The command line was called wrongly: the usage is shown, and the exit code is 2. */
export class UsageError extends Error {}

/** Options by name. One with a placeholder takes a value, one without is a flag. */
export type OptionTable = Readonly<
  Record<
    string,
    | { readonly placeholder: string; readonly default: string; readonly help: string }
    | { readonly placeholder?: undefined; readonly help: string }
  >
>;

export type OptionValues<T extends OptionTable> = {
  readonly [Name in keyof T]: T[Name] extends { readonly placeholder: string } ? string : boolean;
};

export interface CommandSpec<T extends OptionTable> {
  /** In the list of all commands. */
  readonly summary: string;
  /** Above the options: what it does. */
  readonly description: string;
  /** As commander has them: `<one>`, `[optional]`, `<many...>`. Default none. */
  readonly arguments?: string;
  readonly options: T;
  readonly examples: readonly string[];
  run(options: OptionValues<T>, positionals: readonly string[]): Promise<void>;
}

/** A command whose options are its own affair. */
export type AnyCommand = Omit<CommandSpec<OptionTable>, "run"> & {
  run(options: never, positionals: readonly string[]): Promise<void>;
};

/** Says that the options of `run` are those of the table. */
export function defineCommand<const T extends OptionTable>(spec: CommandSpec<T>): CommandSpec<T> {
  return spec;
}

/** The option that every command has whose results a program may read. */
export const JSON_OPTION = {
  json: { help: "the last line of stdout is a JSON object; all else goes to stderr" },
} as const;

// Options come after the name, so that those of a command are not taken for the program's.
const WIDTH = 110;

/** The program with all commands. Nothing is printed or ended by commander itself, but help and the version. */
export function programOf(commands: Readonly<Record<string, AnyCommand>>, version: string): Command {
  const program = new Command("steepest")
    .description("Trains neural networks on tables and images, and uses them.")
    .version(version, "--version", "print the version")
    .usage("<command> [options]");
  configure(program);
  for (const [name, spec] of Object.entries(commands)) addCommand(program, name, spec);
  program.addHelpCommand(false).addHelpText("after", "\nsteepest <command> --help lists a command's options.");
  return program;
}

function configure(command: Command): Command {
  return command
    .exitOverride()
    .helpOption("-h, --help", "print this help")
    .configureOutput({ outputError: () => {}, writeErr: () => {} })
    .configureHelp({
      helpWidth: Math.min(WIDTH, process.stdout.columns || WIDTH),
      styleTitle: (text) => bold(text.toLowerCase()),
      subcommandTerm: (one) => one.name(),
    });
}

function addCommand(program: Command, name: string, spec: AnyCommand): void {
  const command = configure(program.command(name).summary(spec.summary).description(spec.description));
  if (spec.arguments !== undefined) command.arguments(spec.arguments);
  for (const [option, { help, ...rest }] of Object.entries(spec.options)) {
    const { placeholder, default: value } = rest as { placeholder?: string; default?: string };
    if (placeholder === undefined) command.addOption(new Option(`--${option}`, help));
    else {
      const given = new Option(`--${option} <${placeholder}>`, help);
      command.addOption(value === "" || value === undefined ? given : given.default(value, value));
    }
  }
  const examples = spec.examples.map((line) => `  ${line}`).join("\n");
  if (examples !== "") command.addHelpText("after", `\n${bold("examples:")}\n${examples}`);
  command.action(async () => {
    const given = command.opts<Record<string, string | boolean>>();
    const values = Object.entries(spec.options).map(([option, { placeholder }]) => {
      const value = given[new Option(`--${option}`).attributeName()];
      if (option.startsWith("no-")) return [option, value === false];
      return [option, value ?? (placeholder === undefined ? false : "")];
    });
    await spec.run(Object.fromEntries(values) as never, command.args);
  });
}

/** What commander says of wrong arguments, as all errors are said; `undefined` if it was asked for help. */
export function usageErrorOf(error: CommanderError): string | undefined {
  if (error.exitCode === 0) return undefined;
  if (error.code === "commander.help") return "no command given";
  const [message, hint] = error.message.replace(/^error: /, "").split("\n");
  return hint === undefined ? message : `${message} ${hint.replace(/^\(D/, "(d")}`;
}

export { CommanderError };

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

/** A number within [least, most). */
export function share(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value < 1) return value;
  throw new UsageError(`--${name} must be a number from 0 to below 1, got "${text}"`);
}

/** One of some words. */
export function oneOf<const Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  if ((words as readonly string[]).includes(text)) return text as Word;
  const list = words
    .map((word) => word || '""')
    .join(", ")
    .replace(/, (?=[^,]*$)/, " or ");
  throw new UsageError(`--${name} must be ${list}, got "${text}"`);
}

/** Names between commas. A comma in a name is written as `\,`. */
export function nameList(text: string): readonly string[] {
  return text === "" ? [] : text.split(/(?<!\\),/).map((name) => name.replaceAll("\\,", ",").trim());
}
