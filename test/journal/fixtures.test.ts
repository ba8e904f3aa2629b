// Journals as earlier versions of the program left them: each is brought up to date with nothing lost, its chain holds,
// and the whole controller goes on from it. One file per version of the tables, never changed once it is here.
import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { stepReading } from '../../src/control/feeder-control.ts';
import { resumeState } from '../../src/control/resume.ts';
import type { Action, FeederState } from '../../src/control/types.ts';
import { Journal } from '../../src/journal/journal.ts';
import { JOURNAL_STEPS } from '../../src/journal/migrations.ts';
import { readEvents, readStatus, verifyEvents } from '../../src/journal/reader.ts';
import { eventSchema } from '../../src/messages.ts';
import { settingsSchema } from '../../src/settings.ts';
import { outgoingRequest, watchedFeeder } from '../../src/watched-feeder.ts';
import { eventsOf, freshFolder, NOTHING, STAMP } from './site.ts';

const folder = join(import.meta.dirname, 'fixtures');
const fixtures = globSync('journal-*.sql', { cwd: folder }).sort();

/** A journal folder with that version's file in it. */
function laidOut(fixture: string): string {
  const made = freshFolder();
  mkdirSync(made, { recursive: true });
  const db = new Database(join(made, 'journal.db'));
  db.exec(readFileSync(join(folder, fixture), 'utf8'));
  db.close();
  return made;
}

/** The settings under which the fixtures were made. */
function control() {
  const settings = settingsSchema.parse({
    substation: { id: 'SUB-1' },
    uplink: { brokers: [{ url: 'mqtt://127.0.0.1' }], allowInsecure: true },
    sources: [{ id: 'meter-1', type: 'modbus-tcp', host: '127.0.0.1', profile: 'eastron-sdm630' }],
    feeders: [
      {
        id: 'F1',
        currents: { source: 'meter-1' },
        targetGroup: { id: 'TG-F1', version: 1 },
        controllableA: { L1: 96, L2: 128, L3: 96 },
        settings: [
          {
            name: 'bench',
            ratingA: 385,
            atRisk: { pickupA: 345, dropoutA: 310, delayS: 10, resetDelayS: 10 },
            curtailment: { responseTimeS: 0 },
          },
        ],
      },
    ],
  });
  const [feeder] = settings.feeders;
  if (feeder === undefined) throw new Error('no feeder');
  return watchedFeeder(feeder, settings.sources, 0).control;
}

function readingOf(currentA: number, atMs: number) {
  const at = { currentA, quality: 'good', reason: null } as const;
  return { atMs, L1: at, L2: at, L3: at, N: at, exporting: [] };
}

test('there is one of every version up to the present one', () => {
  const versions = fixtures.map((name) => Number(/\d+/.exec(basename(name))?.[0]));
  expect(versions).toEqual(JOURNAL_STEPS.map((_, index) => index + 1));
});

test.each(fixtures)('%s goes on where it ended', (fixture) => {
  const made = laidOut(fixture);
  const journal = new Journal(made);
  try {
    expect(verifyEvents(made)).toEqual({ events: 11, broken: null, reason: null });
    expect(journal.lastSequence()).toBe(1_795_564_797_374);
    expect(journal.eventsSentTo()).toBe(11);
    const [request] = journal.latestRequests();
    if (request === undefined) return expect.fail();
    expect(request).toMatchObject({ feederId: 'F1', offered: true, withheld: null, ackStatus: 'accepted' });
    expect(outgoingRequest(request).message).toMatchObject({ action: 'limit', levelPercent: 60, phases: ['L2'] });
    const [kept] = journal.states();
    if (kept === undefined) return expect.fail();
    const now = { ...kept.stamp, monotonicMs: kept.stamp.monotonicMs + 1_000, wallMs: kept.stamp.wallMs + 1_000 };
    const { state, lost } = resumeState(kept.state as FeederState, kept.stamp, now);
    expect(lost).toBeNull();
    expect(state.episode).not.toBeNull();
    expect(state.L2.levelPercent).toBe(60);
    expect(state.L2.atRisk.status).toBe('operated');
    // The limit is released as one of this version would be: a minute of low readings.
    const actions: Action[] = [];
    const at = (afterMs: number) => readingOf(100, now.monotonicMs + afterMs);
    for (let afterMs = 0; afterMs <= 60_000; afterMs += 1_000) stepReading(state, control(), at(afterMs), actions);
    expect(actions.map((action) => (action.kind === 'event' ? action.type : action.action))).toContain('release');
    expect(JSON.parse(JSON.stringify(state))).toEqual(state);
    for (const event of readEvents(made, 100)) eventSchema.parse(event);
    expect(readStatus(made)).toMatchObject([{ feederId: 'F1', ackStatus: 'accepted' }]);
    expect(journal.commit({ ...NOTHING, events: eventsOf('later') }, STAMP)[0]?.sequence).toBe(12);
    expect(verifyEvents(made)).toEqual({ events: 12, broken: null, reason: null });
  } finally {
    journal.close();
  }
});
