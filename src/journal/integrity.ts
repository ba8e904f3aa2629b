// Looks through the whole journal file once, some time after the start: damage in pages that nobody reads would else be
// met only when they are needed. In a process of its own at a low priority, because it reads hundreds of megabytes
// and no query of SQLite can be broken off; a stop of the controller ends it.
import { execFile } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';

export interface IntegrityCheck {
  /** What is wrong in one line; null where nothing is, and where it could not be looked at. */
  readonly found: Promise<string | null>;
  stop(): void;
}

export function checkIntegrity(folder: string): IntegrityCheck {
  let settle: (found: string | null) => void = () => {};
  const found = new Promise<string | null>((resolve) => {
    settle = resolve;
  });
  const child = execFile(process.execPath, [import.meta.filename, folder], (error, stdout) =>
    settle(error === null && stdout.trim() !== 'ok' ? stdout.trim() : null),
  );
  try {
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // It has ended already.
  }
  return { found, stop: () => void child.kill('SIGKILL') };
}

/** SQLite's own check, without comparing indexes with their tables: what a card or a power cut leaves shows in pages. */
function lookThrough(folder: string): string {
  try {
    const db = new Database(join(folder, 'journal.db'), { readonly: true, fileMustExist: true, timeout: 2_000 });
    return String(db.pragma('quick_check(1)', { simple: true })).replaceAll('\n', ' ');
  } catch (error) {
    if (/^SQLITE_(CORRUPT|NOTADB)/.test((error as { code?: string }).code ?? '')) return (error as Error).message;
    throw error;
  }
}

if (process.argv[1] === import.meta.filename) process.stdout.write(`${lookThrough(process.argv[2] ?? '')}\n`);
