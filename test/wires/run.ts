// `npm run test:wires -- WHAT [--count N]`: long runs of the Modbus wires against servers that misbehave.
//   late        reads of which one in a thousand is answered after its time, on TCP and on RTU: wrong values taken
//   fuzz        random and mutated frames: good readings taken from bad frames (one in 200 of them over TCP sockets)
//   reconnects  connections that the meter closes after one answer: resident memory
// Prints one line of JSON per run; exit code 1 where a value was wrong or memory grew.
import crc16 from 'modbus-serial/utils/crc16.js';
import { tcpWire } from '../../src/acquisition/byte-wires.ts';
import type { ModbusConnection, ReadAnswer } from '../../src/acquisition/modbus-connection.ts';
import { rtuConnection, tcpConnection } from '../../src/acquisition/modbus-lines.ts';
import { judgeFrame } from '../../src/acquisition/rtu-frame.ts';
import { systemClock } from '../../src/clock.ts';
import {
  answerFrame,
  answering,
  closing,
  except,
  late,
  ModbusServer,
  type Script,
} from '../simulators/modbus-server.ts';
import { rtuAnswering, rtuLate, startRtuServer } from '../simulators/rtu-line.ts';

const TIMEOUT_MS = 40;
const COUNTS = [2, 4, 6, 8, 10, 12];
/** No two addresses hold the same word, so a value that belongs to another request shows. */
const WORDS = new Map(Array.from({ length: 60_000 }, (_, address) => [address, (address * 31 + 7) % 65_536]));
const clock = systemClock();

const read = (connection: ModbusConnection, address: number): Promise<ReadAnswer> => {
  const reads = COUNTS.map((count) => ({ functionCode: 4, address, count }) as const);
  return new Promise((done) => connection.read({ unitId: 1, reads, timeoutMs: TIMEOUT_MS, pauseMs: 0 }, done));
};

const isRight = (address: number, words: readonly number[]) =>
  words.every((word, index) => word === WORDS.get(address + index));

async function lateAnswers(wire: 'tcp' | 'rtu', count: number): Promise<boolean> {
  const after = (): number => TIMEOUT_MS * (1 + 4 * Math.random());
  const odd: Script = (request) => (wire === 'tcp' ? late(WORDS, after()) : rtuLate(WORDS, after()))(request);
  const good = wire === 'tcp' ? answering(WORDS) : rtuAnswering(WORDS);
  const script = except(({ number }) => number % 1_000 === 999, odd, good);
  const server = wire === 'tcp' ? await ModbusServer.start(script) : await startRtuServer(script);
  const connection =
    wire === 'tcp'
      ? tcpConnection('127.0.0.1', server.port, clock, Math.random)
      : rtuConnection(tcpWire('127.0.0.1', server.port), TIMEOUT_MS, clock, Math.random);
  let [right, wrong, faults] = [0, 0, 0];
  for (let n = 0; right + wrong < count; n++) {
    const address = (n * 7) % 59_000;
    const answer = await read(connection, address);
    if (!('words' in answer)) faults += 1;
    else if (isRight(address, answer.words)) right += 1;
    else wrong += 1;
    // The server keeps what it was asked: not over a million reads.
    if (server.requests.length > 10_000 && n % 1_000 === 0) server.requests.splice(0, 9_000);
    if (!('words' in answer)) await new Promise((done) => setTimeout(done, 1));
  }
  connection.close();
  await server.close();
  console.log(JSON.stringify({ run: 'late', wire, reads: count, right, wrong, faults }));
  return wrong === 0;
}

function mutated(frame: Buffer, from: number): Buffer {
  const bytes = Buffer.from(frame);
  const kind = Math.floor(Math.random() * 5);
  if (kind === 0) return bytes.subarray(0, Math.floor(Math.random() * bytes.length));
  if (kind === 1)
    return Buffer.from(Array.from({ length: Math.floor(Math.random() * 300) }, () => Math.random() * 256));
  if (kind === 2) return Buffer.concat([Buffer.from([Math.random() * 256]), bytes]);
  for (let flips = 1 + Math.floor(Math.random() * 4); flips > 0; flips--) {
    const index = Math.floor(Math.random() * from);
    bytes[index] = (bytes[index] ?? 0) ^ (1 << Math.floor(Math.random() * 8));
  }
  return bytes;
}

