// What moves elements or chooses them by indices, beside PyTorch and NumPy; the rest is in the battery.
import golden from "../golden/arrange.json" with { type: "json" };
import { describeGolden } from "./golden.js";

describeGolden(golden);
