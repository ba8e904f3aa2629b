// What the head end may tell a substation, and the answer. A command selects among what the settings allow: it carries
// no setting, and a key that is not known is refused, because an edge that acts on half of a command acts on another one.
import { z } from 'zod';
import { commandId, element, id, outsideTime, time } from './message-fields.ts';

const common = {
  schema: z.literal('headroom/v1/command'),
  commandId,
  feederId: id.optional().describe('one feeder; every feeder of the substation where it is left out'),
  issuedAt: outsideTime,
  expiresAt: outsideTime.describe('not taken after this; at most 24 h after issuedAt'),
};
const until = outsideTime.optional();
const blocked = element
  .optional()
  .describe('one element only, which is measured all the same; without it every element');
const immediate = z.boolean().optional().describe('true: a standing limit is released at once, not in steps');

export const commandSchema = z
  .discriminatedUnion('action', [
    z
      .strictObject({
        ...common,
        action: z.literal('block'),
        until: until.describe('when the block ends by itself; at most 24 h on, which is also what holds without it'),
        immediate,
        element: blocked,
      })
      .describe('no limit is asked for, and a standing one that nothing else asks for is released'),
    z
      .strictObject({ ...common, action: z.literal('unblock'), element: blocked })
      .describe('ends the block of the whole feeder, or of that element'),
    z.strictObject({ ...common, action: z.literal('release'), immediate }).describe('releases a standing limit'),
    z
      .strictObject({
        ...common,
        action: z.literal('testMode'),
        until: until.describe('when test mode ends; without it, or in the past: it ends now'),
      })
      .describe('live limits are released, then requests are marked test and not retained'),
    z
      .strictObject({
        ...common,
        action: z.literal('settingsGroup'),
        group: id.optional().describe('a group that its settings mark byCommand; left out: back to the calendar'),
        until: until.describe('when the calendar holds again; without it until the next such command'),
      })
      .describe('puts a settings group in force'),
    z
      .strictObject({ ...common, action: z.literal('sayAgain') })
      .describe('the status and every standing request are said again'),
  ])
  .describe('An order of the head end to this substation');
export type Command = z.output<typeof commandSchema>;

export const commandAckSchema = z
  .strictObject({
    schema: z.literal('headroom/v1/command/ack'),
    commandId,
    status: z.enum(['accepted', 'rejected', 'expired']).describe('accepted: carried out, as far as the edge goes'),
    reason: z.string().max(1000),
    at: time,
  })
  .describe('What became of a command; the same answer for every repeat of it');
export type CommandAck = z.output<typeof commandAckSchema>;
