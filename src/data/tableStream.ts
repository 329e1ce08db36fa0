// A table that is larger than memory, learned while its rows go by once. What they are is counted of all rows, what they become is learned
// from a sample, and to which part a row belongs follows from the row alone.
import { type Label, sortedLabels } from "./labels.js";
import { endsOf, partAt, partByHash } from "./rowParts.js";
import { checkDivision, dataOf, labelAt, timeOf, withoutTargets } from "./tableData.js";
import { type ColumnSummary, columnIndex, fitColumns, labelOf } from "./tableFit.js";
import type { TablePlan } from "./tableOptions.js";
import { areClasses, type Profile, Profiler } from "./tableProfile.js";
import { type RowBlock, type TableRows, tableOfBlock } from "./tableRows.js";
import { RowSample } from "./tableSample.js";
import { encodeSamples, type TableSamples, type TableTransform, transformOf } from "./tableTransform.js";
import { isMissing, refusal } from "./tableValues.js";

/** One more than a target may have: then it is refused. */
const MOST_CLASSES = 1001;

export interface LearnedTable {
  readonly transform: TableTransform;
  readonly columns: readonly ColumnSummary[];
  /** Samples of rows that `add` has kept. */
  samplesOf(block: RowBlock): TableSamples;
  /** The place of each row's part among the parts. `first`: how many rows were kept before. */
  partsOf(block: RowBlock, first: number): number[];
}

interface Witness {
  readonly row: readonly unknown[];
  readonly number: number;
}

/** Learns a table with one target, block by block. */
export class TableLearner {
  readonly #where: string;
  readonly #place: TableRows["place"];
  readonly #plan: TablePlan;
  readonly #profilers: Profiler[] = [];
  readonly #sample: RowSample;
  /** The first row of each kind of value in each column, by its place: an error may be about it. */
  readonly #witnesses = new Map<number, Witness>();
  readonly #labels = new Set<Label>();
  #names: readonly string[] = [];
  #rows = 0;

  /** `sampleBytes`: what the sample may take. */
  constructor(where: string, place: TableRows["place"], plan: TablePlan, sampleBytes: number) {
    checkDivision(where, plan);
    this.#where = where;
    this.#place = place;
    this.#plan = plan;
    this.#sample = new RowSample(plan.seed, sampleBytes);
  }

  /** Takes rows in, and gives those that are kept: without those that have no target, if these are to be left out. */
  add(block: RowBlock): RowBlock {
    this.#names = block.names;
    const [{ column }] = this.#plan.target.list;
    const target = block.names.indexOf(column);
    const kept = this.#plan.missingTarget === "drop" ? this.#withTarget(block, target) : block;
    while (this.#profilers.length < kept.names.length) this.#profilers.push(this.#lateProfiler());
    kept.rows.forEach((row, at) => {
      this.#take(row, kept.numbers[at]);
      const value = row[target];
      if (this.#labels.size < MOST_CLASSES && !isMissing(value, this.#plan.missingValues)) {
        this.#labels.add(labelOf(value, false));
      }
    });
    return kept;
  }

  #withTarget({ names, rows, numbers }: RowBlock, target: number): RowBlock {
    const kept = Array.from(rows.keys()).filter((at) => !isMissing(rows[at][target], this.#plan.missingValues));
    return { names, rows: kept.map((at) => rows[at]), numbers: kept.map((at) => numbers[at]) };
  }

  /** Of a column that the rows before did not have. */
  #lateProfiler(): Profiler {
    const profiler = new Profiler(this.#plan.missingValues);
    for (let row = 0; row < this.#rows; row++) profiler.add(undefined, row);
    return profiler;
  }

  #take(row: readonly unknown[], number: number): void {
    const place = this.#rows++;
    let isWitness = place === 0;
    this.#profilers.forEach((profiler, column) => {
      if (profiler.add(row[column], place)) isWitness = true;
    });
    if (isWitness) this.#witnesses.set(place, { row, number });
    this.#sample.add(this.#names, row, place, number);
  }

