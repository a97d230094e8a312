// Runs a program in an edge runtime, which has the Web's APIs and none of Node's: `node --experimental-vm-modules edge.mjs
// PROGRAM`. What the program imports must lie in files beside it; what it exports as `told` is printed.
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { SourceTextModule } from "node:vm";
import { EdgeVM } from "@edge-runtime/vm";

const { context } = new EdgeVM();
context.BQ_URL = process.env.BQ_URL;
context.BQ_API_KEY = process.env.BQ_API_KEY;

const modules = new Map();
const load = (path) => {
  if (!modules.has(path)) modules.set(path, new SourceTextModule(readFileSync(path, "utf8"), { context, identifier: path }));
  return modules.get(path);
};
const program = load(resolve(process.argv[2]));
await program.link((name, from) => load(resolve(dirname(from.identifier), name)));
await program.evaluate();
console.log(JSON.stringify(program.namespace.told));
