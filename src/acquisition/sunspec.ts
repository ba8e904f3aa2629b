// Finds a meter's model in a SunSpec device: from a base address on, marked "SunS", models follow one another, each
// with its id and its length, up to an end mark. What is found says where it stands, and the plan reads id and length
// again with every telegram, so that a device whose chain has moved is never read at the old place.
import type { ReadAnswer } from './modbus-connection.ts';
import type { WireRead } from './modbus-port.ts';
import type { ModelPlace } from './read-plan.ts';
import type { RegisterMap } from './register-map.ts';

/** SunSpec Information Model Specification: where the mark may stand. */
const BASES = [40_000, 50_000, 0];
const MARK = [0x5375, 0x6e53];
const END = 0xffff;
/** A chain that is longer than this is none. */
const MODELS_MAX = 100;

export type Read = (read: WireRead) => Promise<ReadAnswer>;

export interface ModelHeader {
  readonly address: number;
  readonly model: number;
  readonly lengthWords: number;
}

/** Every model of the chain, in its order; or in words why there is none. */
export async function walkModels(read: Read): Promise<ModelHeader[] | { readonly detail: string }> {
  let detail = '';
  for (const base of BASES) {
    const mark = await two(read, base);
    if (typeof mark === 'string') detail ||= mark;
    else if (mark[0] === MARK[0] && mark[1] === MARK[1]) return chainFrom(read, base + 2);
  }
  return { detail: `no SunSpec mark at ${BASES.join(', ')}${detail === '' ? '' : ` (${detail})`}` };
}

/** The model of `map` that this device has, and which layout of the map it is. */
export async function findModel(
  read: Read,
  map: RegisterMap,
): Promise<{ readonly place: ModelPlace; readonly layout: number } | { readonly detail: string }> {
  const chain = await walkModels(read);
  if ('detail' in chain) return chain;
  for (const place of chain) {
    const layout = (map.sunspec ?? []).findIndex(({ models }) => models.includes(place.model));
    if (layout < 0) continue;
    const expected = map.sunspec?.[layout]?.lengthWords;
    if (place.lengthWords === expected) return { place, layout };
    return { detail: `SunSpec model ${place.model} of ${place.lengthWords} words, expected ${expected}` };
  }
  return { detail: `no meter among the SunSpec models ${chain.map(({ model }) => model).join(', ')}` };
}

async function chainFrom(read: Read, first: number): Promise<ModelHeader[] | { readonly detail: string }> {
  const models: ModelHeader[] = [];
  let address = first;
  while (models.length < MODELS_MAX && address < 65_534) {
    const header = await two(read, address);
    if (typeof header === 'string') return { detail: `the SunSpec chain breaks off at ${address}: ${header}` };
    const [model, lengthWords] = header;
    if (model === END) break;
    models.push({ address, model, lengthWords });
    address += 2 + lengthWords;
  }
  return models;
}

async function two(read: Read, address: number): Promise<readonly [number, number] | string> {
  const answer = await read({ functionCode: 3, address, count: 2 });
  if (!('words' in answer)) return answer.detail;
  const [first = 0, second = 0] = answer.words;
  return [first, second];
}
