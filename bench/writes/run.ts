// What a quiet day costs the flash card: the controller as in service, some feeders that nothing happens on, a broker
// that is there, and the kernel's count of what the process had written (/proc/PID/io). See README.md beside.
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readRegisterMap } from '../../src/acquisition/register-map.ts';
import { openSimulatedMeter } from '../../src/workbench/simulated-meter.ts';
import { endProcess, startVerb } from '../../test/end-to-end/headroom.ts';
import { Mosquitto } from '../../test/simulators/mosquitto.ts';

const TARGET_MB = 25;
/** Files are made and filled at the start: that is once, not every day. */
const SETTLE_S = 60;
const VARIES_MS = 500;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    feeders: { type: 'string', default: '12' },
    poll: { type: 'string', default: '1000' },
    json: { type: 'boolean', default: false },
  },
});
const [minutes, feeders, pollMs] = [values.minutes, values.feeders, values.poll].map(Number) as [
  number,
  number,
  number,
];

const folder = mkdtempSync(join(tmpdir(), 'headroom-writes-'));
const broker = await Mosquitto.start();
const { value: map } = readRegisterMap(join(import.meta.dirname, '../../hardware/meters/eastron-sdm630.yaml'));
if (map === null) throw new Error('the register map is not good');
const meters = await Promise.all(
  Array.from({ length: feeders }, () => openSimulatedMeter({ map, host: '127.0.0.1', port: 0 })),
);
// A current that is never twice the same: what does not change would cost less to keep.
const vary = () => {
  for (const meter of meters) {
    const at = () => 100 + Math.round(Math.random() * 10_000) / 100;
    meter.set({ L1: at(), L2: at(), L3: at(), N: at() / 10 });
  }
};
vary();
const varying = setInterval(vary, VARIES_MS);
const config = join(folder, 'writes.yaml');
writeFileSync(config, JSON.stringify(configuration()));
const child = startVerb(['run', config], openSync(join(folder, 'log'), 'w'));
let code = 1;
try {
  await sleep(SETTLE_S * 1000);
  const start = writtenBytes(child.pid);
  const outcome = await Promise.race([sleep(minutes * 60_000, 'measured'), once(child, 'exit')]);
  if (outcome !== 'measured') throw new Error(readFileSync(join(folder, 'log'), 'utf8'));
  report(start, writtenBytes(child.pid));
  code = 0;
} finally {
  clearInterval(varying);
  await endProcess(child);
  await Promise.all(meters.map((meter) => meter.close()));
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = code;

/** JSON is YAML. */
function configuration() {
  const settings = {
    name: 'quiet',
    ratingA: 385,
    atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 },
  };
  return {
    substation: { id: 'WRITES' },
    uplink: { brokers: [{ url: broker.url }], allowInsecure: true },
    sources: meters.map(({ port }, n) => ({
      id: `meter-${n}`,
      type: 'modbus-tcp',
      host: '127.0.0.1',
      port,
      pollMs,
      profile: 'eastron-sdm630',
    })),
    feeders: meters.map((_, n) => ({ id: `F${n}`, currents: { source: `meter-${n}` }, settings: [settings] })),
    journal: { path: './journal' },
  };
}

/** What went to the page cache to be written out, less what was thrown away before it was. */
function writtenBytes(pid: number | undefined): number {
  const text = readFileSync(`/proc/${pid}/io`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1]);
  return field('write_bytes') - field('cancelled_write_bytes');
}

function report(startBytes: number, endBytes: number): void {
  const size = (name: string) => statSync(join(folder, 'journal', name)).size;
  const perDayMB = (((endBytes - startBytes) / minutes) * 1_440) / 1e6;
  const figures = {
    feeders,
    pollMs,
    minutes,
    writtenBytes: endBytes - startBytes,
    perDayMB: Math.round(perDayMB * 100) / 100,
    targetMB: TARGET_MB,
    startMB: Math.round(startBytes / 1e4) / 100,
    historyWalBytes: size('history.db-wal'),
    journalWalBytes: size('journal.db-wal'),
  };
  if (values.json) process.stdout.write(`${JSON.stringify(figures)}\n`);
  else
    process.stdout.write(
      `${feeders} feeders at ${pollMs} ms, ${minutes} minutes: ${figures.writtenBytes} bytes written, ` +
        `${figures.perDayMB} MB a day (target ${TARGET_MB}); ${figures.startMB} MB at the start\n`,
    );
}
