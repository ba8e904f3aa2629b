// `npm run test:wires -- WHAT [--count N] [--seed N]`: long runs of the Modbus wires against servers that misbehave.
//   late        reads of which one in a thousand is answered after its time: values taken that belong to another
//   fuzz        random and mutated frames: good readings taken from frames that are none
//   reconnects  connections that end in the middle: what is held must not grow
// Each on TCP and on RTU, N of each (all: some thousands of everything). Prints a line of JSON per run; exit code 1
// where a value was wrong or memory grew. test:soak is the long run of the whole of acquisition.
import { parseArgs } from 'node:util';
import { seeded } from '../simulators/random.ts';
import { fuzzRtu, fuzzTcp } from './fuzz.ts';
import { lateAnswers } from './late-answers.ts';
import { reconnects } from './reconnects.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string' }, seed: { type: 'string', default: '1' } },
});
const [what = 'all'] = positionals;
const seed = Number(values.seed);
const count = (otherwise: number) => (values.count === undefined ? otherwise : Number(values.count));
const results: boolean[] = [];
if (what === 'late' || what === 'all') {
  for (const wire of ['tcp', 'rtu'] as const) results.push(await lateAnswers(wire, count(20_000), seeded(seed)));
}
if (what === 'fuzz' || what === 'all') {
  results.push(await fuzzRtu(count(20_000), seeded(seed)), await fuzzTcp(count(2_000), seeded(seed)));
}
if (what === 'reconnects' || what === 'all') {
  for (const wire of ['tcp', 'rtu'] as const) results.push(await reconnects(wire, count(2_000)));
}
process.exitCode = results.length > 0 && results.every(Boolean) ? 0 : 1;
