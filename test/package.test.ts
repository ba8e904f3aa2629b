// What a newcomer's `npm ci` stands on, and what npm or an upgrade takes away without a word: see the reasons beside
// each. docs/decisions has the record.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', name), 'utf8');
const manifest = JSON.parse(read('package.json'));
const lock: { packages: Record<string, Record<string, unknown>> } = JSON.parse(read('package-lock.json'));

test('better-sqlite3 is locked with "gypfile": false', () => {
  // npm below 11.16 otherwise runs node-gyp, which stops where there is no Python; npm removes it at each rewrite.
  expect(lock.packages['node_modules/better-sqlite3']?.['gypfile']).toBe(false);
});

test('install scripts run for Node alone', () => {
  // npm 12 blocks the script of `node` without this; the other two ship prebuilt binaries and need none.
  expect(manifest.allowScripts).toEqual({ node: true, 'better-sqlite3': false, '@serialport/bindings-cpp': false });
});

test('the lock names no registry', () => {
  // An address there would tie every installation to the registry of the machine that made the lock.
  const named = Object.entries(lock.packages).filter(([, entry]) => 'resolved' in entry && entry['link'] !== true);
  expect(named.map(([path]) => path)).toEqual([]);
});

test('every locked package has a checksum', () => {
  const bare = Object.entries(lock.packages).filter(
    ([path, entry]) => path !== '' && entry['integrity'] === undefined && entry['inBundle'] !== true,
  );
  expect(bare.map(([path]) => path)).toEqual([]);
});

test('the lock belongs to this package.json', () => {
  const { dependencies, devDependencies, engines } = manifest;
  expect(lock.packages['']).toMatchObject({ dependencies, devDependencies, engines });
});

test('versions that have to hold', () => {
  const version = (name: string) => String(lock.packages[`node_modules/${name}`]?.['version']);
  expect(version('node')).toMatch(/^24\./);
  // From Node 20, npm would pick 12, which has no prebuilt binary for Node 24.
  expect(version('better-sqlite3')).toMatch(/^13\./);
  // Newer ones lack platform packages, and `npm ci` then refuses the lock.
  expect(version('@biomejs/biome')).toMatch(/^2\.5\./);
  expect(version('knip')).toMatch(/^6\.42\./);
  expect(version('@types/node')).toMatch(/^24\./);
});
