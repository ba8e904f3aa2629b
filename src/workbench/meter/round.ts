// What `headroom meter` shows of one turn of a source, of either kind: where a value stands, how it came, what it is
// worth.
import { judgeCurrent } from '../../acquisition/quality.ts';
import { qualityRules } from '../../acquisition/quality-rules.ts';
import type { Given } from '../../acquisition/source-reading.ts';
import { type Quality, type QualityReason, rounded } from '../../feeder.ts';
import type { FeederSettings } from '../../feeder-settings.ts';

/** A value as it was read, and what became of it. */
export interface ValueRow {
  readonly quantity: string;
  readonly conductor: string | null;
  /** In `unit`, as the source gives it; null where there is no number. */
  readonly value: number | null;
  readonly unit: string;
  /** Currents only: primary amperes by the CT ratio of the feeder that takes them. */
  readonly currentA?: number | null;
  readonly feederId?: string;
  readonly quality: Quality;
  readonly reason: QualityReason | null;
}

/** One register of a Modbus meter. */
export interface RegisterRow extends ValueRow {
  readonly circuit: number;
  readonly functionCode: number;
  /** As on the wire. */
  readonly address: number;
  /** As they came, in hexadecimal; empty where nothing came. */
  readonly words: readonly string[];
}

/** One node of an OPC UA server. */
export interface NodeRow extends ValueRow {
  readonly nodeId: string;
  /** As it came, in hexadecimal; null where nothing came. */
  readonly status: string | null;
  /** When the server says that it measured (ISO 8601); null where it does not. */
  readonly sourceAt: string | null;
}

export interface MeterRound {
  readonly source: string;
  readonly at: string;
  readonly ok: boolean;
  /** Of the telegram with the phase currents, or of the read of all nodes; null where it was not answered. */
  readonly roundTripMs: number | null;
  readonly reads: number;
  /** How often what went wrong, since the start. */
  readonly faults: Readonly<Record<string, number>>;
  /** What went wrong last in this round, or what was agreed with the server, in words. */
  readonly detail: string | null;
  readonly registers?: readonly RegisterRow[];
  readonly nodes?: readonly NodeRow[];
}

/** A source that is read round by round. */
export interface LiveSource {
  round(): Promise<MeterRound>;
  close(): void;
}

/** A feeder that takes its currents from the source in question, and by which CT. */
export interface Taker {
  readonly feeder: FeederSettings;
  readonly ratio: FeederSettings['ctRatio'];
}

/** The quality of one value by itself, as the controller's rules have it; what needs more than one turn is not judged. */
export function judged(
  quantity: string,
  given: Given,
  taker: Taker | undefined,
): Pick<ValueRow, 'value' | 'quality' | 'reason' | 'currentA' | 'feederId'> {
  const value = typeof given === 'number' ? given : typeof given === 'string' ? null : given.value;
  if (quantity === 'current' && taker !== undefined) {
    const { feeder, ratio } = taker;
    return { value, feederId: feeder.id, ...judgeCurrent(given, qualityRules(feeder, ratio, 0).plausibility) };
  }
  if (typeof given === 'string') return { value, quality: 'bad', reason: given };
  if (typeof given === 'number') return { value, quality: 'good', reason: null };
  return { value, quality: 'uncertain', reason: given.doubt };
}

/** As text: a line about the source, then one for each value. */
export function showRound({ source, at, roundTripMs, reads, faults, detail, ...rows }: MeterRound): string {
  const counts = Object.entries(faults).map(([fault, count]) => `${fault} ${count}`);
  const trip = roundTripMs === null ? 'no answer' : `${roundTripMs} ms`;
  const head = `${source}  ${at}  round trip ${trip}  reads ${reads}  faults ${counts.join(', ') || 'none'}\n`;
  const lines = [...(rows.registers ?? []).map(showRegister), ...(rows.nodes ?? []).map(showNode)];
  return `${head}${lines.join('')}${detail === null ? '' : `  ${detail}\n`}`;
}

function showRegister(row: RegisterRow): string {
  const name = `${row.quantity} ${row.conductor ?? ''}${row.circuit === 1 ? '' : ` of circuit ${row.circuit}`}`;
  const place = `FC${row.functionCode} ${row.address}`;
  return `  ${name.padEnd(20)} ${place.padEnd(10)} ${row.words.join(' ').padEnd(28)} ${showValue(row)}`;
}

function showNode(row: NodeRow): string {
  const name = `${row.quantity} ${row.conductor ?? ''}`;
  const stamp = row.sourceAt ?? '';
  return `  ${name.padEnd(20)} ${row.nodeId.padEnd(24)} ${(row.status ?? '').padEnd(10)} ${stamp.padEnd(24)} ${showValue(row)}`;
}

function showValue(row: ValueRow): string {
  const value = row.value === null ? '-' : `${rounded(row.value, 3)} ${row.unit}`.trim();
  const primary = row.currentA == null ? '' : `${row.feederId} ${rounded(row.currentA, 1)} A primary`;
  const quality = row.reason === null ? row.quality : `${row.quality}: ${row.reason}`;
  return `${value.padStart(14)}  ${primary.padEnd(24)} ${quality}\n`;
}
