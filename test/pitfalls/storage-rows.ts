// The known pitfalls of better-sqlite3 13 and SQLite (S) and of pino 10 (P), as rows.ts has those of the other libraries.
// S3 (no prebuilt for 32-bit ARM) and S5 (a worker that ends during a call) are none of a test: docs/decisions/0511.
import type { Row } from './rows.ts';

const BOUNDS_TEST = 'journal/bounds.test.ts';
const STORAGE_TEST = 'journal/storage.test.ts';
const LOG_TEST = 'log.test.ts';
const FILE = 'src/journal/journal-file.ts';
const JOURNAL = 'src/journal/journal.ts';
const LOG = 'src/log.ts';

export const STORAGE_ROWS: readonly Row[] = [
  {
    row: 'S1',
    pitfall: 'a WAL runs at synchronous = NORMAL: commits can vanish with the power',
    handling: 'FULL is set',
    test: ['journal/journal.test.ts', 'is on stable storage: FULL, still after the first write'],
    without: { file: FILE, from: "    db.pragma('synchronous = FULL');\n", to: '' },
  },
  {
    row: 'S2',
    pitfall: 'a WAL grows for as long as a reader holds on to its picture, and keeps that length',
    handling: 'it is cut to 8 MB when the reader is gone',
    test: [BOUNDS_TEST, 'a reader that holds on to an old picture does not stop the writer'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: text of the program.
    without: { file: FILE, from: '    db.pragma(`journal_size_limit = ${WAL_BYTES_MAX}`);\n', to: '' },
  },
  {
    row: 'S2',
    pitfall: 'without a checkpoint it grows for ever',
    handling: 'one in a quiet moment, at the latest a hundred commits after the last',
    test: [BOUNDS_TEST, 'the WAL has its length from the start and, tidied, keeps it'],
    without: { file: JOURNAL, from: "    this.#file.db.pragma('wal_checkpoint(PASSIVE)');\n", to: '' },
  },
  {
    row: 'S4',
    pitfall: 'a checkpoint inside a commit is in the way of a decision',
    handling: 'SQLite makes none by itself',
    test: [BOUNDS_TEST, 'a commit does not wait for a checkpoint'],
    without: { file: FILE, from: "    db.pragma('wal_autocheckpoint = 0');\n", to: '' },
  },
  {
    row: 'S6',
    pitfall: 'a full disk fails commits, and what they held is lost',
    handling: 'what could not be written is joined with what comes, and tried again in its order',
    test: ['controller.test.ts', 'with room again, what was decided meanwhile is kept, and the events come in order'],
    without: {
      file: 'src/keeper.ts',
      from: 'this.#unkept = this.#unkept === null ? batch : this.#joined(this.#unkept, batch);',
      to: 'this.#unkept = batch;',
    },
  },
  {
    row: 'S6',
    pitfall: 'there is no room for what matters once the disk is full',
    handling: 'the WAL has four megabytes from the start',
    test: [BOUNDS_TEST, 'the WAL has its length from the start and, tidied, keeps it'],
    without: { file: FILE, from: '  if (!hasLength) grow();\n', to: '' },
  },
  {
    row: 'S7',
    pitfall: 'a vendor mounts ext4 with data=writeback or without barriers',
    handling: 'the mount is looked at in the start',
    test: [STORAGE_TEST, 'data=writeback is told of, with its place'],
    without: {
      file: 'src/journal/mount.ts',
      from: "has('data=writeback', 'nobarrier', 'barrier=0', 'volatile')",
      to: "has('nobarrier', 'barrier=0', 'volatile')",
    },
  },
  {
    row: 'S7',
    pitfall: 'a card lies: damage sits in pages that nobody reads',
    handling: 'the whole file is looked through after the start',
    test: [STORAGE_TEST, 'with a damaged page that nobody has read is found out, and a new one begins'],
    without: {
      file: 'src/journal/integrity.ts',
      from: "String(db.pragma('quick_check(1)', { simple: true })).replaceAll('\\n', ' ')",
      to: "(db, 'ok')",
    },
  },
  {
    row: 'S7',
    pitfall: 'a damaged file is deleted with what it still holds',
    handling: 'what can be read of it is gone on with, and it is kept',
    test: ['journal/damage.test.ts', 'with a damaged table: what can be read is gone on with'],
    without: {
      file: 'src/journal/place.ts',
      from: "const saved = salvage(db, fileId === null ? 'all' : 'newest');",
      to: "const saved = { ...salvage(db, 'newest'), states: [], requests: [], acks: [], events: [] };",
    },
  },
  {
    row: 'S8',
    pitfall: 'a -wal file is tidied away, and commits with it',
    handling: 'what is missing shows beside the seal, and its numbers are not given again',
    test: [
      'journal/damage.test.ts',
      'that is no database at all: a new one begins above the seal, the old one is kept',
    ],
    without: { file: JOURNAL, from: '    this.#sealed = readSeal(folder);\n', to: '    this.#sealed = null;\n' },
  },
  {
    row: 'S9',
    pitfall: 'the store is made anew with every reconnect, and loses what it held',
    handling: 'the uplink does not know the journal',
    test: ['imports.test.ts', 'every file keeps to the directions'],
    without: {
      file: 'src/uplink/uplink.ts',
      from: "import type { Clock, Timer } from '../clock.ts';\n",
      to: "import type { Clock, Timer } from '../clock.ts';\nimport { Journal } from '../journal/journal.ts';\n",
    },
  },
  {
    row: 'P1',
    pitfall: 'a transport in a worker loses the tail of the log at a kill',
    handling: 'there is none',
    test: [LOG_TEST, 'every line of a program that is killed right after it is in the file'],
    without: {
      file: LOG,
      from: 'pino.destination({ dest: 1, sync: true })',
      to: "pino.transport({ target: 'pino/file', options: { destination: 1 } })",
    },
  },
  {
    row: 'P2',
    pitfall: 'the default destination buffers: of a thousand lines one is there after a kill',
    handling: 'the destination is synchronous',
    test: [LOG_TEST, 'every line of a program that is killed right after it is in the file'],
    without: { file: LOG, from: 'sync: true', to: 'sync: false' },
  },
  {
    row: 'P2',
    pitfall: 'a synchronous line holds up the program: a flood of messages is a flood of lines',
    handling: 'sixty lines a minute of each kind that others can cause',
    test: [LOG_TEST, 'a flood of messages is no flood of lines'],
    without: { file: LOG, from: 'LINES_PER_MINUTE = 60;', to: 'LINES_PER_MINUTE = 1e9;' },
  },
];
