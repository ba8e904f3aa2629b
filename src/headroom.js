#!/usr/bin/env node
// The package's `bin`: plain JavaScript, so that an unfit Node gets one clear line instead of a syntax error.
// In the repository it runs the TypeScript as it stands; installed as a package, what `npm run build` emitted,
// because Node strips no types below node_modules.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 12)) {
  console.error(`headroom: Node ${process.versions.node} is too old, expected 24.12 or later`);
  process.exit(2);
}
// Here already, so that the types of main.ts are stripped once and not at every start: the stripper is 7 MB resident
// and 100 ms.
(await import('node:module')).enableCompileCache();
await import(import.meta.url.includes('/node_modules/') ? '../dist/main.js' : './main.ts');
