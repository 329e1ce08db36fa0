// npm run bench -- --help

import { enableRelaxedSimd } from "./engines.js";
import { main } from "./main.js";

enableRelaxedSimd();
process.exitCode = await main(process.argv.slice(2));
