// Volumes, places and norms of windows, and how near vectors are, beside PyTorch; the rest is in the battery.
import golden from "../golden/volumes.json" with { type: "json" };
import { describeGolden } from "./golden.js";

describeGolden(golden);
