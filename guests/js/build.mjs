// app.js → app.wasm. In: the folder of WIT, as the first argument. Out: a component with the JavaScript engine inside.
import { writeFile } from "node:fs/promises";
import { componentize } from "@bytecodealliance/componentize-js";

const { component } = await componentize({
  sourcePath: "app.js",
  witPath: process.argv[2],
  worldName: "wasi:http/proxy@0.2.12",
  // The engine's own fetch-event handler would export incoming-handler a second time.
  disableFeatures: ["fetch-event"],
});
await writeFile("app.wasm", component);
