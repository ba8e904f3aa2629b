// A desk for tests of the replay: a folder, a configuration in it, traces in it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Configuration, readConfiguration } from '../../../src/configuration.ts';
import { type ReplayInput, replay } from '../../../src/workbench/replay/replay.ts';
import type { ReplayResult } from '../../../src/workbench/replay/results.ts';
import { showTime } from '../../../src/workbench/trace/sink.ts';
import { showProblem } from '../../../src/yaml-file.ts';

/** What a feeder F1 has unless a test says otherwise. */
const GROUP = `ratingA: 385
        atRisk: { pickupA: 345, dropoutA: 310, delayS: 30, resetDelayS: 60 }`;

export interface Desk {
  readonly folder: string;
  file(name: string, content: string | Uint8Array): string;
  /** The file that `configuration` makes. */
  text(group: string): string;
  /** One or more feeders with the same settings group. */
  configuration(group?: string, feeders?: readonly string[], more?: string, ofFeeder?: string): Configuration;
  replay(configuration: Configuration, trace: string | string[], options?: Partial<ReplayInput>): Promise<ReplayResult>;
  close(): void;
}

export function openDesk(): Desk {
  const folder = mkdtempSync(join(tmpdir(), 'headroom-desk-'));
  const file = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  return {
    folder,
    file,
    text: (group) => configurationText(group, ['F1'], '', ''),
    configuration(group = GROUP, feeders = ['F1'], more = '', ofFeeder = '') {
      const path = file('desk.yaml', configurationText(group, feeders, more, ofFeeder));
      const { configuration, problems } = readConfiguration(path);
      if (configuration === null) throw new Error(problems.map(showProblem).join('\n'));
      return configuration;
    },
    replay: (configuration, trace, options = {}) =>
      replay({ configuration, traces: typeof trace === 'string' ? [trace] : trace, ...options }),
    close: () => rmSync(folder, { recursive: true }),
  };
}

function configurationText(group: string, feeders: readonly string[], more: string, ofFeeder: string): string {
  const each = feeders.map(
    (id) => `  - id: ${id}
    currents: { source: meter-1 }
    ${ofFeeder}
    targetGroup: { id: TG-${id}, version: 1 }
    controllableA: { L1: 96, L2: 128, L3: 96 }
    settings:
      - name: desk
        ${group}
`,
  );
  return `substation: { id: SUB-1 }
uplink: { brokers: [{ url: "mqtts://headend.example:8883" }] }
sources:
  - { id: meter-1, type: modbus-tcp, host: 127.0.0.1, profile: eastron-sdm630, pollMs: 10, timeoutMs: 10 }
feeders:
${each.join('')}${more}`;
}

/** A native trace of one feeder: rows of `time L1 L2 L3`, `-` for no value. */
export function nativeTrace(rows: string, feeder = 'F1'): string {
  const lines = rows
    .trim()
    .split('\n')
    .map((row) => {
      const [time, ...amperes] = row.trim().split(/ +/);
      return [time, feeder, ...amperes.map((cell) => (cell === '-' ? '' : cell))].join(',');
    });
  return `time,feeder,L1_A,L2_A,L3_A\n${lines.join('\n')}\n`;
}

/** Events as a table that people can read: time, type, element and phase, level; all but what is odd about the data. */
export function told({ events, form }: ReplayResult): string[] {
  return events
    .filter(({ type }) => type !== 'quality')
    .map(({ atMs, type, element, phase, levelPercent }) =>
      [showTime(atMs, form), type, element, phase, levelPercent === undefined ? undefined : `${levelPercent} %`]
        .filter((part) => part !== undefined)
        .join(' '),
    );
}
