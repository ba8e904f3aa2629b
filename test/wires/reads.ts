// What the long runs of the wires share: a meter whose every word tells its address, and reads of it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ModbusConnection, ReadAnswer } from '../../src/acquisition/modbus-connection.ts';

/** Reads begin below this. */
export const ADDRESSES = 59_000;
const COUNTS = [2, 4, 6, 8, 10, 12];

/** 31 is prime to 65,536, so no two addresses hold the same word. */
const wordAt = (address: number): number => (address * 31 + 7) % 65_536;
export const WORDS: ReadonlyMap<number, number> = new Map(
  Array.from({ length: 60_000 }, (_, address) => [address, wordAt(address)]),
);

/** In whichever of six lengths the wire has free. */
export function readWords(
  connection: ModbusConnection,
  unitId: number,
  address: number,
  timeoutMs: number,
): Promise<ReadAnswer> {
  const reads = COUNTS.map((count) => ({ functionCode: 4, address, count }) as const);
  return new Promise((done) => connection.read({ unitId, reads, timeoutMs, pauseMs: 0 }, done));
}

export function isRight(address: number, words: readonly number[]): boolean {
  return words.every((word, index) => word === wordAt(address + index));
}

/** A source that failed asks again at its next poll, not at once. */
export function pause(): Promise<void> {
  return sleep(1);
}
