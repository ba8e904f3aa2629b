// Reads the history of a running or stopped controller, as journal/reader.ts reads the journal: a read-only connection
// of its own and short queries only, because a long one would keep the history's WAL from being used again.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { CONDUCTORS, type Conductor, type Quality } from '../feeder.ts';
import { type ControlNow, HISTORY_FILE, type PlacedInput } from './history.ts';
import { MINUTE_MS } from './minutes.ts';
import { type Sample, unpack } from './samples.ts';

/**
 * One conductor over one span. Amperes are null where no reading was usable, and `quality` is then `bad`; it is
 * `uncertain` where any reading was uncertain or bad, else `good`.
 */
interface ConductorSpan {
  readonly minA: number | null;
  readonly avgA: number | null;
  readonly maxA: number | null;
  readonly quality: Quality;
}
export interface HistorySpan extends Readonly<Record<Conductor, ConductorSpan>> {
  readonly feederId: string;
  /** Wall time of its start. */
  readonly startMs: number;
  /** False when any of it was labelled by a clock that was not known to be right. */
  readonly clockSynchronised: boolean;
}

export interface SpanQuery {
  readonly feederId: string;
  /** Wall time; from and to, the latter not included. Absent: from the first, to the last that is kept. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  /** Length of a span: 1 gives the minutes as kept, 60 hours; spans begin at whole multiples of it since 1970. */
  readonly everyMin?: number | undefined;
}

export interface Disturbance {
  readonly id: number;
  readonly feederId: string;
  /** What it was started for, such as `pickup atRisk L2`. */
  readonly trigger: string;
  /** Wall time of the trigger, from which the samples' offsets count. */
  readonly triggerMs: number;
  readonly clockSynchronised: boolean;
  /** False while it is being written, and where a crash ended it. */
  readonly complete: boolean;
}

const SPANS_PER_QUERY = 1_000;

/** The feeders that have any history. Throws in one clear line where there is none. */
export function historyFeeders(folder: string): string[] {
  return reading(folder, (db) => db.prepare('SELECT name FROM feeder ORDER BY name').pluck().all() as string[]);
}

/**
 * Minutes, or longer spans made of them: extremes of the extremes, averages weighted by readings. A span without any
 * reading is absent. A thousand at a time are in memory.
 */
export function* historySpans(folder: string, query: SpanQuery): Generator<HistorySpan> {
  const { feederId, everyMin = 1 } = query;
  const range = reading(folder, (db) => {
    const row = db.prepare('SELECT min(minute) AS first, max(minute) AS last FROM minute').get() as Range;
    return row.first === null || row.last === null ? null : { first: row.first, last: row.last };
  });
  if (range === null) return;
  const from = Math.max(range.first, minuteOf(query.fromMs, Number.NEGATIVE_INFINITY));
  const to = Math.min(range.last + 1, minuteOf(query.toMs, Number.POSITIVE_INFINITY));
  const step = everyMin * SPANS_PER_QUERY;
  for (let start = Math.floor(from / step) * step; start < to; start += step) {
    const bounds = [Math.max(start, from), Math.min(start + step, to)];
    const rows = reading(folder, (db) => spans(db).all(everyMin, everyMin, feederId, ...bounds)) as SpanRow[];
    for (const row of rows) yield spanOf(row, feederId);
  }
}

/** The disturbance records, oldest first. */
export function disturbances(folder: string, feederId?: string): Disturbance[] {
  return reading(folder, (db) => {
    const rows = db
      .prepare(
        `SELECT disturbance.*, feeder.name FROM disturbance JOIN feeder ON feeder.id = feeder_id
         WHERE ? IS NULL OR feeder.name = ? ORDER BY disturbance.id`,
      )
      .all(feederId ?? null, feederId ?? null) as DisturbanceRow[];
    return rows.map((row) => ({
      id: row.id,
      feederId: row.name,
      trigger: row.trigger,
      triggerMs: row.trigger_wall_ms,
      clockSynchronised: row.clock_synchronised === 1,
      complete: row.complete === 1,
    }));
  });
}

