// Makes the console's files: `node build.mjs [DIRECTORY]`, by default those in the package that serves them. The same source and
// packages give the same bytes, so that a test can tell whether what is committed was made from what is here.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const MOST_BYTES = 250_000; // compressed, all files together
const site = process.argv[2] ?? "../../bq_server/console/site";

rmSync(site, { recursive: true, force: true });
mkdirSync(site, { recursive: true });
const { metafile } = await build({
  entryPoints: ["source/main.tsx", "source/console.css"],
  outdir: `${site}/assets`,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  format: "esm",
  splitting: true,
  minify: true,
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

const made = Object.entries(metafile.outputs);
const named = (entry) => made.find(([, output]) => output.entryPoint === entry)[0].split("/").at(-1);
const page = readFileSync("source/index.html", "utf8")
  .replace("main.tsx", `console/assets/${named("source/main.tsx")}`)
  .replace("console.css", `console/assets/${named("source/console.css")}`)
  .replace("icon.svg", "console/assets/icon.svg");
writeFileSync(`${site}/index.html`, page);
cpSync("source/icon.svg", `${site}/assets/icon.svg`);
writeFileSync(`${site}/LICENSES.txt`, licenses(metafile.inputs));

const bytes = made.reduce((sum, [file]) => sum + gzipSync(readFileSync(file), { level: 9 }).length, gzipSync(page).length);
console.log(`${made.length + 2} files, ${Math.round(bytes / 1000)} KB compressed`);
if (bytes > MOST_BYTES) throw new Error(`more than ${MOST_BYTES / 1000} KB compressed`);

// The terms of what went into the bundle: each asks for its notice to go along.
function licenses(inputs) {
  const packages = new Set(Object.keys(inputs).flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  return [...packages].sort().map((name) => {
    const { version, license } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, "utf8"));
    return `${name} ${version} (${license})\n\n${readFileSync(`node_modules/${name}/LICENSE`, "utf8").trim()}\n`;
  }).join(`\n${"-".repeat(78)}\n\n`);
}
