// A process that its test kills: one feeder whose state was kept at the start, readings of `CURRENT_A` every second of a
// clock that it moves itself for the seconds it is given, and the heat kept once a minute as the controller does.
import { newFeederState, stepReading } from '../src/control/feeder-control.ts';
import { Journal } from '../src/journal/journal.ts';
import { heatToKeep, KEEP_HEAT_EVERY_MS } from '../src/kept-heat.ts';
import { CURRENT_A, heatedSettings, START_MS, stampAt } from './kept-heat-site.ts';

const [folder = '', seconds = '0'] = process.argv.slice(2);
const journal = new Journal(folder);
const settings = heatedSettings();
const state = newFeederState();
const reading = (atMs: number) => {
  const input = { currentA: CURRENT_A, quality: 'good' as const };
  stepReading(state, settings, { atMs, L1: input, L2: input, L3: input, N: input }, []);
};
reading(START_MS);
journal.commit({ states: [{ feederId: 'F1', state }], requests: [], withheld: [], events: [] }, stampAt(START_MS));
let keptMs = START_MS;
for (let atMs = START_MS + 1_000; atMs <= START_MS + Number(seconds) * 1_000; atMs += 1_000) {
  reading(atMs);
  if (atMs < keptMs + KEEP_HEAT_EVERY_MS) continue;
  keptMs = atMs;
  journal.keepHeat(heatToKeep([{ id: 'F1', thermal: settings.thermal, state }], stampAt(atMs)) ?? '');
}
process.stdout.write('lived\n');
setInterval(() => {}, 1_000);
