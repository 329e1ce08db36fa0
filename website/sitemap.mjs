// What is where on the site: guides in the order in which people need them. docs/*.md are the only source of their text.
import { readdirSync, readFileSync } from "node:fs";

/** Pages by their files. A page stands in the guide of its subject, and guides in the order of a project's life. */
const GROUPS = [
  {
    text: "Start",
    items: [
      ["README.md", "Install and first model"],
      ["docs/programs.md", "Short programs"],
      ["docs/inside.md", "What there is"],
      ["docs/layers.md", "Layers and their names elsewhere"],
      ["docs/commandLine.md", "Without code"],
    ],
  },
  {
    text: "Training",
    items: [
      ["docs/training.md", "fit, validation, early stopping"],
      ["docs/models.md", "Models of any shape"],
      ["docs/losses.md", "Losses"],
      ["docs/metrics.md", "Metrics"],
      ["docs/optimizers.md", "Optimizers and schedules"],
      ["docs/troubles.md", "When it goes wrong"],
      ["docs/inspecting.md", "Looking inside"],
      ["docs/reports.md", "Reports"],
      ["docs/search.md", "Search for hyperparameters"],
    ],
  },
  {
    text: "Data",
    items: [
      ["docs/data.md", "Before training"],
      ["docs/tables.md", "Tables"],
      ["docs/imbalanced.md", "Rare classes"],
      ["docs/images.md", "Images"],
      ["docs/text.md", "Text and sequences"],
      ["docs/timeSeries.md", "Time series"],
    ],
  },
  {
    text: "Saving and moving models",
    items: [
      ["docs/saving.md", "Which file for what"],
      ["docs/files.md", "Files"],
      ["docs/standalone.md", "A model without the library"],
      ["docs/onnx.md", "ONNX"],
      ["docs/keras.md", "Models of Keras and TensorFlow.js"],
    ],
  },
  {
    text: "Browsers, workers, the edge",
    items: [
      ["docs/runtimes.md", "What runs where"],
      ["docs/bundlers.md", "Bundlers and policies"],
      ["examples/edge/README.md", "A model at the edge"],
    ],
  },
  {
    text: "Speed",
    items: [
      ["docs/speed.md", "What makes it fast"],
      ["docs/quantization.md", "Predicting with int8"],
      ["docs/benchmarks.md", "Benchmarks"],
    ],
  },
  {
    text: "Reproducibility",
    items: [["docs/reproducibility.md", "The same bits everywhere"]],
  },
  {
    text: "Beyond one machine",
    items: [["docs/cluster.md", "Training on many machines"]],
  },
  {
    text: "Coming from",
    items: [
      ["docs/fromKeras.md", "Keras"],
      ["docs/fromTensorFlowJs.md", "TensorFlow.js"],
      ["docs/fromPyTorch.md", "PyTorch"],
      ["docs/fromBrainJs.md", "brain.js"],
    ],
  },
  {
    text: "The project",
    items: [
      ["examples/README.md", "Examples"],
      // npm run examples -- --gallery build/gallery.md writes it.
      ["build/gallery.md", "Gallery"],
      ["ARCHITECTURE.md", "Architecture"],
      ["website/README.md", "This site"],
      ["CONTRIBUTING.md", "Contributing"],
      ["CHANGELOG.md", "Changes"],
    ],
  },
];

const docs = new URL("../docs/", import.meta.url);
const listed = new Set(GROUPS.flatMap(({ items }) => items.map(([file]) => file)));

/** Pages that nobody has found a place for yet, by their headings. */
const others = readdirSync(docs)
  .filter((name) => name.endsWith(".md") && !listed.has(`docs/${name}`))
  .map((name) => [`docs/${name}`, /^# (.*)$/m.exec(readFileSync(new URL(name, docs), "utf8"))?.[1] ?? name]);

export const GUIDES = others.length === 0 ? GROUPS : [...GROUPS, { text: "More", items: others }];

/** Where a file of the repository is on the site, or undefined. Sources are sent as text, which browsers show. */
export function placeOf(file) {
  if (file === "README.md") return "/start";
  const page = /^(?:docs\/|build\/)?(.*)\.md$/.exec(file)?.[1];
  if (page !== undefined) return `/${page.toLowerCase().replace(/\/readme$/, "/")}`;
  const source = /^examples\/(.*)\.(ts|json)$/.exec(file);
  return source === null ? undefined : `/examples/${source[1]}.${source[2]}.txt`;
}
