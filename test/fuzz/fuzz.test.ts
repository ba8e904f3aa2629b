// A small count of the fuzz of `npm run test:fuzz`, which says more about it.
import { expect, test } from 'vitest';
import { fuzz } from './run.ts';

test('hostile commands and acknowledgements are not acted on, and leave nothing behind', {
  timeout: 60_000,
}, async () => {
  const { breaches, byKind, refused } = await fuzz(2_000, 1);
  expect(breaches).toEqual([]);
  expect(Object.keys(byKind)).toHaveLength(26);
  expect(refused).toBeGreaterThan(300);
});
