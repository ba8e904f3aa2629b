// Every golden trace of test/traces: as it is written, and in the ways that must not matter.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readSubstationTrace, runSubstationTrace, wrongSubstationTrace } from './substation-trace.ts';
import { readTrace, runTrace, stepBetween, throughText, wrongTrace } from './trace.ts';

const FOLDER = join(import.meta.dirname, '../traces');
const traces = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.txt'))
  .map((file) => ({ file, trace: readTrace(join(FOLDER, file)) }));

describe.each(traces)('$file', ({ trace }) => {
  const plain = runTrace(trace);

  test(trace.prose.replace(/\s+/g, ' '), () => {
    const wrong = wrongTrace(trace, plain);
    if (wrong !== null) throw new Error(`It went otherwise:\n\n${wrong}`);
  });

  test('the same with the state written out and read back before every row', () => {
    expect(runTrace(trace, throughText)).toEqual(plain);
  });

  test('the same however often time is stepped between the rows', () => {
    expect(runTrace(trace, stepBetween).actions).toEqual(plain.actions);
  });
});

const TRANSFORMER_FOLDER = join(FOLDER, 'transformer');
const together = readdirSync(TRANSFORMER_FOLDER).map((file) => ({
  file,
  trace: readSubstationTrace(join(TRANSFORMER_FOLDER, file)),
}));

describe.each(together)('transformer/$file', ({ trace }) => {
  const plain = runSubstationTrace(trace);

  test(trace.prose.replace(/\s+/g, ' '), () => {
    const wrong = wrongSubstationTrace(trace, plain);
    if (wrong !== null) throw new Error(`It went otherwise:\n\n${wrong}`);
  });

  test('the same with every state written out and read back before every row', () => {
    expect(runSubstationTrace(trace, true)).toEqual(plain);
  });
});
