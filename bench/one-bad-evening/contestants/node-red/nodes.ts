// The parts that both flows share: brokers, meters and reads as Node-RED keeps them in a flows file.

export const given = (name: string): string => process.env[`EVENING_${name}`] ?? '';
export const feeders = given('METERS')
  .split(',')
  .map((port, index) => ({ name: `F${index + 1}`, port: Number(port) }));

export type Node = Record<string, unknown>;

export const flow: Node = { id: 'flow', type: 'tab', label: 'one bad evening' };

/** As the editor makes it, with MQTT 5 and a session of its own. */
export const broker: Node = {
  id: 'broker',
  type: 'mqtt-broker',
  name: 'head end',
  broker: '127.0.0.1',
  port: given('BROKER'),
  clientid: 'evening',
  autoConnect: true,
  usetls: false,
  protocolVersion: '5',
  keepalive: '60',
  cleansession: true,
};

/** A Modbus client and a read that polls the three currents. */
export function meter({ name, port }: { name: string; port: number }, to: string): Node[] {
  return [
    {
      id: `${name}-client`,
      type: 'modbus-client',
      name,
      clienttype: 'tcp',
      bufferCommands: true,
      stateLogEnabled: false,
      queueLogEnabled: false,
      failureLogEnabled: false,
      tcpHost: '127.0.0.1',
      tcpPort: String(port),
      tcpType: 'DEFAULT',
      unit_id: 1,
      commandDelay: 1,
      clientTimeout: Number(given('TIMEOUT_MS')),
      reconnectOnTimeout: true,
      reconnectTimeout: 2000,
      parallelUnitIdsAllowed: true,
    },
    {
      id: `${name}-read`,
      type: 'modbus-read',
      z: 'flow',
      name,
      topic: name,
      unitid: '1',
      dataType: 'InputRegister',
      adr: '6',
      quantity: '6',
      rate: given('POLL_MS'),
      rateUnit: 'ms',
      delayOnStart: false,
      server: `${name}-client`,
      useIOFile: false,
      emptyMsgOnFail: false,
      x: 150,
      y: 100,
      wires: [[to], []],
    },
  ];
}

export function functionNode(id: string, func: string, wires: readonly string[][], initialize = ''): Node {
  return { id, type: 'function', z: 'flow', name: id, func, outputs: wires.length, initialize, x: 350, y: 100, wires };
}

export const output: Node = {
  id: 'say',
  type: 'mqtt out',
  z: 'flow',
  name: '',
  topic: '',
  qos: '1',
  retain: 'false',
  broker: 'broker',
  x: 550,
  y: 100,
  wires: [],
};
