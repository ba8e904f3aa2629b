// What a journal holds, as lines for a person or as one JSON document.
import type { FeederSummary, Running } from '../journal/reader.ts';
import type { Proof } from '../journal/verify.ts';
import type { Curtailment, Event } from '../messages.ts';

/** `running` is what the controller says of itself; null where none runs. */
export function showStatus(
  feeders: readonly FeederSummary[],
  alive: boolean,
  running: Running | null,
  json: boolean,
): string {
  if (json) return `${JSON.stringify({ alive, running, feeders }, null, 2)}\n`;
  const lines = feeders.map(({ feederId, state, keptAtMs, request, ackStatus }) => {
    const last = request as Curtailment | null;
    const standing =
      state.episode !== null && last !== null
        ? `${last.action} ${last.levelPercent} % until ${last.end}, ${ackStatus ?? 'no ack yet'}`
        : 'no limit';
    const alarms = [...(state.blind ? ['blind'] : []), ...state.alarms];
    return `${feederId.padEnd(16)} ${standing}${alarms.length > 0 ? `  alarms: ${alarms.join(', ')}` : ''}  (kept ${new Date(keptAtMs).toISOString()})`;
  });
  const first = [
    alive ? 'scanning' : 'not scanning',
    ...(running === null ? [] : [`version ${running.version}, settings ${running.settings}`]),
    ...(running?.insecure ? ['insecure: allowInsecure is in force'] : []),
  ];
  return `${[first.join(', '), ...lines].join('\n')}\n`;
}

export function showEvents(events: readonly unknown[], json: boolean): string {
  if (json) return `${JSON.stringify(events, null, 2)}\n`;
  return events.map((event) => `${eventLine(event as Event)}\n`).join('');
}

export function showProof(proof: Proof, json: boolean): string {
  if (json) return `${JSON.stringify(proof)}\n`;
  const { events, broken, reason } = proof;
  if (broken === null) return `${events} events, every link holds\n`;
  return `${events} events hold; the chain is broken at event ${broken}: ${reason}\n`;
}

/** One event in one line. */
function eventLine(event: Event): string {
  const { sequence, at, feederId, type, element, phase, currentA, levelPercent, alarm, sourceId, reason, historical } =
    event;
  const what = [
    alarm ?? sourceId ?? element,
    phase,
    currentA === undefined ? undefined : `${currentA.toFixed(1)} A`,
    levelPercent === undefined ? undefined : `${levelPercent} %`,
    historical ? 'historical' : undefined,
  ];
  const parts = [
    at,
    String(sequence).padStart(6),
    (feederId ?? '-').padEnd(12),
    type.padEnd(8),
    ...what,
    `(${reason})`,
  ];
  return parts.filter((part) => part !== undefined).join(' ');
}
