// What the command line asks for.
export const USAGE = `usage: npm run test:everywhere -- [options]

Packs the package, installs it into an empty project and runs test/everywhere/suite in every runtime.

  --only NAME,NAME   these runtimes alone; a name stands for those too that begin with it and a dash
  --brief            without the single compilers of the Nodes between the oldest and the newest, and less in Node 22, with Node 20's
                     single compilers and on pages that are not isolated
  --json FILE        write the records there: runtime, version, build, threads, passed, failed, skipped, reason, digest
  --require-all      a runtime that is not there is a failure; without, it is listed as not tested
  --record           write the strict build's digests to test/everywhere/digests.json instead of comparing them
  --help             this text
`;

/** Throws with a message where an argument is wrong. `names` are those of all runtimes. */
export function readOptions(args, names) {
  const options = { only: names, json: undefined, record: false, brief: false, requireAll: false, help: false };
  for (let i = 0; i < args.length; i++) {
    const [flag, ...rest] = args[i].split("=");
    const value = () => {
      const given = rest.length > 0 ? rest.join("=") : args[++i];
      if (given === undefined || given === "" || given.startsWith("--")) throw new Error(`${flag} needs a value`);
      return given;
    };
    if (flag === "--only") options.only = chosen(value(), names);
    else if (flag === "--json") options.json = value();
    else if (args[i] === "--require-all") options.requireAll = true;
    else if (args[i] === "--brief") options.brief = true;
    else if (args[i] === "--record") options.record = true;
    else if (args[i] === "--help") options.help = true;
    else throw new Error(`unknown option "${args[i]}"`);
  }
  if (options.record && (options.brief || options.only !== names)) {
    throw new Error("--record is for all runtimes: leave --only and --brief away");
  }
  return options;
}

function chosen(list, names) {
  const asked = list.split(",").map((name) => name.trim());
  for (const name of asked) {
    if (!names.some((known) => stands(name, known))) {
      throw new Error(`no runtime is named "${name}": there are ${names.join(", ")}`);
    }
  }
  return names.filter((known) => asked.some((name) => stands(name, known)));
}

const stands = (name, known) => known === name || known.startsWith(`${name}-`);
