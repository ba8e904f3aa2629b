// What becomes of a command: carried out once, kept with its event, answered; over a restart and while the journal
// fails too. On a real journal.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { CommandAck } from '../src/command-message.ts';
import { Commands, type CommandsPort } from '../src/commands.ts';
import { Journal } from '../src/journal/journal.ts';
import { handClock } from './simulators/hand-clock.ts';

const scratch = mkdtempSync(join(tmpdir(), 'headroom-commands-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const START_MS = Date.parse('2026-01-15T17:00:00.000Z');
const STAMP = { monotonicMs: 0, wallMs: START_MS, bootId: 'test', clockSynchronised: true };

function desk(folder: string, { perMinute = 12, unkept = false, refused = null as string | null } = {}) {
  const journal = new Journal(folder);
  const clock = handClock(START_MS);
  const did: string[] = [];
  const events: string[] = [];
  const said: CommandAck[] = [];
  const port: CommandsPort = {
    targets: () => [{ feederId: 'F1', groupsByCommand: [] }],
    answerTo: (commandId) => journal.answerTo(commandId),
    isUnkept: () => unkept,
    carryOut({ action }) {
      if (refused !== null) return { refused };
      did.push(action);
      return { done: 'as told' };
    },
    event: (feederId, type, reason, more) =>
      void events.push([feederId, type, reason, more.commandId ?? more.alarm].join(' ')),
    keep(answered) {
      if (unkept) return;
      journal.commit(
        { states: [], requests: [], withheld: [], events: [], commands: answered === null ? [] : [answered] },
        STAMP,
      );
    },
    say: (answer) => void said.push(answer),
  };
  const commands = new Commands(perMinute, clock, port);
  const take = (given: object, retained = false) =>
    commands.take(
      Buffer.from(
        JSON.stringify({
          schema: 'headroom/v1/command',
          commandId: 'c-1',
          action: 'release',
          issuedAt: new Date(START_MS).toISOString(),
          expiresAt: new Date(START_MS + 60_000).toISOString(),
          ...given,
        }),
      ),
      retained,
    );
  return { journal, clock, commands, take, did, events, said };
}
const folder = () => mkdtempSync(join(scratch, 'journal-'));

test('it is carried out, told of and answered', () => {
  const { journal, take, did, events, said } = desk(folder());
  take({ feederId: 'F1' });
  expect(did).toEqual(['release']);
  expect(events).toEqual(['F1 command accepted: release: as told c-1']);
  expect(said).toEqual([
    {
      schema: 'headroom/v1/command/ack',
      commandId: 'c-1',
      status: 'accepted',
      reason: 'release: as told',
      at: '2026-01-15T17:00:00.000Z',
    },
  ]);
  journal.close();
});

test('a repeat gets the same answer and nothing else, whatever else stands in it', () => {
  const { journal, take, did, events, said } = desk(folder());
  take({});
  take({});
  take({ action: 'sayAgain' });
  take({ action: 'nonsense' });
  expect(did).toEqual(['release']);
  expect(events).toHaveLength(1);
  expect(new Set(said.map((answer) => JSON.stringify(answer))).size).toBe(1);
  expect(said).toHaveLength(4);
  journal.close();
});

test('so it is in a flood: what was carried out is never told of as refused', () => {
  const place = folder();
  const before = desk(place);
  before.take({});
  before.journal.close();
  const { journal, take, said } = desk(place, { perMinute: 1 });
  take({ commandId: 'c-2' });
  take({ commandId: 'c-3' });
  take({});
  expect(said.map(({ commandId, status }) => `${commandId} ${status}`)).toEqual([
    'c-2 accepted',
    'c-3 rejected',
    'c-1 accepted',
  ]);
  journal.close();
});

test('so it is over a restart', () => {
  const place = folder();
  const before = desk(place);
  before.take({});
  before.journal.close();
  const after = desk(place);
  after.clock.advance(20_000);
  after.take({});
  expect(after.did).toEqual([]);
  expect(after.said).toEqual(before.said);
  after.journal.close();
});

test('one that was refused is refused for good', () => {
  const { journal, take, did, said } = desk(folder(), { refused: 'no limit stands' });
  take({});
  take({});
  expect(did).toEqual([]);
  expect(said.map(({ status, reason }) => `${status}: ${reason}`)).toEqual([
    'rejected: release: no limit stands',
    'rejected: release: no limit stands',
  ]);
  journal.close();
});

test('while the journal cannot be written only relief is taken, and not twice either', () => {
  const { journal, take, did, said } = desk(folder(), { unkept: true });
  take({});
  take({});
  take({ commandId: 'c-2', action: 'sayAgain' });
  take({ commandId: 'c-3', action: 'block' });
  expect(did).toEqual(['release', 'block']);
  expect(said.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'rejected', 'accepted']);
  journal.close();
});

test('what is no command at all is told of; it is answered where it has an id', () => {
  const { journal, commands, take, events, said } = desk(folder());
  commands.take(Buffer.from('{'), false);
  take({ schema: 'headroom/v9/command' });
  expect(events).toEqual([' command rejected: no JSON ', expect.stringContaining('command rejected: schema')]);
  expect(said.map(({ commandId, status }) => [commandId, status])).toEqual([['c-1', 'rejected']]);
  journal.close();
});

test('a flood is one alarm, with its count when it is over, and leaves nothing in the journal', () => {
  const { journal, clock, commands, take, events, did } = desk(folder(), { perMinute: 3 });
  for (let n = 0; n < 5_000; n++) take({ commandId: `c-${n}`, action: 'sayAgain' });
  expect(did).toHaveLength(3);
  expect(events.filter((event) => event.includes('alarm'))).toEqual([
    ' alarm more than 3 commands a minute commandFlood',
  ]);
  expect(commands.isFlooded).toBe(true);
  expect(journal.answerTo('c-4000')).toBeNull();
  clock.advance(60_000);
  commands.tidy(clock.monotonicMs());
  expect(events.at(-1)).toBe(' alarmEnd 4997 commands were too many commandFlood');
  expect(commands.isFlooded).toBe(false);
  journal.close();
});
