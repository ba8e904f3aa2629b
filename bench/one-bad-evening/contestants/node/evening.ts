// The plain script that many write first, on the libraries that Headroom is built on: modbus-serial reads, a comparison,
// better-sqlite3 keeps the transition, MQTT.js publishes and queues in memory.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import modbus from 'modbus-serial';
import mqtt from 'mqtt';

const given = (name: string): string => process.env[`EVENING_${name}`] ?? '';
const [pollMs, timeoutMs] = [Number(given('POLL_MS')), Number(given('TIMEOUT_MS'))];
const [pickupA, dropoutA] = [Number(given('PICKUP_A')), Number(given('DROPOUT_A'))];
const leaseMs = Number(given('LEASE_S')) * 1000;

const database = new Database(join(given('FOLDER'), 'outbox.db'));
database.pragma('journal_mode = WAL');
database.pragma('synchronous = FULL');
database.exec('CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, body TEXT)');
const insert = database.prepare('INSERT INTO outbox (body) VALUES (?)');
const broker = mqtt.connect(`mqtt://127.0.0.1:${given('BROKER')}`, { protocolVersion: 5 });
broker.on('error', (error) => console.error(error.message));
let sequence = Date.now();

for (const [index, port] of given('METERS').split(',').entries()) void watch(`F${index + 1}`, Number(port));

async function watch(feeder: string, port: number): Promise<void> {
  const meter = new modbus.default();
  meter.setTimeout(timeoutMs);
  let limited = false;
  for (let nextMs = performance.now(); ; nextMs += pollMs) {
    await sleep(Math.max(0, nextMs - performance.now()));
    try {
      if (!meter.isOpen) {
        await meter.connectTCP('127.0.0.1', { port });
        meter.setID(1);
      }
      const { buffer } = await meter.readInputRegisters(6, 6);
      const currentA = Math.max(buffer.readFloatBE(0), buffer.readFloatBE(4), buffer.readFloatBE(8));
      const wanted: boolean = limited ? currentA >= dropoutA : currentA >= pickupA;
      if (wanted !== limited) {
        limited = wanted;
        say(feeder, limited ? 'limit' : 'release', currentA);
      }
    } catch (error) {
      console.error(feeder, (error as Error).message);
      if (performance.now() - nextMs > pollMs) nextMs = performance.now();
    }
  }
}

function say(feeder: string, action: string, currentA: number): void {
  sequence += 1;
  const at = new Date();
  const validUntil = new Date(at.getTime() + leaseMs);
  const body = JSON.stringify({ id: `node-${sequence}`, sequence, feeder, action, currentA, at, validUntil });
  insert.run(body);
  broker.publish(`evening/${feeder}/request`, body, { qos: 1 });
}
