// npm run bench -- --help
import { main } from "./main.js";
import { enableRelaxedSimd } from "./steepest.js";

enableRelaxedSimd();
process.exitCode = await main(process.argv.slice(2));
