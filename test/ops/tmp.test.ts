import { battery } from "./battery.js";
import { elementwiseSamples } from "./samples/elementwise.js";
import { reduceSamples } from "./samples/reduce.js";
import { shapeSamples } from "./samples/shape.js";
for (const [name, sample] of Object.entries({...elementwiseSamples, ...reduceSamples, ...shapeSamples})) battery(name, sample);
