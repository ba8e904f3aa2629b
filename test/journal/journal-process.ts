// A process of its own that writes to the journal of the folder it is given: `hold` opens it and stays, `fill` commits
// until storage has no room and prints what happened then. The journal's tests kill it or limit its file sizes.
import { Journal } from '../../src/journal/journal.ts';

const [folder = '', task] = process.argv.slice(2);
const journal = new Journal(folder);
const stamp = { monotonicMs: 1, wallMs: 1, bootId: 'boot', clockSynchronised: true };
const commit = (word: string) =>
  journal.commit(
    { states: [], requests: [], withheld: [], events: [{ feederId: null, body: (n) => `${n} ${word}` }] },
    stamp,
  );

if (task === 'hold') {
  commit('before the kill');
  process.stdout.write('open\n');
  setInterval(() => {}, 1_000);
} else {
  // Beyond the limit of file sizes a write fails with EFBIG once the signal is not left to kill the process.
  process.on('SIGXFSZ', () => {});
  const before = journal.eventsAfter(0, 1_000_000).length;
  let failure: { code?: string; message: string } | null = null;
  while (failure === null) {
    try {
      commit('x'.repeat(50_000));
    } catch (error) {
      failure = error as Error;
    }
  }
  const kept = journal.eventsAfter(0, 1_000_000).length;
  let again: string | null = null;
  try {
    commit('y'.repeat(50_000));
  } catch (error) {
    again = (error as { code?: string }).code ?? null;
  }
  process.stdout.write(`${JSON.stringify({ before, kept, code: failure.code, again })}\n`);
  process.exit(0);
}
