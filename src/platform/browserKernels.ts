// Provides the kernels in browsers: parts of the bundle.
import { provideKernels } from "../engine/module.js";
import { loadInlined } from "./inlinedKernels.js";

provideKernels({ load: loadInlined });
