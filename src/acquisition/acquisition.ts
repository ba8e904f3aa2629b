// Opens every source of a configuration, each kind by its opener, and binds the feeders to the source that carries
// them. Sources on one wire share its connection, polls of one period share a timer.
import type { Clock } from '../clock.ts';
import type { MeasuredSettings } from '../feeder-settings.ts';
import type { ModbusSettings, SourceSettings } from '../source-settings.ts';
import { FeederInputs, type SummedFeeders } from './feeder-inputs.ts';
import { ModbusLines } from './modbus-lines.ts';
import { type FeederBinding, ModbusSource } from './modbus-source.ts';
import type { NodeBinding } from './opcua-nodes.ts';
import { OpcuaSource } from './opcua-source.ts';
import { trustFolder } from './opcua-trust.ts';
import type { RegisterMap } from './register-map.ts';
import { SharedTimers } from './shared-timers.ts';
import type { AcquisitionEvents, SourceEvents } from './source-reading.ts';

export interface Acquisition {
  close(): void;
}

export interface AcquisitionInput {
  readonly sources: readonly SourceSettings[];
  readonly feeders: readonly MeasuredSettings[];
  /** The transformer, where it has a meter and feeders that it is held against. */
  readonly summed?: SummedFeeders | null;
  readonly registerMaps: ReadonlyMap<string, RegisterMap>;
  /** Where certificates are kept. */
  readonly dataFolder: string;
  readonly clock: Clock;
  /** 0 ≤ random() < 1; jitters reconnects. */
  readonly random: () => number;
  readonly events: AcquisitionEvents;
}

/** Throws when a source has no readable map, which the configuration's checks have ruled out. */
export function openAcquisition(input: AcquisitionInput): Acquisition {
  const lines = new ModbusLines(input.clock, input.random);
  const polls = new SharedTimers(input.clock);
  const inputs = new FeederInputs(input.feeders, input.sources, input.summed ?? null, input.clock, input.events);
  const folder = trustFolder(input.dataFolder);
  const servers: OpcuaSource[] = [];
  for (const settings of input.sources) {
    const bindings = bindingsOf(input.feeders, settings.id);
    switch (settings.type) {
      case 'modbus-tcp':
      case 'modbus-rtu':
      case 'modbus-rtu-over-tcp': {
        const source = openModbus(settings, bindings.map(registersOf), lines, input, inputs);
        polls.every(settings.pollMs, () => source.poll());
        break;
      }
      case 'opcua': {
        const source = new OpcuaSource({ ...input, settings, bindings, folder, events: inputs });
        polls.every(settings.samplingMs, () => source.poll());
        servers.push(source);
      }
    }
  }
  return {
    close() {
      polls.close();
      lines.close();
      for (const server of servers) server.close();
    },
  };
}

interface Binding extends NodeBinding {
  readonly frozenMs: number | null;
}

/** The feeders on a source, as preferred or as backup. */
function bindingsOf(feeders: readonly MeasuredSettings[], sourceId: string): Binding[] {
  return feeders.flatMap(({ id, currents, backup, quality: { frozenS } }) => {
    const frozenMs = frozenS === 'off' ? null : frozenS * 1000;
    return [currents, backup].flatMap((input) =>
      input?.source === sourceId ? [{ feederId: id, input, frozenMs }] : [],
    );
  });
}

function registersOf({ feederId, input, frozenMs }: Binding): FeederBinding {
  return { feederId, circuit: input.circuit, estimatesNeutral: input.neutral === 'estimated', frozenMs };
}

function openModbus(
  settings: ModbusSettings,
  bindings: readonly FeederBinding[],
  lines: ModbusLines,
  { registerMaps, clock }: AcquisitionInput,
  events: SourceEvents,
): ModbusSource {
  const map = registerMaps.get(settings.id);
  if (map === undefined) throw new Error(`source ${settings.id} has no readable register map`);
  return new ModbusSource(settings, map, bindings, lines.of(settings), clock, events);
}
