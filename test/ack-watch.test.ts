// What acknowledgements may say one after another, and when a limit should have been applied.
import { describe, expect, test } from 'vitest';
import { AckWatch } from '../src/ack-watch.ts';
import type { Ack } from '../src/messages.ts';
import { ackOf, request, START_MS } from './uplink/site.ts';

const limit = request('F1', 1);
const say = (watch: AckWatch, ...statuses: Ack['status'][]) =>
  statuses.map((status) => watch.judge('F1', limit.message, ackOf(limit, { status })));

describe('one after another', () => {
  test.each<[string, Ack['status'][], string]>([
    ['the ordinary way', ['accepted', 'dispatched', 'applied', 'ended'], 'good good good good'],
    ['a refusal at once', ['rejected'], 'good'],
    ['a refusal that is taken back', ['rejected', 'applied'], 'good contradicts'],
    ['a failure that was a success', ['dispatched', 'failed', 'partial'], 'good good contradicts'],
    ['another end after an end', ['ended', 'overridden'], 'good contradicts'],
    ['the end of what had failed', ['failed', 'ended'], 'good over'],
    ['a beginning after the end', ['applied', 'ended', 'accepted'], 'good good contradicts'],
    ['two that cross on their way', ['dispatched', 'accepted'], 'good good'],
  ])('%s', (_name, statuses, expected) => {
    expect(say(new AckWatch(), ...statuses).join(' ')).toBe(expected);
  });

  test('one of a former request is late, and says nothing about the present one', () => {
    const watch = new AckWatch();
    const next = request('F1', 2);
    expect(watch.judge('F1', next.message, ackOf(limit, { status: 'rejected' }))).toBe('late');
    expect(watch.judge('F1', null, ackOf(limit))).toBe('late');
    expect(watch.judge('F1', next.message, ackOf(next, { status: 'applied' }))).toBe('good');
  });
});

describe('applied in time', () => {
  const due = (watch: AckWatch, afterS: number, responseTimeS = 720) =>
    watch.isOverdue('F1', limit.message, responseTimeS, START_MS + afterS * 1000);

  test.each<[string, Ack['status'][], boolean]>([
    ['accepted alone', ['accepted'], true],
    ['dispatched alone', ['accepted', 'dispatched'], true],
    ['dispatched, though accepted came later', ['dispatched', 'accepted'], true],
    ['applied', ['applied'], false],
    ['applied, though dispatched came later', ['applied', 'dispatched'], false],
    ['partial', ['partial'], false],
    ['rejected', ['rejected'], false],
    ['nothing', [], false],
  ])('%s', (_name, statuses, expected) => {
    const watch = new AckWatch();
    say(watch, ...statuses);
    expect(due(watch, 719)).toBe(false);
    expect(due(watch, 720)).toBe(expected);
    expect(due(watch, 10_000)).toBe(false);
  });

  test('never with the closed loop off', () => {
    const watch = new AckWatch();
    say(watch, 'accepted');
    expect(due(watch, 10_000, 0)).toBe(false);
  });
});
