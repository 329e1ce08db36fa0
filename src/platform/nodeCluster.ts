// The entry "steepest/cluster" under Node: connections to Redis, and job files.
import { provideClusterHost } from "../cluster/host.js";
import { loadJobFile } from "./nodeJobFile.js";
import "./nodeKernels.js";
import "./nodeThreads.js";
import { queueScheduler } from "./nodeQueue.js";
import { connectRedis, enterRun, redisStore } from "./nodeRedis.js";

export * from "../cluster/index.js";

provideClusterHost({
  load: loadJobFile,
  async connect(where, { connection, name, contract }) {
    const redis = await connectRedis(where, connection);
    await enterRun(redis, name, contract);
    const store = redisStore(redis, name);
    return { store, scheduler: await queueScheduler(where, redis, store, contract) };
  },
});
