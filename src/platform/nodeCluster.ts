// The entry "steepest/cluster" under Node: connections to Redis, and job files.
import { provideClusterHost } from "../cluster/host.js";
import { loadJobFile } from "./nodeJobFile.js";
import "./nodeKernels.js";
import "./nodeThreads.js";
import { queueScheduler } from "./nodeQueue.js";
import { connectRedis, enterRun, redisStore, untellAsked } from "./nodeRedis.js";

export * from "../cluster/index.js";

provideClusterHost({
  load: loadJobFile,
  async connect(where, { connection, name, contract }) {
    const redis = await connectRedis(where, connection, {
      onAway: (reason) => console.warn(`steepest: the run "${name}" waits: ${reason}. It goes on when Redis is back`),
    });
    await enterRun(redis, name, contract);
    const store = redisStore(redis, name);
    return {
      store,
      scheduler: await queueScheduler(where, redis, store, contract),
      async wake() {
        if (redis.status === "end") await redis.connect();
      },
      async rest() {
        await untellAsked(redis, name);
        redis.disconnect();
      },
    };
  },
});
