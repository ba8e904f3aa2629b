// A process whose disk fails on command (faulty-disk.c): keeps a batch, another while the disk fails with an
// acknowledgement behind it and three more than are held in memory, and tries again once it works. Prints what came of it.
import { rmSync, writeFileSync } from 'node:fs';
import { Journal } from '../../src/journal/journal.ts';
import { verifyEvents } from '../../src/journal/reader.ts';
import { Keeper } from '../../src/keeper.ts';
import { silentLog } from '../../src/log.ts';
import { handClock } from '../simulators/hand-clock.ts';

const [folder = '', faultFile = '', fault = ''] = process.argv.slice(2);
const journal = new Journal(folder);
const clock = handClock();
const keeper = new Keeper(journal, clock, silentLog);
const event = (word: string) => ({
  feederId: null,
  body: (sequence: number) => JSON.stringify({ sequence, word }),
});
const decide = (number: number) =>
  keeper.commit({
    states: [{ feederId: 'F1', state: { number } }],
    requests: [
      {
        requestId: `request-${number}`,
        sequence: number,
        feederId: 'F1',
        episodeId: 'episode',
        body: '{}',
        offered: true,
        withheld: null,
      },
    ],
    withheld: [],
    events: [event(`limit ${number}`)],
  });

decide(1);
keeper.settle();
writeFileSync(faultFile, fault);
decide(2);
keeper.settle();
const acknowledged = (body: string) =>
  keeper.keep('ack', (one) =>
    one.keepAck({ feederId: 'F1', requestId: 'request-2', sequence: 2, status: 'accepted', body }, 5),
  );
for (let n = 1; n <= 1_003; n++) acknowledged(`"${n}"`);
decide(3);
keeper.keepProgress();
keeper.retry();
const during = keeper.failure;
const newsDuring = keeper.takeNews();
rmSync(faultFile);
keeper.retry();
keeper.keepProgress();
process.stdout.write(
  JSON.stringify({
    during,
    after: keeper.failure,
    isDurable: journal.isDurable,
    words: journal.eventsAfter(0, 100).map(({ body }) => JSON.parse(body).word),
    requests: journal.latestRequests().map(({ sequence, ackStatus }) => ({ sequence, ackStatus })),
    states: journal.states().map(({ state }) => state),
    acks: journal.acksOf('request-2').length,
    oldestAck: journal.acksOf('request-2')[0],
    news: [newsDuring, keeper.takeNews(), keeper.takeNews()],
    proof: verifyEvents(folder),
  }),
);
journal.close();
