// Every alarm that the code can raise is explained to the head end's developers.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const text = (file: string) => readFileSync(join(root, file), 'utf8');

/** The words of a union of literals, and of whatever is named in an event. */
function raised(): string[] {
  const sources = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.startsWith('src/workbench/'));
  const words = sources.flatMap((file) => {
    const unions = [...text(file).matchAll(/type \w*Alarm(?:Name)? =([^;]+);/g)].map(([, union = '']) => union);
    const named = [...text(file).matchAll(/\balarm: ('\w+')/g)].map(([, word = '']) => word);
    return [...unions, ...named].flatMap((part) => [...part.matchAll(/'(\w+)'/g)].map(([, word = '']) => word));
  });
  return [...new Set(words)];
}

test('docs/head-end.md has each of them', () => {
  const known = raised();
  expect(known).toEqual(expect.arrayContaining(['blind', 'harmCap', 'tooLarge', 'noAck', 'overCtRange', 'stalled']));
  const document = text('docs/head-end.md');
  expect(known.filter((alarm) => !document.includes(`\`${alarm}\``))).toEqual([]);
});
