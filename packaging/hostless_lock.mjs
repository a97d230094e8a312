// Takes out of the lock file of the package in this directory what names a host: where packages ask for money. npm itself
// leaves out where it got them.
import { readFileSync, writeFileSync } from "node:fs";

const file = "package-lock.json";
const lock = JSON.parse(readFileSync(file, "utf8"));
for (const found of Object.values(lock.packages)) delete found.funding;
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