  /** What there is to know once all rows were there. */
  learn(): LearnedTable {
    const { block, places, sampled } = this.#seen();
    const [where, place, plan] = [this.#where, this.#place, this.#plan];
    const table = tableOfBlock(where, place, block);
    const [{ column }] = plan.target.list;
    const index = columnIndex(table, column, "target");
    if (this.#rows === 0) throw withoutTargets(where, plan);
    const tableRows = new Map(places.map((one, at) => [one, at]));
    const profileAt = (of: number): Profile =>
      this.#profilers[of].profile(table.names[of], of, (row) => tableRows.get(row) as number);
    const partsOf = this.#division(block, sampled);
    const parts = partsOf(block, (at) => places[at]);
    const training = sampled.filter((at) => parts[at] === 0);
    const fitted = fitColumns(table, training, this.#withClasses(profileAt(index)), plan.groups, profileAt);
    const data = dataOf(fitted, plan);
    const transform = transformOf<false>(data);
    const { length } = transform.features;
    return {
      transform,
      columns: fitted.summary,
      samplesOf: (rows) =>
        encodeSamples(tableOfBlock(where, place, rows), data, plan.missingValues, length) as TableSamples,
      partsOf: (rows, first) => partsOf(rows, (at) => first + at),
    };
  }

  /** With the classes of all rows, if the target has some: the sample may lack a rare one. */
  #withClasses(profile: Profile): TablePlan {
    const { target } = this.#plan;
    const [one] = target.list;
    if (one.classes !== undefined || !areClasses(profile, one, false)) return this.#plan;
    const areNumbers = profile.counts.number === profile.present;
    const classes = sortedLabels(areNumbers ? new Set(Array.from(this.#labels, Number)) : this.#labels);
    return { ...this.#plan, target: { ...target, list: [{ ...one, classes }] } };
  }

  /** The sample and the witnesses in their order, their places in the table, and which of them were drawn. */
  #seen(): { readonly block: RowBlock; readonly places: readonly number[]; readonly sampled: readonly number[] } {
    const names = this.#names;
    const { cells, places: drawn, numbers } = this.#sample.rows;
    const seen = new Map(this.#witnesses);
    drawn.forEach((place, at) => {
      seen.set(place, { row: names.map((_, column) => cells.at(at, column)), number: numbers[at] });
    });
    const sorted = [...seen].sort(([a], [b]) => a - b);
    const isDrawn = new Set(drawn);
    return {
      block: { names, rows: sorted.map(([, { row }]) => row), numbers: sorted.map(([, { number }]) => number) },
      places: sorted.map(([place]) => place),
      sampled: Array.from(sorted.keys()).filter((at) => isDrawn.has(sorted[at][0])),
    };
  }

  /** Which part rows belong to: by their time, by their group, or by their place in the table. */
  #division(
    seen: RowBlock,
    sampled: readonly number[],
  ): (block: RowBlock, placeOf: (at: number) => number) => number[] {
    const plan = this.#plan;
    const { parts, seed, time, groups, missingValues } = plan;
    const table = tableOfBlock(this.#where, this.#place, seen);
    const refuse = (column: string, { numbers }: RowBlock, at: number) =>
      refusal(this.#where, column, `${this.#place} ${numbers[at]}`);
    if (time !== undefined) {
      const index = columnIndex(table, time, "time");
      const times = sampled.map((at) => timeOf(seen.rows[at][index], plan, refuse(time, seen, at)));
      times.sort((a, b) => a - b);
      const ends = endsOf(parts).map((end) => times[Math.round(end * times.length)] ?? Infinity);
      return (block) => block.rows.map((row, at) => partAt(ends, timeOf(row[index], plan, refuse(time, block, at))));
    }
    const partOf = partByHash(parts, seed);
    if (groups === undefined) return (block, placeOf) => block.rows.map((_, at) => partOf(String(placeOf(at))));
    const index = columnIndex(table, groups, "groups");
    return (block) =>
      block.rows.map((row, at) => partOf(labelAt(row[index], "group", missingValues, refuse(groups, block, at))));
  }
}
