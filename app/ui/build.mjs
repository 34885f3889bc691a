// Bundles the configuration page: node build.mjs [folder] writes configuration.js and third-party.txt there.
import { build } from 'esbuild';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(process.argv[2] ?? join(here, '../../target/page'));
const LARGEST = 1_500_000;

mkdirSync(out, { recursive: true });
const result = await build({
    absWorkingDir: here,
    entryPoints: ['src/configuration.tsx'],
    outfile: join(out, 'configuration.js'),
    bundle: true,
    minify: true,
    target: 'es2020',
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    jsx: 'automatic',
    // Splunk's pages have RequireJS: with `define` in sight, bundled lodash would register there in place of returning itself.
    define: { define: 'undefined', 'process.env.NODE_ENV': '"production"' },
});
const size = readFileSync(join(out, 'configuration.js')).length;
if (size > LARGEST) throw new Error(`the page has ${size} bytes, more than ${LARGEST}`);

// The licences of what is in the bundle; most ask that their text go with it.
const packages = new Map();
for (const input of Object.keys(result.metafile.inputs)) {
    const found = input.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//);
    if (found) packages.set(found[1].split('node_modules/').pop(), join(here, found[1]));
}
const texts = new Map();
let notice = 'Third-party libraries in appserver/static/configuration.js, and their licences.\n\n';
for (const [name, folder] of [...packages].sort()) {
    const { version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    notice += `${name} ${version}  ${license ?? 'see the text below'}\n`;
    for (const file of readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file))) {
        if (!existsSync(join(folder, file)) || /\.(js|ts|json)$/.test(file)) continue;
        const text = readFileSync(join(folder, file), 'utf8').trim();
        texts.set(text, [...(texts.get(text) ?? []), `${name} ${version} ${file}`]);
    }
}
for (const [text, owners] of texts) {
    notice += `\n${'-'.repeat(79)}\n${owners.join('\n')}\n${'-'.repeat(79)}\n\n${text}\n`;
}
writeFileSync(join(out, 'third-party.txt'), notice);
console.log(`configuration.js ${size} bytes, with ${packages.size} libraries`);
