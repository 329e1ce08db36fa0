// Images at other sizes and at any points, next to PyTorch; the rest is in the battery.
import golden from "../golden/sampling.json" with { type: "json" };
import { describeGolden } from "./golden.js";

describeGolden(golden);
