// What an OPC UA data value is worth to us: status code, value and source time stamp become a current, a reason why
// there is none, or a number that the source itself doubts. Pure, and without the library, which costs 80 MB to load.
import type { Given } from './source-reading.ts';

/** The parts of a DataValue that count here; node-opcua's fits. */
export interface DataValueLike {
  readonly statusCode: { readonly value: number };
  readonly value?: { readonly value?: unknown } | null;
  readonly sourceTimestamp?: Date | null;
}

export interface NodeValue {
  readonly given: Given;
  /** The status code as it came. */
  readonly status: number;
  /** When the server says that it measured; null where it does not. */
  readonly sourceWallMs: number | null;
}

/** OPC UA Part 4, 7.39: the two highest bits are the severity. */
const SEVERITY = { good: 0, uncertain: 1 };

/** Codes of Part 4 and Part 8 whose meaning is that the node is not there for us; all other bad ones are the source's. */
const NOT_THERE = new Set([
  0x80340000, // BadNodeIdUnknown
  0x80330000, // BadNodeIdInvalid
  0x803a0000, // BadNotReadable
  0x801f0000, // BadUserAccessDenied
  0x80350000, // BadAttributeIdInvalid
]);
/** Part 8, 6.4: the server shows its last value because nothing updates it any more. However old it is, it is too old. */
const LAST_USABLE = new Set([
  0x408f0000, // UncertainNoCommunicationLastUsableValue
  0x40900000, // UncertainLastUsableValue
]);

export function nodeValue(data: DataValueLike): NodeValue {
  return { given: givenOf(data), status: data.statusCode.value, sourceWallMs: data.sourceTimestamp?.getTime() ?? null };
}

function givenOf({ statusCode, value }: DataValueLike): Given {
  // The low word holds information bits that do not change what the code means.
  const code = (statusCode.value & 0xffff0000) >>> 0;
  const severity = code >>> 30;
  if (NOT_THERE.has(code)) return 'unavailable';
  if (LAST_USABLE.has(code)) return 'noAnswer';
  if (severity !== SEVERITY.good && severity !== SEVERITY.uncertain) return 'sourceBad';
  const number = numberOf(value?.value);
  if (number === null) return 'notANumber';
  return severity === SEVERITY.good ? number : { value: number, doubt: 'sourceDoubts' };
}

/** 64-bit integers come as [high, low]. Whatever is no finite number is null, and never 0. */
function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value) && value.length === 2 && value.every((word) => Number.isInteger(word)))
    return value[0] * 2 ** 32 + value[1];
  return null;
}
