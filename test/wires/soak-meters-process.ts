// The other end of the soak, in a process of its own: gateways with four meters each, on a port each. Now and then one
// of them misbehaves as meters do, and tells the parent when (monotonic milliseconds) and on which port, so that what
// it causes can be told from what it does not.
import {
  answerFrame,
  answering,
  closing,
  exception,
  float32,
  halfAnswer,
  late,
  ModbusServer,
  type Script,
  silent,
} from '../simulators/modbus-server.ts';
import { seeded } from '../simulators/random.ts';

const [gateways = 8, oneIn = 2_000, seed = 1] = process.argv.slice(2).map(Number);
const random = seeded(seed);
const monotonicMs = () => Number(process.hrtime.bigint()) / 1e6;
const TIMEOUT_MS = 80;
/** Words 6 to 11 of an SDM630. */
const amperes = [101.5, 98.25, 112.75].flatMap(float32);
const WORDS = new Map(amperes.map((word, index) => [6 + index, word]));

const oddities: readonly Script[] = [
  silent,
  closing,
  exception(6),
  exception(11),
  late(WORDS, 1.5 * TIMEOUT_MS),
  halfAnswer(WORDS, 8),
  (request) => [{ bytes: answerFrame(request, WORDS, { transactionId: (request.transactionId + 1) % 65_536 }) }],
];
const good = answering(WORDS);
const ports: number[] = [];
for (let index = 0; index < gateways; index++) {
  const script: Script = (request) => {
    if (!random.chance(1 / oneIn)) return good(request);
    process.send?.({ gateway: index, atMs: monotonicMs() });
    return (oddities[random.whole(0, oddities.length - 1)] ?? silent)(request);
  };
  const server = await ModbusServer.start(script);
  server.keepsRequests = false;
  ports.push(server.port);
}
process.send?.({ ports });
process.once('disconnect', () => process.exit());
