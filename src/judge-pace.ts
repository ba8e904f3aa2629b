// Whether a serial line is quick enough for what is polled on it. It looks into the register maps and the read plan, as
// the telegrams of a meter are known nowhere else.
import { readMs } from './acquisition/line-pace.ts';
import { planReads } from './acquisition/read-plan.ts';
import { circuitOf, layoutsOf, type RegisterMap } from './acquisition/register-map.ts';
import type { Say } from './judge.ts';
import type { Settings } from './settings.ts';
import type { SourceSettings } from './source-settings.ts';

type Serial = Extract<SourceSettings, { type: 'modbus-rtu' }>;

/** Of the time of a line: the rest is for the meters to begin their answers, and for what is read seldom. */
const MOST = 0.8;

/** Warns where the telegrams of the phase currents, at the pace that is asked for, fill a line. */
export function judgePace(settings: Settings, maps: ReadonlyMap<string, RegisterMap>, say: Say): void {
  const serial = settings.sources.flatMap((source, index) =>
    source.type === 'modbus-rtu' ? [{ source, index, takesMs: takesMs(source, settings, maps.get(source.id)) }] : [],
  );
  for (const path of new Set(serial.map(({ source }) => source.path))) {
    const line = serial.filter(({ source }) => source.path === path);
    const share = line.reduce((sum, { source, takesMs: ms }) => sum + ms / source.pollMs, 0);
    const [first] = line;
    if (first === undefined || share <= MOST) continue;
    const allMs = line.reduce((sum, { takesMs: ms }) => sum + ms, 0);
    const leastMs = 10 * Math.ceil(allMs / MOST / 10);
    const meters = line.length === 1 ? 'the meter' : `the ${line.length} meters`;
    const percent = `${Math.round(100 * share)} % of the time at ${first.source.baudRate} bit/s`;
    say.warn(
      ['sources', first.index, 'pollMs'],
      `at least ${leastMs} for ${meters} of this line, whose telegrams alone take ${percent}`,
      `${first.source.pollMs}`,
    );
  }
}

/** The telegrams of one poll. */
function takesMs({ id, baudRate, pauseMs }: Serial, { feeders }: Settings, map: RegisterMap | undefined): number {
  const [layout] = map === undefined ? [] : layoutsOf(map);
  if (layout === undefined) return 0;
  const inputs = feeders.flatMap(({ currents, backup }) => [currents, ...(backup === undefined ? [] : [backup])]);
  const circuits = inputs.flatMap(({ source, circuit }) => (source === id ? [circuit] : []));
  const plan = planReads(layout, circuits.length > 0 ? circuits : [Math.min(...layout.registers.map(circuitOf))]);
  const telegrams = plan?.phases.map((group) => group.telegrams[0]?.count ?? 0) ?? [];
  return telegrams.reduce((sum, words) => sum + readMs(words, baudRate) + pauseMs, 0);
}