/** Frames of a serial line, judged as the port judges them: what passes must be the very frame that was right. */
function fuzzRtu(count: number): boolean {
  let [taken, wrong] = [0, 0];
  const nothing = { mayCome: () => false, owesAny: () => false };
  for (let n = 0; n < count; n++) {
    const asked = { unitId: 1 + (n % 247), functionCode: 3 + (n % 2), byteCount: 2 * (1 + (n % 125)) };
    const body = Array.from({ length: asked.byteCount }, () => Math.random() * 256);
    const right = Buffer.from([asked.unitId, asked.functionCode, asked.byteCount, ...body, 0, 0]);
    right.writeUInt16LE(crc16(right.subarray(0, -2)), right.length - 2);
    const received = mutated(right, right.length);
    const frame = judgeFrame(received, asked, nothing);
    if (frame.kind !== 'answer') continue;
    taken += 1;
    if (!received.subarray(0, frame.bytes).equals(right)) wrong += 1;
  }
  console.log(JSON.stringify({ run: 'fuzz', wire: 'rtu', frames: count, taken, wrong }));
  // One in 65536 random frames has the CRC of another: no more than that can be asked of 16 bits.
  return wrong <= 1 + count / 65_536;
}

/** On TCP nothing but the header can be told: the mutation stays out of the registers, which have no check of their own. */
async function fuzzTcp(count: number): Promise<boolean> {
  const server = await ModbusServer.start((request) => [{ bytes: mutated(answerFrame(request, WORDS), 9) }]);
  const connection = tcpConnection('127.0.0.1', server.port, clock, () => Math.random() * 0.02);
  let [taken, wrong] = [0, 0];
  while (server.requests.length < count) {
    const address = Math.floor(Math.random() * 59_000);
    const answer = await read(connection, address);
    if (!('words' in answer)) await new Promise((done) => setTimeout(done, 1));
    else if (isRight(address, answer.words)) taken += 1;
    else wrong += 1;
  }
  connection.close();
  await server.close();
  console.log(JSON.stringify({ run: 'fuzz', wire: 'tcp', frames: count, taken, wrong }));
  return wrong === 0;
}

async function reconnects(count: number): Promise<boolean> {
  const server = await ModbusServer.start(closing);
  const connection = tcpConnection('127.0.0.1', server.port, clock, () => 0);
  const residentMb = () => Math.round(process.memoryUsage().rss / 1e6);
  let warmMb = 0;
  while (server.connections < count) {
    const answer = await read(connection, 0);
    if ('words' in answer) throw new Error('words from a meter that gives none');
    server.requests.length = 0;
    if (warmMb === 0 && server.connections > count / 5) warmMb = residentMb();
    await new Promise((done) => setImmediate(done));
  }
  connection.close();
  await server.close();
  const endMb = residentMb();
  console.log(JSON.stringify({ run: 'reconnects', connections: count, warmMb, endMb }));
  return endMb < warmMb + 30;
}

const [what = 'all', flag, given] = process.argv.slice(2);
const count = flag === '--count' ? Number(given) : null;
const results: boolean[] = [];
if (what === 'late' || what === 'all') {
  results.push(await lateAnswers('tcp', count ?? 20_000), await lateAnswers('rtu', count ?? 20_000));
}
if (what === 'fuzz' || what === 'all') {
  results.push(fuzzRtu(count ?? 100_000), await fuzzTcp(Math.ceil((count ?? 100_000) / 200)));
}
if (what === 'reconnects' || what === 'all') results.push(await reconnects(count ?? 2_000));
process.exitCode = results.length > 0 && results.every(Boolean) ? 0 : 1;
