// Serves playground/dist/ on this machine, isolated, so that threads can share memory: `npm start --prefix playground`.
import { startServer } from "./test/server.mjs";

const { origin } = await startServer({ isolated: true, port: Number(process.env.PORT ?? 8080) });
console.log(`playground: ${origin}/`);
