// What the report charts, one section each: the feeders that the trace has readings of, and the transformer.
import type { Configuration } from '../../configuration.ts';
import { rounded } from '../../feeder.ts';
import { ratedCurrentA, TRANSFORMER } from '../../transformer-settings.ts';
import type { CountedResult, ReplayResult } from '../replay/results.ts';
import { countedRows, summaryRows, transformerName } from '../replay/show-results.ts';
import { packSeries } from './columns.ts';

export interface Charted {
  readonly id: string;
  readonly title: string;
  readonly result: CountedResult;
  readonly summary: readonly (readonly [name: string, value: string])[];
}

/** A level drawn across a chart; `isOther` for one of the settings that are compared with. */
interface LevelLine {
  readonly name: string;
  readonly valueA: number;
  readonly isOther?: boolean;
}

export function chartedOf({ feeders, transformer, form }: ReplayResult): Charted[] {
  const charted = feeders
    .filter(({ readings }) => readings > 0)
    .map((result) => ({
      id: result.feederId,
      title: `Feeder ${result.feederId}`,
      result,
      summary: summaryRows(result, form),
    }));
  if (transformer === null || transformer.readings === 0) return charted;
  const name = transformerName(transformer);
  const title = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  const summary = countedRows(transformer, form);
  return [...charted, { id: TRANSFORMER, title, result: transformer, summary }];
}

/** For the page's script; `other` are the settings that are compared with. */
export function chartData(
  { id, title, result }: Charted,
  configuration: Configuration,
  other: Configuration | undefined,
  { series }: ReplayResult,
): object {
  const { episodes, lastMs } = result;
  const own = levelLines(configuration, id);
  const others = other === undefined ? [] : levelLines(other, id);
  const differing = others.filter(
    (line) => !own.some(({ name, valueA }) => name === line.name && valueA === line.valueA),
  );
  return {
    id,
    title,
    lines: [...own, ...differing.map(({ name, valueA }) => ({ name: `B ${name}`, valueA, isOther: true }))],
    episodes: episodes.map(({ startMs, endMs }) => [startMs, endMs ?? lastMs]),
    ...packSeries(series.get(id)?.points() ?? []),
  };
}

/** Of the first settings group of a feeder. */
function levelLines({ settings }: Configuration, id: string): LevelLine[] {
  const { transformer } = settings;
  const group =
    id === TRANSFORMER && transformer !== undefined
      ? { ...transformer, ratingA: rounded(ratedCurrentA(transformer), 1) }
      : settings.feeders.find((feeder) => feeder.id === id)?.settings[0];
  const { ratingA, atRisk, emergency, inverse } = group ?? {};
  const line = (name: string, valueA: number | undefined) => (valueA === undefined ? [] : [{ name, valueA }]);
  return [
    ...line('rating', ratingA),
    ...line('pickup', atRisk?.pickupA),
    ...line('dropout', atRisk?.dropoutA),
    ...line('emergency', emergency?.pickupA),
    ...line('inverse', inverse?.pickupA),
  ];
}
