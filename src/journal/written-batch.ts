// A batch of the journal with everything in it as text: what goes into the tables, and what stands in the redo file
// until it is there. One line each of what and body; JSON holds no line breaks of its own.
import type { Stamp, StoredEvent, StoredRequest } from './records.ts';

export interface WrittenBatch {
  readonly stamp: Stamp;
  readonly states: readonly { readonly feederId: string; readonly body: string }[];
  readonly requests: readonly Omit<StoredRequest, 'ackStatus'>[];
  /** Commands of this turn with their answers, so that none is ever taken twice. */
  readonly commands: readonly { readonly commandId: string; readonly answer: string }[];
  readonly withheld: readonly { readonly requestId: string; readonly why: 'superseded' | 'expired' }[];
  readonly events: readonly StoredEvent[];
}

export function encodeBatch({ stamp, states, requests, commands, withheld, events }: WrittenBatch): string {
  let text = JSON.stringify(stamp);
  for (const { feederId, body } of states) text += `\nstate${JSON.stringify({ feederId })}\n${body}`;
  for (const { body, ...about } of requests) text += `\nrequest${JSON.stringify(about)}\n${body}`;
  for (const { answer, ...about } of commands) text += `\ncommand${JSON.stringify(about)}\n${answer}`;
  for (const about of withheld) text += `\nwithheld${JSON.stringify(about)}\n`;
  for (const { body, ...about } of events) text += `\nevent${JSON.stringify(about)}\n${body}`;
  return text;
}

/** Throws where `text` is not what `encodeBatch` makes. */
export function decodeBatch(text: string): WrittenBatch {
  const lines = text.split('\n');
  const all = { state: [], request: [], command: [], withheld: [], event: [] } as Record<string, object[]>;
  for (let line = 1; line + 1 < lines.length; line += 2) {
    const what = lines[line] ?? '';
    const brace = what.indexOf('{');
    const kind = what.slice(0, brace);
    const body = lines[line + 1];
    all[kind]?.push({ ...JSON.parse(what.slice(brace)), [kind === 'command' ? 'answer' : 'body']: body });
  }
  const { state: states, request: requests, command: commands, withheld, event: events } = all;
  return { stamp: JSON.parse(lines[0] ?? ''), states, requests, commands, withheld, events } as unknown as WrittenBatch;
}
