// Relations between the settings of the sources.
import { field, list, number, refuseDoubles, type Say, text } from './judge.ts';

export function judgeSources(given: unknown, say: Say): void {
  const sources = list(given, 'sources');
  refuseDoubles(sources, 'sources', say);
  for (const [index, source] of sources.entries()) {
    const pollMs = number(source, 'pollMs') ?? 200;
    const staleMs = number(source, 'staleAfterMs');
    if (staleMs !== null && staleMs <= pollMs) {
      say.refuse(['sources', index, 'staleAfterMs'], `more than pollMs (${pollMs})`);
    }
    judgeWire(sources, index, say);
    const id = text(source, 'id');
    const used = list(given, 'feeders').some((feeder) => text(field(feeder, 'currents'), 'source') === id);
    if (id !== null && !used) say.warn(['sources', index, 'id'], 'the id of a source that a feeder uses');
  }
}

const LINE_SETTINGS = { baudRate: 19_200, parity: 'even', stopBits: 1 };

/** Sources on one wire speak one protocol and, on a serial line, with one set of line settings. */
function judgeWire(sources: unknown[], index: number, say: Say): void {
  const source = sources[index];
  const wire = wireOf(source);
  const first = sources.findIndex((other) => wire !== null && wireOf(other) === wire);
  if (first < 0 || first === index) return;
  const of = `that of sources[${first}] on the same wire`;
  const type = text(sources[first], 'type');
  if (type !== text(source, 'type')) return say.refuse(['sources', index, 'type'], `${type}, ${of}`);
  if (type !== 'modbus-rtu') return;
  for (const [key, standard] of Object.entries(LINE_SETTINGS)) {
    const expected = field(sources[first], key) ?? standard;
    const given = field(source, key);
    if ((given ?? standard) === expected) continue;
    say.refuse(
      ['sources', index, key],
      `${expected}, ${of}`,
      given === undefined ? `${standard} by default` : undefined,
    );
  }
}

function wireOf(source: unknown): string | null {
  const type = text(source, 'type');
  if (type === 'modbus-rtu') return text(source, 'path');
  if (type !== 'modbus-tcp' && type !== 'modbus-rtu-over-tcp') return null;
  const host = text(source, 'host');
  return host === null ? null : `${host}:${number(source, 'port') ?? 502}`;
}
