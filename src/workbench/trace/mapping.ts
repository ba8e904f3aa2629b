// The mapping file: how a CSV that is not native, or a COMTRADE record, becomes amperes of feeders. One schema is its
// type, its checks and its defaults; docs/traces.md explains each key.
import { z } from 'zod';
import { CONDUCTORS, PHASES } from '../../feeder.ts';
import { readYamlFile, showProblem } from '../../yaml-file.ts';
import { isTimeFormat, isZone, TIME_FORMATS, ZONES } from './time-format.ts';

const column = z
  .union([z.string().min(1), z.int().min(1)])
  .transform(String)
  .describe('a name in the header, or a number from 1; of a record the name or number of a channel');
const columns = z
  .union([column, z.array(column).min(1)])
  .transform((given) => (Array.isArray(given) ? given : [given]))
  .describe('a name in the header, or several whose texts are one time with a blank between, as of date and time');
const where = z
  .record(z.string().min(1), z.union([z.string(), z.number()]).transform(String))
  .describe('a row counts only where these columns have these values');

/** Volt-amperes, or amperes, of one of the unit. */
const UNITS = ['A', 'kA', 'W', 'kW', 'MW', 'VA', 'kVA', 'MVA', 'Wh', 'kWh'] as const;

const phases = {
  L1: column.optional(),
  L2: column.optional(),
  L3: column.optional(),
  N: column.optional(),
};

const feeder = z
  .strictObject({
    where: where.optional(),
    ...phases,
    total: column.optional().describe('a value of all three phases together, taken as balanced'),
    voltage: z.strictObject(phases).optional().describe('columns of the voltage from phase to neutral'),
  })
  .describe('the columns, or channels, that are the currents of one feeder');

export const mappingSchema = z
  .strictObject({
    delimiter: z.enum([',', ';', '\t', '|']).default(','),
    headerLine: z
      .int()
      .min(0)
      .default(1)
      .describe('where the names of the columns stand; 0: nowhere, columns are numbers'),
    decimal: z.enum(['.', ',']).default('.'),
    time: z
      .strictObject({
        column: columns,
        format: z
          .string()
          .refine(isTimeFormat, TIME_FORMATS)
          .default('iso')
          .describe('iso, seconds, milliseconds, or a pattern like dd/MM/yyyy HH:mm:ss'),
        zone: z.string().refine(isZone, ZONES).default('UTC').describe('of stamps that name none'),
      })
      .optional()
      .describe('needed for a CSV'),
    where: where.optional(),
    unit: z.enum(UNITS).default('A'),
    intervalS: z.number().positive().optional().describe('of Wh and kWh: the time over which the energy was counted'),
    voltageV: z.number().positive().optional().describe('phase to neutral, where no column has it'),
    powerFactor: z.number().positive().max(1).default(1).describe('turns W into VA'),
    scale: z.number().positive().default(1).describe('every value times this'),
    sign: z
      .enum(['unknown', 'importIsPositive', 'importIsNegative'])
      .default('unknown')
      .describe('unknown: a negative value counts as one of the wrong sign; else it is export'),
    feeders: z
      .record(z.string().min(1), feeder)
      .refine((all) => Object.keys(all).length > 0, 'at least one feeder')
      .describe('by the id that the feeder has in the configuration'),
  })
  .describe('How a trace becomes amperes of feeders');

export type Mapping = z.output<typeof mappingSchema>;
export type MappedFeeder = Mapping['feeders'][string];

export function isAmperes(unit: Mapping['unit']): boolean {
  return unit === 'A' || unit === 'kA';
}

/** Gives the mapping, or every problem of the file as one text. */
export function readMapping(file: string): Mapping | string {
  const { value, problems, problemAt } = readYamlFile(file, mappingSchema);
  if (value === null) return problems.map(showProblem).join('\n');
  const { unit, intervalS, voltageV, feeders } = value;
  const wrong: string[] = [];
  if (unit.endsWith('Wh') && intervalS === undefined)
    wrong.push(showProblem(problemAt(['intervalS'], 'the seconds over which the energy was counted')));
  for (const [id, { voltage, total, ...columns }] of Object.entries(feeders)) {
    const given = PHASES.filter((phase) => columns[phase] !== undefined);
    if ((total === undefined) === (given.length === 0))
      wrong.push(showProblem(problemAt(['feeders', id], 'a column for L1, L2 or L3, or for total')));
    if (voltageV !== undefined || isAmperes(unit)) continue;
    const needed = CONDUCTORS.filter(
      (name) => (total === undefined || name === 'N' ? columns[name] : total) !== undefined,
    );
    const volts = `volts from phase to neutral, to turn ${unit} into amperes`;
    if (voltage === undefined) wrong.push(showProblem(problemAt(['voltageV'], volts)));
    else
      for (const name of needed.filter((name) => voltage[name] === undefined))
        wrong.push(showProblem(problemAt(['feeders', id, 'voltage', name], `a column of ${volts}, or voltageV`)));
  }
  return wrong.length > 0 ? [...new Set(wrong)].join('\n') : value;
}
