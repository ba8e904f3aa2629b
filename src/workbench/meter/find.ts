// What an installer asks before there is a configuration: which meter answers at an address, and which units are on a
// serial line. Only reads go out, and a unit that answers with an exception is there as well.
import { readdirSync } from 'node:fs';
import type { ReadAnswer } from '../../acquisition/modbus-connection.ts';
import { type RegisterMap, readRegisterMap } from '../../acquisition/register-map.ts';
import { walkModels } from '../../acquisition/sunspec.ts';
import { profileFile } from '../../configuration.ts';
import type { ReadUnit } from './meter-wire.ts';

export interface Identity {
  readonly unitId: number;
  /** Whether anything answered at all. */
  readonly answers: boolean;
  readonly detail: string | null;
  readonly sunspec: readonly { readonly model: number; readonly address: number; readonly lengthWords: number }[];
  /** Register maps whose meter this is, or whose SunSpec models it has. */
  readonly profiles: readonly string[];
}

export async function identify(read: ReadUnit, unitId: number): Promise<Identity> {
  const first = await read(unitId, [{ functionCode: 3, address: 0, count: 1 }]);
  if (!isThere(first)) return { unitId, answers: false, detail: detailOf(first), sunspec: [], profiles: [] };
  const chain = await walkModels((one) => read(unitId, [one]));
  const sunspec = 'detail' in chain ? [] : chain;
  const models = new Set(sunspec.map(({ model }) => model));
  const profiles: string[] = [];
  for (const [name, map] of shippedMaps()) {
    const hasModel = map.sunspec?.some((layout) => layout.models.some((model) => models.has(model))) === true;
    if (hasModel || (await isKnown(read, unitId, map))) profiles.push(name);
  }
  return { unitId, answers: true, detail: 'detail' in chain ? chain.detail : null, sunspec, profiles };
}

export interface FoundUnit {
  readonly unitId: number;
  readonly answer: 'registers' | 'exception';
  readonly detail: string | null;
}

/** The units from `first` to `last` that answer; each is asked twice before it counts as absent. Throws without a line. */
export async function scan(
  read: ReadUnit,
  first: number,
  last: number,
  tried: (unitId: number, found: FoundUnit | null) => void,
): Promise<FoundUnit[]> {
  const found: FoundUnit[] = [];
  for (let unitId = first; unitId <= last; unitId++) {
    const reads = [1, 2, 3, 4].map((count) => ({ functionCode: 3, address: 0, count }) as const);
    let answer = await read(unitId, reads);
    if (!isThere(answer)) answer = await read(unitId, reads);
    if ('fault' in answer && answer.fault === 'disconnected') throw new Error(`no line: ${answer.detail}`);
    const unit: FoundUnit | null = isThere(answer)
      ? { unitId, answer: 'words' in answer ? 'registers' : 'exception', detail: detailOf(answer) }
      : null;
    if (unit !== null) found.push(unit);
    tried(unitId, unit);
  }
  return found;
}

function isThere(answer: ReadAnswer): boolean {
  return 'words' in answer || answer.fault === 'exception';
}

function detailOf(answer: ReadAnswer): string | null {
  return 'detail' in answer ? answer.detail : null;
}

async function isKnown(read: ReadUnit, unitId: number, { identity }: RegisterMap): Promise<boolean> {
  if (identity === undefined) return false;
  const { functionCode, address, count, codes, texts } = identity;
  const answer = await read(unitId, [{ functionCode, address, count }]);
  if (!('words' in answer)) return false;
  const [code = 0] = answer.words;
  const characters = String.fromCharCode(...answer.words.flatMap((word) => [word >> 8, word & 0xff]));
  return codes?.includes(code) === true || texts?.some((text) => characters.includes(text)) === true;
}

function shippedMaps(): [string, RegisterMap][] {
  const folder = profileFile('', '').replace(/[^/]*$/, '');
  return readdirSync(folder).flatMap((file): [string, RegisterMap][] => {
    if (!file.endsWith('.yaml')) return [];
    const { value } = readRegisterMap(`${folder}${file}`);
    return value === null ? [] : [[file.slice(0, -'.yaml'.length), value]];
  });
}
