// One replay in a process of its own, so that its memory is its own: prints readings, seconds of wall and CPU, and MB.
import { readConfiguration } from '../../src/configuration.ts';
import { replay } from '../../src/workbench/replay/replay.ts';

const [config = '', trace = ''] = process.argv.slice(2);
const { configuration } = readConfiguration(config);
if (configuration === null) throw new Error(`${config} has errors`);
const startMs = performance.now();
const { user, system } = process.cpuUsage();
const result = await replay({ configuration, traces: [trace] });
const wallS = (performance.now() - startMs) / 1000;
const spent = process.cpuUsage({ user, system });
const { maxRSS } = process.resourceUsage();
const limits = result.events.filter(({ type }) => type === 'limit').length;
console.log(
  JSON.stringify({
    readings: result.readings,
    wallS,
    cpuS: (spent.user + spent.system) / 1e6,
    residentMB: maxRSS / 1024,
    limits,
  }),
);