/** What was read around one disturbance, at the pace at which it was read, and what control was given beside it. */
export interface DisturbanceRecord {
  /** Oldest first. */
  readonly samples: readonly Sample[];
  /** Before the first sample; null where nobody knew. */
  readonly start: { readonly triggerMonotonicMs: number; readonly control: ControlNow } | null;
  readonly inputs: readonly PlacedInput[];
}

const STEPS_PER_MS_BEFORE = 10;

/** Empty where it is not there, or no longer. */
export function disturbanceRecord(folder: string, id: number): DisturbanceRecord {
  return reading(folder, (db) => {
    const { start = null, trigger_monotonic_ms: triggerMs = null } = (db
      .prepare('SELECT start, trigger_monotonic_ms FROM disturbance WHERE id = ?')
      .get(id) ?? {}) as { start?: string | null; trigger_monotonic_ms?: number | null };
    const pieces = db.prepare('SELECT samples, inputs FROM piece WHERE disturbance_id = ? ORDER BY id').all(id) as {
      samples: Uint8Array;
      inputs: string;
    }[];
    return {
      samples: pieces.flatMap(({ samples }) => unpack(samples, triggerMs === null ? STEPS_PER_MS_BEFORE : undefined)),
      start:
        start === null || triggerMs === null
          ? null
          : { triggerMonotonicMs: triggerMs, control: JSON.parse(start) as ControlNow },
      inputs: pieces.flatMap(({ inputs }) => JSON.parse(inputs) as PlacedInput[]),
    };
  });
}

interface Range {
  readonly first: number | null;
  readonly last: number | null;
}
type SpanRow = Record<string, number | null>;
interface DisturbanceRow {
  id: number;
  name: string;
  trigger: string;
  trigger_wall_ms: number;
  clock_synchronised: number;
  complete: number;
}

function reading<T>(folder: string, read: (db: Database.Database) => T): T {
  const file = join(folder, HISTORY_FILE);
  if (!existsSync(file))
    throw new Error(`${folder} has no ${HISTORY_FILE}, expected the journal folder of a controller`);
  const db = new Database(file, { readonly: true, fileMustExist: true, timeout: 2_000 });
  try {
    return read(db);
  } finally {
    db.close();
  }
}

function spans(db: Database.Database): Database.Statement {
  const columns = CONDUCTORS.map(
    (name) => `min(${name}_min_cA) AS ${name}_min, max(${name}_max_cA) AS ${name}_max,
      sum(${name}_avg_cA * ${name}_usable) * 1.0 / sum(${name}_usable) AS ${name}_avg,
      sum(${name}_usable) AS ${name}_usable, sum(${name}_uncertain) + sum(${name}_bad) AS ${name}_doubtful`,
  );
  return db.prepare(
    // Numbers come in as floats, and a span begins at a whole one.
    `SELECT (minute / CAST(? AS INTEGER)) * ? AS start, min(clock_synchronised) AS synchronised, ${columns} FROM minute
     WHERE feeder_id = (SELECT id FROM feeder WHERE name = ?) AND minute >= ? AND minute < ? GROUP BY start ORDER BY start`,
  );
}

function spanOf(row: SpanRow, feederId: string): HistorySpan {
  const conductor = (name: Conductor): ConductorSpan => {
    const ampere = (value: number | null | undefined) => (value == null ? null : Math.round(value) / 100);
    const quality = row[`${name}_usable`] === 0 ? 'bad' : row[`${name}_doubtful`] === 0 ? 'good' : 'uncertain';
    return {
      minA: ampere(row[`${name}_min`]),
      avgA: ampere(row[`${name}_avg`]),
      maxA: ampere(row[`${name}_max`]),
      quality,
    };
  };
  return {
    feederId,
    startMs: (row.start ?? 0) * MINUTE_MS,
    clockSynchronised: row.synchronised === 1,
    L1: conductor('L1'),
    L2: conductor('L2'),
    L3: conductor('L3'),
    N: conductor('N'),
  };
}

function minuteOf(wallMs: number | undefined, otherwise: number): number {
  return wallMs === undefined ? otherwise : Math.ceil(wallMs / MINUTE_MS);
}
