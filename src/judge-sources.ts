// Relations between the settings of the sources.
import { resolve } from 'node:path';
import { field, isFile, list, number, refuseDoubles, type Say, text } from './judge.ts';
import type { Path } from './yaml-file.ts';

export function judgeSources(given: unknown, say: Say, folder: string): void {
  const sources = list(given, 'sources');
  judgeWatchdog(given, sources, say);
  refuseDoubles(sources, 'sources', say);
  const insecure = field(field(given, 'uplink'), 'allowInsecure') === true;
  for (const [index, source] of sources.entries()) {
    const at = ['sources', index];
    const opcua = text(source, 'type') === 'opcua';
    const period = opcua ? 'samplingMs' : 'pollMs';
    const periodMs = number(source, period) ?? 200;
    const staleMs = number(source, 'staleAfterMs');
    if (staleMs !== null && staleMs <= periodMs) {
      say.refuse([...at, 'staleAfterMs'], `more than ${period} (${periodMs})`);
    }
    judgeWire(sources, index, say);
    const id = text(source, 'id');
    const used = [...list(given, 'feeders'), field(given, 'transformer')].some((one) =>
      ['currents', 'backup'].some((input) => text(field(one, input), 'source') === id),
    );
    if (id !== null && !used) say.warn([...at, 'id'], 'the id of a source that a feeder uses');
    if (opcua) judgeOpcua(source, at, say, folder, insecure);
  }
}

function judgeOpcua(source: unknown, at: Path, say: Say, folder: string, insecure: boolean): void {
  const mode = text(source, 'securityMode') ?? 'SignAndEncrypt';
  const policy = text(source, 'securityPolicy') ?? 'Basic256Sha256';
  if (mode === 'None' && !insecure) {
    say.refuse([...at, 'securityMode'], 'SignAndEncrypt or Sign, or allowInsecure: true in uplink');
  } else if (mode === 'None') {
    say.warn([...at, 'securityMode'], 'SignAndEncrypt outside a bench: readings can be forged');
  }
  if (policy === 'None' && mode !== 'None') {
    say.refuse([...at, 'securityPolicy'], `a policy other than None for securityMode ${mode}`);
  } else if (mode === 'None' && (text(source, 'securityPolicy') ?? 'None') !== 'None') {
    say.refuse([...at, 'securityPolicy'], 'None or nothing, as securityMode is None');
  }
  const user = field(source, 'user');
  if (user !== undefined && user !== null) judgeUser(user, [...at, 'user'], say, folder);
}

/** A name with its password, or a certificate with its key; never half of one or some of both. */
function judgeUser(user: unknown, at: Path, say: Say, folder: string): void {
  const pairs = [
    ['name', 'passwordFile'],
    ['certFile', 'keyFile'],
  ] as const;
  const begun = pairs.filter((pair) => pair.some((key) => field(user, key) !== undefined));
  if (begun.length !== 1) return say.refuse(at, 'name and passwordFile, or certFile and keyFile, and not both');
  for (const key of begun[0] ?? []) {
    const path = text(user, key);
    if (field(user, key) === undefined) say.refuse([...at, key], 'the other half of what is given here');
    else if (key !== 'name' && path !== null && path !== '' && !isFile(resolve(folder, path)))
      say.refuse([...at, key], 'a file that is there, relative to this one');
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

/** A limit that a healthy source cannot keep would end the program for ever. */
function judgeWatchdog(given: unknown, sources: unknown[], say: Say): void {
  const limitS = number(field(given, 'watchdog'), 'limitS');
  if (limitS === null || sources.length === 0) return;
  const slow = (source: unknown) =>
    3 * Math.max(number(source, 'pollMs') ?? number(source, 'samplingMs') ?? 200, number(source, 'timeoutMs') ?? 500);
  const leastMs = Math.min(...sources.map(slow));
  if (limitS * 1000 <= leastMs)
    say.refuse(['watchdog', 'limitS'], `more than three polls of the fastest source (${leastMs / 1000} s)`);
}
