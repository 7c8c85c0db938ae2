// The service of examples/auth as a cluster of two: one process accepts, two answer. In and out: as server.mjs.
import cluster from "node:cluster";

if (cluster.isPrimary) {
  for (let worker = 0; worker < 2; worker += 1) cluster.fork();
} else {
  await import("../../../examples/auth/node/server.mjs");
}
