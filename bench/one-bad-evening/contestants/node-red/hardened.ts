// Prints the hardened flow, what a good integrator makes of the same nodes: values are checked, state and queue are kept
// in a file context, a message is sent again until the broker has taken it, in order, and never after it has expired.
import { broker, feeders, flow, functionNode, given, meter, type Node, output } from './nodes.ts';

const compare = `
const words = Buffer.alloc(12);
if (!Array.isArray(msg.payload) || msg.payload.length !== 6) return null;
msg.payload.forEach((word, index) => words.writeUInt16BE(word, 2 * index));
const currents = [words.readFloatBE(0), words.readFloatBE(4), words.readFloatBE(8)].map(Math.abs);
if (currents.some((current) => !Number.isFinite(current) || current > 2000)) return null;
const currentA = Math.max(...currents);
const key = 'limited-' + msg.topic;
const limited = flow.get(key, 'kept') || false;
const wanted = limited ? currentA >= ${given('DROPOUT_A')} : currentA >= ${given('PICKUP_A')};
if (wanted === limited) return null;
const sequence = Math.max(flow.get('sequence', 'kept') || 0, Date.now()) + 1;
const at = new Date();
const item = {
  id: 'node-red-' + sequence, sequence, feeder: msg.topic, action: wanted ? 'limit' : 'release', currentA,
  at: at.toISOString(), validUntil: new Date(at.getTime() + ${given('LEASE_S')} * 1000).toISOString(),
};
const queue = flow.get('queue', 'kept') || [];
queue.push(item);
flow.set(['sequence', 'queue', key], [sequence, queue.slice(-10000), wanted], 'kept');
return { wake: true };
`;

/** One message in flight; the next goes when the broker has taken it, or after a while without that. */
const send = `
const queue = flow.get('queue', 'kept') || [];
if (msg.done) {
  if (queue.length > 0 && queue[0].id === context.get('flight')) { queue.shift(); flow.set('queue', queue, 'kept'); }
  context.set('flight', null);
}
if (msg.link !== undefined) { context.set('up', msg.link); context.set('flight', null); }
if (!context.get('up')) return null;
if (context.get('flight') && Date.now() - context.get('flightAt') < 5000) return null;
while (queue.length > 0 && Date.parse(queue[0].validUntil) <= Date.now()) { queue.shift(); flow.set('queue', queue, 'kept'); }
if (queue.length === 0) return null;
context.set('flight', queue[0].id);
context.set('flightAt', Date.now());
return { topic: 'evening/' + queue[0].feeder + '/request', payload: JSON.stringify(queue[0]) };
`;

const more: Node[] = [
  {
    id: 'done',
    type: 'complete',
    z: 'flow',
    name: '',
    scope: ['say'],
    uncaught: false,
    x: 150,
    y: 200,
    wires: [['taken']],
  },
  functionNode('taken', 'return { done: true };', [['send']]),
  { id: 'link', type: 'status', z: 'flow', name: '', scope: ['say'], x: 150, y: 300, wires: [['state']] },
  functionNode('state', "return { link: msg.status.fill === 'green' };", [['send']]),
  {
    id: 'tick',
    type: 'inject',
    z: 'flow',
    name: '',
    props: [],
    repeat: '1',
    once: true,
    onceDelay: 0.1,
    x: 150,
    y: 400,
    wires: [['send']],
  },
];

process.stdout.write(
  JSON.stringify([
    flow,
    { ...broker, cleansession: false, keepalive: '10' },
    ...feeders.flatMap((feeder) => meter(feeder, 'compare')),
    functionNode('compare', compare, [['send']]),
    functionNode('send', send, [['say']]),
    ...more,
    output,
  ]),
);
