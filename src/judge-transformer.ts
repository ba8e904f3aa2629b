// Relations between the settings of the transformer and of its feeders: what cannot work, and what is unwise.
import { DELAYED_ELEMENTS } from './feeder.ts';
import { field, list, number, type Say, text } from './judge.ts';
import { judgeElement, judgeInput, judgeStages, judgeThermal } from './judge-feeders.ts';
import { ratedCurrentA, TRANSFORMER } from './transformer-settings.ts';
import type { Path } from './yaml-file.ts';

const ELEMENTS = [...DELAYED_ELEMENTS, 'thermal'] as const;

export function judgeTransformer(given: unknown, say: Say): void {
  const transformer = field(given, 'transformer');
  if (transformer === undefined) return;
  const at: Path = ['transformer'];
  judgeMembers(given, transformer, at, say);
  judgeInput(field(transformer, 'currents'), [...at, 'currents'], list(given, 'sources'), say);
  const ratingKva = number(transformer, 'ratingKva');
  const voltageV = number(transformer, 'voltageV');
  const ratedA = ratingKva === null || voltageV === null ? null : ratedCurrentA({ ratingKva, voltageV });
  for (const element of DELAYED_ELEMENTS) {
    judgeElement(field(transformer, element), [...at, element], say);
    const pickupA = number(field(transformer, element), 'pickupA');
    if (element === 'atRisk' && pickupA !== null && ratedA !== null && pickupA > ratedA)
      say.warn([...at, element, 'pickupA'], `at most ${ratedA.toFixed(0)}, which is ratingKva at voltageV`);
  }
  judgeStages(transformer, at, say);
  judgeHeat(field(transformer, 'thermal'), [...at, 'thermal'], say);
  if (ELEMENTS.every((element) => field(transformer, element) === undefined))
    say.warn(at, `an element (${ELEMENTS.join(', ')}): without one nothing is watched`, 'without elements');
}

function judgeMembers(given: unknown, transformer: unknown, at: Path, say: Say): void {
  const known = list(given, 'feeders').flatMap((feeder) => text(feeder, 'id') ?? []);
  const reserved = known.indexOf(TRANSFORMER);
  if (reserved >= 0) say.refuse(['feeders', reserved, 'id'], `another id than ${TRANSFORMER}, where there is one`);
  const members = list(transformer, 'feeders');
  for (const [index, id] of members.entries()) {
    if (typeof id !== 'string') continue;
    if (!known.includes(id)) say.refuse([...at, 'feeders', index], `the id of a feeder (${known.join(', ')})`);
    else if (members.indexOf(id) < index) say.refuse([...at, 'feeders', index], 'each feeder once');
  }
}

/** One time constant, or those of oil and winding. */
function judgeHeat(thermal: unknown, at: Path, say: Say): void {
  if (thermal === undefined || thermal === null) return;
  const oil = field(thermal, 'oil');
  const hasConstant = field(thermal, 'timeConstantMin') !== undefined;
  if (oil === undefined) {
    if (!hasConstant) say.refuse([...at, 'timeConstantMin'], 'a time constant, or oil in its place');
    return judgeThermal(thermal, at, null, say);
  }
  for (const key of ['timeConstantMin', 'coolingTimeConstantMin'])
    if (field(thermal, key) !== undefined) say.refuse([...at, key], 'nothing here, since oil has its time constants');
  const [ambientC, hotSpotC] = [number(oil, 'ambientC'), number(oil, 'hotSpotC')];
  if (ambientC !== null && hotSpotC !== null && hotSpotC <= ambientC)
    say.refuse([...at, 'oil', 'hotSpotC'], `more than ambientC (${ambientC})`);
}
