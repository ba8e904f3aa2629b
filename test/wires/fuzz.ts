// Random and mutated frames, judged by an oracle of its own. A frame is good when every check that the protocol has for
// it holds, whatever it was made from: on RTU the sum of its bits is the only one, and 16 bits let one in 65,536 frames
// of noise through. Such a frame is a valid one, and no receiver can tell. So what is counted as wrong is exact: words
// that were taken where the oracle, which computes the CRC bit by bit and not by the program's table, sees no answer to
// what was asked, or other words; and as missed an answer that it sees and that was not taken. Up to three flipped bits
// always show in this CRC (its polynomial has distance 4 at this length), so of those none may be taken at all.
import { Duplex } from 'node:stream';
import { rtuConnection, tcpConnection } from '../../src/acquisition/modbus-lines.ts';
import type { ByteWire } from '../../src/acquisition/modbus-rtu-port.ts';
import { systemClock } from '../../src/clock.ts';
import { handClock } from '../simulators/hand-clock.ts';
import { answerFrame, type ModbusRequest, ModbusServer } from '../simulators/modbus-server.ts';
import type { Random } from '../simulators/random.ts';
import { RTU, rtuException, rtuFrame } from '../simulators/rtu-line.ts';
import { ADDRESSES, pause, readWords, WORDS } from './reads.ts';

const TIMEOUT_MS = 100;
/** Reads that are under way at once on TCP: each waits for half a frame now and then. */
const CONNECTIONS = 240;

interface Counts {
  /** Good readings; those of them whose frame was not the one that was right; those of one to three flipped bits. */
  taken: number;
  accidental: number;
  fewFlipsTaken: number;
  wrong: number;
  missed: number;
}

const none = (): Counts => ({ taken: 0, accidental: 0, fewFlipsTaken: 0, wrong: 0, missed: 0 });

/** An answer as the oracle sees it; what is not alone may be refused for what comes with it. */
interface Valid {
  readonly words: readonly number[];
  readonly isAlone: boolean;
}

/** What was sent in answer to a request. */
interface Sent {
  readonly request: ModbusRequest;
  readonly right: Buffer;
  readonly bytes: Buffer;
  /** Bits that differ from the right frame, where nothing else does. */
  readonly flips: number | null;
}

/** Frames of a serial line, through the port and the connection as they are in service, in time moved by hand. */
export async function fuzzRtu(frames: number, random: Random): Promise<boolean> {
  const clock = handClock(1_000_000);
  let sent: Sent | null = null;
  const wire: ByteWire = {
    gapMs: 0,
    silentRequestsMax: Number.POSITIVE_INFINITY,
    open(opened) {
      const stream = new Duplex({
        read() {},
        write(frame: Buffer, _encoding, done) {
          sent = rtuReply(RTU.parse(frame, 0), random);
          for (const piece of pieces(sent.bytes, random)) stream.push(piece);
          done();
        },
      });
      opened(stream);
      return () => {};
    },
  };
  const connection = rtuConnection(wire, TIMEOUT_MS, clock, () => 0);
  const counts = none();
  for (let n = 0; n < frames; ) {
    sent = null;
    let answer: Awaited<ReturnType<typeof readWords>> | null = null;
    const unitId = random.whole(1, 5);
    void readWords(connection, unitId, random.whole(0, ADDRESSES), TIMEOUT_MS).then((given) => {
      answer = given;
    });
    do {
      await new Promise((done) => setImmediate(done));
      if (answer === null) clock.advance(TIMEOUT_MS / 2);
    } while (answer === null);
    // Not asked at all while every length is owed, nor over a connection that was never opened.
    if (sent === null) {
      clock.advance(TIMEOUT_MS);
      continue;
    }
    n += 1;
    count(counts, sent, rtuAnswerIn, answer);
  }
  connection.close();
  return verdict('rtu', frames, counts);
}

/** Whole frames of Modbus TCP over sockets. Words have no check of their own there: altered ones are valid. */
export async function fuzzTcp(frames: number, random: Random): Promise<boolean> {
  const sent = new Map<number, Sent>();
  const server = await ModbusServer.start((request) => {
    const right = answerFrame(request, WORDS);
    const reach = random.chance(0.7) ? 9 : right.length;
    const { bytes, flips } = random.chance(0.1) ? { bytes: right, flips: 0 } : mutated(right, reach, random);
    sent.set(request.unitId, { request, right, bytes, flips });
    // Half a frame is waited for; that the connection ends behind it is as likely, and quicker.
    return [{ bytes, closes: bytes.length < right.length && random.chance(0.95) }];
  });
  server.keepsRequests = false;
  const clock = systemClock();
  const counts = none();
  const readOn = async (unitId: number) => {
    const connection = tcpConnection('127.0.0.1', server.port, clock, () => random.between(0, 0.02));
    while (server.requestCount < frames) {
      sent.delete(unitId);
      const answer = await readWords(connection, unitId, random.whole(0, ADDRESSES), 2 * TIMEOUT_MS);
      const reply = sent.get(unitId);
      if (reply !== undefined) count(counts, reply, tcpAnswerIn, answer);
      if ('fault' in answer) await pause();
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, index) => readOn(1 + index)));
  await server.close();
  return verdict('tcp', server.requestCount, counts);
}

