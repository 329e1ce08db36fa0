// Every workload, in the order of the table.
import { loadWorkloads } from "./families.js";

export const workloads = await loadWorkloads();
