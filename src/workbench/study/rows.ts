// The tables of a study: which controllers and which misfortunes stand beside one another, and how a result is written.

import { rounded } from '../../feeder.ts';
import type { ControllerName, Stress } from '../simulate/controllers.ts';
import type { Outage } from '../simulate/plant.ts';
import type { Outcome } from './capacity.ts';
import type { JobResult } from './jobs.ts';

export interface Row {
  readonly name: string;
  readonly controller: ControllerName;
  readonly tariffShare?: number;
  readonly stress?: Stress;
}

export const COMPARED: readonly Row[] = [
  { name: 'no control', controller: 'none' },
  { name: 'threshold with hysteresis, off and on', controller: 'threshold' },
  { name: '4.2 kW cap on the same alarm', controller: 'cap' },
  { name: 'half rate 16:30 to 19:30, working days', controller: 'evening' },
  { name: 'Headroom, on/off', controller: 'onOff' },
  { name: 'Headroom, proportional', controller: 'proportional' },
  { name: 'no control, 60 % of cars wait for 00:30', controller: 'none', tariffShare: 0.6 },
  { name: 'Headroom, proportional, 60 % wait for 00:30', controller: 'proportional', tariffShare: 0.6 },
];

/** Those that there is a choice between, with every car on the regulations' delay. */
export const CONTROLLED = COMPARED.filter(
  ({ controller, tariffShare }) => controller !== 'none' && tariffShare === undefined,
);

/** Assumed: homes draw twice what they would at first, for about half an hour. Every car that waits begins at once. */
const OUTAGE: Outage = { fromHour: 18, toHour: 19, coldLoadFactor: 2, coldLoadMin: 30 };

/** Each at the cars that the proportional mode hosts, beside the same cars without control. */
export const STRESSED: readonly Row[] = [
  { name: 'no control', controller: 'none' },
  { name: 'nothing wrong', controller: 'proportional' },
  {
    name: 'DCC down every day, 18:00 to 19:00',
    controller: 'proportional',
    stress: { chain: { downHours: [18, 19] } },
  },
  { name: 'half of the chargers never act', controller: 'proportional', stress: { chain: { deafShare: 0.5 } } },
  { name: 'the meter shows 10 % too little', controller: 'proportional', stress: { meterFactor: 0.9 } },
  {
    name: 'L1 and L2 swapped in the records',
    controller: 'proportional',
    stress: { chain: { recordedPhase: [1, 0, 2] } },
  },
  { name: 'controller dead 10 min after every first limit', controller: 'proportional', stress: { diesAfterS: 600 } },
  { name: 'no control; no supply 18:00 to 19:00, all back at once', controller: 'none', stress: { outage: OUTAGE } },
  { name: 'no supply 18:00 to 19:00, all back at once', controller: 'proportional', stress: { outage: OUTAGE } },
];

/** The document of --json for one feeder. */
export function studyJson(feeder: string, seeds: number, without: JobResult, controlled: JobResult) {
  const { outcome } = controlled;
  const of = (value: (one: Outcome) => number) => (outcome === null ? null : rounded(value(outcome), 2));
  return {
    feeder,
    seeds,
    without: { evs: Math.max(0, without.evs) },
    with: {
      evs: Math.max(0, controlled.evs),
      occasionsPerCustomerYearP95: of((one) => one.occasionsPerCustomerYearP95),
      minutesPerCustomerYearP95: of((one) => one.minutesPerCustomerYearP95),
      minutesPerOccasionMean: of((one) => one.minutesPerOccasionMean),
      unfinishedSharePercent: of((one) => one.unfinishedSharePercent),
      peakThermalPercent: of((one) => one.peakThermalPercent),
    },
    upliftPercent: upliftPercent(without, controlled),
  };
}

/** Null where nothing can be hosted without control: a share of nothing says nothing. */
export function upliftPercent(without: JobResult, controlled: JobResult): number | null {
  return without.evs <= 0 ? null : rounded((100 * (Math.max(0, controlled.evs) - without.evs)) / without.evs, 1);
}

export const COLUMNS = [
  'EVs',
  'occasions p95',
  'minutes p95',
  'min/occasion',
  'unfinished',
  'thermal peak',
  'h over rating/yr',
  's over 1.25 fuse/yr',
  'lowest V',
  'years over',
] as const;

export function cellsOf({ evs, outcome }: JobResult): string[] {
  if (outcome === null) return ['none', ...COLUMNS.slice(1).map(() => '')];
  return [
    String(evs),
    String(outcome.occasionsPerCustomerYearP95),
    outcome.minutesPerCustomerYearP95.toFixed(1),
    `${outcome.minutesPerOccasionMean.toFixed(1)} (p95 ${outcome.minutesPerOccasionP95.toFixed(1)})`,
    `${outcome.unfinishedSharePercent.toFixed(2)} %`,
    `${outcome.peakThermalPercent.toFixed(1)} %`,
    (outcome.overRatingHalfHoursPerYear / 2).toFixed(1),
    outcome.overFuseSPerYear.toFixed(0),
    outcome.lowestVoltageV.toFixed(1),
    String(outcome.violatedYears),
  ];
}

/** Columns wide enough for their widest cell; the first to the left, the others to the right. */
export function tableText(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ');
  return `${[header, ...rows].map((row) => line(row).trimEnd()).join('\n')}\n`;
}
