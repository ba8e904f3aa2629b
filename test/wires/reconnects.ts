// Connections that end again and again: closed by the meter without an answer, or in the middle of one. What is
// held must not grow with their number.
import { tcpWire } from '../../src/acquisition/byte-wires.ts';
import { rtuConnection, tcpConnection } from '../../src/acquisition/modbus-lines.ts';
import { systemClock } from '../../src/clock.ts';
import { answerFrame, ModbusServer, type Script } from '../simulators/modbus-server.ts';
import { rtuFrame, startRtuServer } from '../simulators/rtu-line.ts';
import { type Held, held, isFlat, shown } from './memory.ts';
import { pause, readWords, WORDS } from './reads.ts';

const SAMPLES = 5;
const UNITS = 200;

export async function reconnects(wire: 'tcp' | 'rtu', count: number): Promise<boolean> {
  const frame = wire === 'tcp' ? answerFrame : rtuFrame;
  const script: Script = (request) => {
    if (request.number % 2 === 0) return 'close';
    return [{ bytes: frame(request, WORDS).subarray(0, 6), closes: true }];
  };
  const server = wire === 'tcp' ? await ModbusServer.start(script) : await startRtuServer(script);
  server.keepsRequests = false;
  const clock = systemClock();
  const connection =
    wire === 'tcp'
      ? tcpConnection('127.0.0.1', server.port, clock, () => 0)
      : rtuConnection(tcpWire('127.0.0.1', server.port), 40, clock, () => 0);
  const samples: Held[] = [];
  let words = 0;
  while (server.connections < count) {
    // Unit after unit: on RTU one alone would owe answers in every length, and be left alone for some seconds.
    const answer = await readWords(connection, 1 + (server.connections % UNITS), 0, 1_000);
    if ('words' in answer) words += 1;
    // Between two connections the answer is "not connected" at once.
    if ('fault' in answer && answer.fault === 'disconnected' && server.connections % 16 === 0) await pause();
    else await new Promise((done) => setImmediate(done));
    if (server.connections >= (count * (samples.length + 1)) / SAMPLES) samples.push(held());
  }
  if (samples.length < SAMPLES) samples.push(held());
  connection.close();
  await server.close();
  console.log(JSON.stringify({ run: 'reconnects', wire, connections: server.connections, words, ...shown(samples) }));
  return words === 0 && isFlat(samples);
}