function count(
  counts: Counts,
  sent: Sent,
  answerIn: (bytes: Buffer, request: ModbusRequest) => Valid | null,
  answer: Awaited<ReturnType<typeof readWords>>,
): void {
  const valid = answerIn(sent.bytes, sent.request);
  if ('words' in answer) {
    counts.taken += 1;
    if (!sent.bytes.includes(sent.right)) counts.accidental += 1;
    if (sent.flips !== null && sent.flips >= 1 && sent.flips <= 3) counts.fewFlipsTaken += 1;
    if (valid === null || valid.words.join() !== answer.words.join()) counts.wrong += 1;
  } else if (valid?.isAlone === true && answer.fault === 'invalidFrame') counts.missed += 1;
}

function verdict(wire: 'tcp' | 'rtu', frames: number, counts: Counts): boolean {
  console.log(JSON.stringify({ run: 'fuzz', wire, frames, ...counts }));
  // TCP has no check of the words: a flipped bit in them is another value, and on a meter it is the meter's.
  const flipsShow = wire === 'tcp' || counts.fewFlipsTaken === 0;
  return counts.wrong === 0 && counts.missed === 0 && flipsShow && counts.taken > 0;
}

// ---- the frames

function rtuReply(request: ModbusRequest, random: Random): Sent {
  const right = rtuFrame(request, WORDS);
  const kind = random.whole(0, 9);
  // A whole frame of somebody else, an exception, or an answer behind a foreign one. That of the same unit to another
  // request of this length is what the run `late` is about.
  const other = {
    ...request,
    unitId: (request.unitId % 5) + 1,
    count: random.whole(1, 12),
    address: random.whole(0, ADDRESSES),
  };
  const [exception] = rtuException(random.whole(1, 11))(request) as [{ bytes: Buffer }];
  const bases = [rtuFrame(other, WORDS), exception.bytes, Buffer.concat([rtuFrame(other, WORDS), right])];
  const base = bases[kind] ?? right;
  const { bytes, flips } = random.chance(0.2) ? { bytes: base, flips: 0 } : mutated(base, base.length, random);
  return { request, right, bytes, flips: base === right ? flips : null };
}

/** A part of it, noise, a byte too many before or behind, or one to six different bits of the first `reach` bytes. */
function mutated(frame: Buffer, reach: number, random: Random): { bytes: Buffer; flips: number | null } {
  const noise = (length: number) => Buffer.from(Array.from({ length }, () => random.whole(0, 255)));
  switch (random.whole(0, 9)) {
    case 0:
      return { bytes: frame.subarray(0, random.whole(0, frame.length - 1)), flips: null };
    case 1:
      return { bytes: noise(random.whole(1, 300)), flips: null };
    case 2:
      return { bytes: Buffer.concat([noise(1), frame]), flips: null };
    case 3:
      return { bytes: Buffer.concat([frame, noise(random.whole(1, 20))]), flips: null };
    default: {
      const bytes = Buffer.from(frame);
      const bits = new Set(Array.from({ length: random.whole(1, 6) }, () => random.whole(0, 8 * reach - 1)));
      for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return { bytes, flips: bits.size };
    }
  }
}

/** In one piece, in two, or byte by byte. */
function* pieces(bytes: Buffer, random: Random): Generator<Buffer> {
  const kind = random.whole(0, 3);
  const step = kind === 0 ? 1 : kind === 1 ? Math.max(1, random.whole(1, bytes.length)) : bytes.length;
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

// ---- the oracle

/** The words of the first whole frame that answers the request, behind any other whole frames; null where none does. */
function rtuAnswerIn(bytes: Buffer, { unitId, functionCode, count }: ModbusRequest): Valid | null {
  let rest = bytes;
  for (;;) {
    const code = rest[1] ?? 0;
    const length = code >= 0x80 ? 5 : 5 + (rest[2] ?? 0);
    if (rest.length < 5 || rest.length < length || bitwiseCrc(rest.subarray(0, length)) !== 0) return null;
    const isOurs = rest[0] === unitId && (code & 0x7f) === functionCode;
    if (isOurs && code === functionCode && rest[2] === 2 * count)
      return { words: wordsOf(rest.subarray(3, length - 2)), isAlone: rest === bytes };
    if (isOurs && code >= 0x80) return null;
    rest = rest.subarray(length);
  }
}

function tcpAnswerIn(bytes: Buffer, request: ModbusRequest): Valid | null {
  const byteCount = 2 * request.count;
  const isRight =
    bytes.length >= 9 + byteCount &&
    bytes.readUInt16BE(0) === request.transactionId &&
    bytes.readUInt16BE(2) === 0 &&
    bytes.readUInt16BE(4) === 3 + byteCount &&
    bytes[6] === request.unitId &&
    bytes[7] === request.functionCode &&
    bytes[8] === byteCount;
  return isRight ? { words: wordsOf(bytes.subarray(9, 9 + byteCount)), isAlone: bytes.length === 9 + byteCount } : null;
}

function wordsOf(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(2 * index));
}

/** Modbus over Serial Line V1.02, 6.2.2: over a frame with its CRC the remainder is 0. */
function bitwiseCrc(bytes: Buffer): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  }
  return crc;
}
