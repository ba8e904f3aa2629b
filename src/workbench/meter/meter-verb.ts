// The verb `meter`: its three uses, their output and exit codes. 0: what was asked for answered; 1: it did not; 2: wrong
// use.
import { setTimeout as sleep } from 'node:timers/promises';
import { configurationOrProblems } from '../../configuration.ts';
import { identify, scan } from './find.ts';
import { LiveMeter } from './live.ts';
import { LiveServer } from './live-server.ts';
import { openLine, openTcp, reader } from './meter-wire.ts';
import { showRound } from './round.ts';

export interface MeterOptions {
  readonly once?: boolean;
  readonly json?: boolean;
  readonly identify?: string;
  readonly scan?: string;
  readonly unit: number;
  readonly from: number;
  readonly to: number;
  readonly baud: number;
  readonly parity: string;
  readonly stopBits: number;
  readonly timeout: number;
}

const [DONE, NOT_SO, WRONG_USE] = [0, 1, 2];
const CLEAR = '\u001b[H\u001b[J';
const MODBUS_PORT = 502;

export function meter(file: string | undefined, source: string | undefined, options: MeterOptions): Promise<number> {
  if (options.identify !== undefined) return identifyVerb(options.identify, options);
  if (options.scan !== undefined) return scanVerb(options.scan, options);
  if (file !== undefined && source !== undefined) return liveVerb(file, source, options);
  return Promise.resolve(wrong('meter needs CONFIG and SOURCE, or --identify HOST, or --scan LINE'));
}

async function liveVerb(file: string, sourceId: string, { once, json }: MeterOptions): Promise<number> {
  const configuration = configurationOrProblems(file);
  if (configuration === null) return WRONG_USE;
  const { sources } = configuration.settings;
  const source = sources.find(({ id }) => id === sourceId);
  if (source === undefined) {
    return wrong(`source is "${sourceId}", expected one of ${sources.map(({ id }) => id).join(', ')}`);
  }
  const isServer = source.type === 'opcua';
  const live = isServer ? new LiveServer(configuration.settings, source) : new LiveMeter(configuration, source);
  const everyMs = isServer ? source.samplingMs : source.pollMs;
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    for (;;) {
      const round = await live.round();
      const screen = once === true || !process.stdout.isTTY ? '' : CLEAR;
      process.stdout.write(json === true ? `${JSON.stringify(round)}\n` : `${screen}${showRound(round)}`);
      if (once === true) return round.ok ? DONE : NOT_SO;
      await sleep(everyMs, undefined, { signal: interrupted.signal }).catch(() => {});
      if (interrupted.signal.aborted) return DONE;
    }
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    live.close();
  }
}

async function identifyVerb(address: string, { unit, json, timeout }: MeterOptions): Promise<number> {
  const { host, port } = splitAddress(address);
  const connection = openTcp(host, port);
  const found = await identify(reader(connection, timeout), unit).finally(() => connection.close());
  if (json === true) process.stdout.write(`${JSON.stringify({ host, port, ...found }, null, 2)}\n`);
  else {
    const models = found.sunspec.map(({ model, address: at }) => `  SunSpec model ${model} at ${at}\n`).join('');
    const which = found.profiles.length > 0 ? `profile ${found.profiles.join(' or ')}` : 'no known meter';
    const line = found.answers ? which : `does not answer: ${found.detail}`;
    process.stdout.write(`${host}:${port} unit ${unit}: ${line}\n${models}`);
  }
  return found.profiles.length > 0 ? DONE : NOT_SO;
}

async function scanVerb(line: string, options: MeterOptions): Promise<number> {
  const { from, to, baud: baudRate, parity, stopBits, timeout, json } = options;
  if (parity !== 'even' && parity !== 'odd' && parity !== 'none') {
    return wrong(`parity is "${parity}", expected even, odd or none`);
  }
  if (stopBits !== 1 && stopBits !== 2) return wrong(`stop bits are ${stopBits}, expected 1 or 2`);
  if (!(from >= 1 && from <= to && to <= 247)) return wrong(`units are ${from} to ${to}, expected a part of 1 to 247`);
  const connection = openLine(line, { baudRate, parity, stopBits }, timeout);
  const units = await scan(reader(connection, timeout), from, to, (unitId, found) => {
    if (process.stderr.isTTY) process.stderr.write(`\runit ${unitId}${found === null ? '' : ' answers\n'}`);
  }).finally(() => connection.close());
  if (json === true) process.stdout.write(`${JSON.stringify({ line, from, to, units }, null, 2)}\n`);
  else {
    for (const { unitId, detail } of units)
      process.stdout.write(`unit ${unitId} answers${detail ? `: ${detail}` : ''}\n`);
    if (units.length === 0) process.stdout.write(`no unit from ${from} to ${to} answers on ${line}\n`);
  }
  return units.length > 0 ? DONE : NOT_SO;
}

function splitAddress(address: string): { host: string; port: number } {
  const match = /^(.+):(\d+)$/.exec(address);
  return match === null ? { host: address, port: MODBUS_PORT } : { host: match[1] ?? '', port: Number(match[2]) };
}

function wrong(line: string): number {
  process.stderr.write(`${line}\n`);
  return WRONG_USE;
}
