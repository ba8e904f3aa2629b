// Prints the stock flow: modbus-read, a function that compares, mqtt out; as the nodes come.
import { broker, feeders, flow, functionNode, given, meter, output } from './nodes.ts';

const compare = `
const words = Buffer.alloc(12);
msg.payload.forEach((word, index) => words.writeUInt16BE(word, 2 * index));
const currentA = Math.max(words.readFloatBE(0), words.readFloatBE(4), words.readFloatBE(8));
const key = 'limited-' + msg.topic;
const limited = context.get(key) || false;
const wanted = limited ? currentA >= ${given('DROPOUT_A')} : currentA >= ${given('PICKUP_A')};
if (wanted === limited) return null;
context.set(key, wanted);
const sequence = (context.get('sequence') || Date.now()) + 1;
context.set('sequence', sequence);
const at = new Date();
return {
  topic: 'evening/' + msg.topic + '/request',
  payload: JSON.stringify({
    id: 'node-red-' + sequence, sequence, feeder: msg.topic, action: wanted ? 'limit' : 'release', currentA,
    at, validUntil: new Date(at.getTime() + ${given('LEASE_S')} * 1000),
  }),
};
`;

process.stdout.write(
  JSON.stringify([
    flow,
    broker,
    ...feeders.flatMap((feeder) => meter(feeder, 'compare')),
    functionNode('compare', compare, [['say']]),
    output,
  ]),
);
