// Reads of which one in a thousand is answered after its time, on TCP and on RTU: how often a value was taken that
// belongs to another request. No two addresses of the meter hold the same word, so such a value shows.
import { tcpWire } from '../../src/acquisition/byte-wires.ts';
import { rtuConnection, tcpConnection } from '../../src/acquisition/modbus-lines.ts';
import { systemClock } from '../../src/clock.ts';
import { answering, except, late, ModbusServer, type Script } from '../simulators/modbus-server.ts';
import type { Random } from '../simulators/random.ts';
import { rtuAnswering, rtuLate, startRtuServer } from '../simulators/rtu-line.ts';
import { ADDRESSES, isRight, pause, readWords, WORDS } from './reads.ts';

const TIMEOUT_MS = 40;
const ONE_IN = 1_000;

export async function lateAnswers(wire: 'tcp' | 'rtu', count: number, random: Random): Promise<boolean> {
  let owed = 0;
  const odd: Script = (request) => {
    owed += 1;
    // Up to five time-outs: over that many later requests, and over connections made anew.
    const afterMs = TIMEOUT_MS * random.between(1, 5);
    return (wire === 'tcp' ? late(WORDS, afterMs) : rtuLate(WORDS, afterMs))(request);
  };
  const good = wire === 'tcp' ? answering(WORDS) : rtuAnswering(WORDS);
  const script = except(({ number }) => number % ONE_IN === ONE_IN - 1, odd, good);
  const server = wire === 'tcp' ? await ModbusServer.start(script) : await startRtuServer(script);
  server.keepsRequests = false;
  const clock = systemClock();
  const jitter = () => random.between(0, 0.1);
  const connection =
    wire === 'tcp'
      ? tcpConnection('127.0.0.1', server.port, clock, jitter)
      : rtuConnection(tcpWire('127.0.0.1', server.port), TIMEOUT_MS, clock, jitter);
  let [right, wrong, unanswered] = [0, 0, 0];
  for (let n = 0; right + wrong < count; n++) {
    const address = (n * 7) % ADDRESSES;
    const answer = await readWords(connection, 1, address, TIMEOUT_MS);
    if (!('words' in answer)) {
      unanswered += 1;
      await pause();
    } else if (isRight(address, answer.words)) right += 1;
    else wrong += 1;
  }
  connection.close();
  await server.close();
  console.log(JSON.stringify({ run: 'late', wire, reads: count, late: owed, unanswered, right, wrong }));
  return wrong === 0 && owed > 0;
}
