// The Mosquitto of hardware/mosquitto as it stands, but for the places of its files, the user and the ports, which are
// those of a test. One authority signs the broker and the substations, another one the head end.
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Authority } from './certificates.ts';
import { freePort, Mosquitto } from './mosquitto.ts';

const HARDWARE = join(import.meta.dirname, '../../hardware/mosquitto');

export interface HardwareBroker {
  readonly substations: Authority;
  readonly headEnd: Authority;
  /** Where substations come in. */
  readonly url: string;
  readonly headEndUrl: string;
  close(): Promise<void>;
}

export async function startHardwareBroker(): Promise<HardwareBroker> {
  const substations = new Authority('DNO substations');
  const headEnd = new Authority('DNO head end');
  const own = substations.issue('broker', { names: 'IP:127.0.0.1' });
  const headEndPort = await freePort();
  const broker = await Mosquitto.start({
    configuration(port, folder) {
      const certs = join(folder, 'certs');
      mkdirSync(certs);
      copyFileSync(substations.ca, join(certs, 'substations-ca.pem'));
      copyFileSync(headEnd.ca, join(certs, 'headend-ca.pem'));
      copyFileSync(own.cert, join(certs, 'broker.pem'));
      copyFileSync(own.key, join(certs, 'broker.key'));
      copyFileSync(join(HARDWARE, 'acl'), join(folder, 'acl'));
      const moved = readFileSync(join(HARDWARE, 'mosquitto.conf'), 'utf8')
        .replace(/^listener 8883$/m, `listener ${port} 127.0.0.1`)
        .replace(/^listener 8884$/m, `listener ${headEndPort} 127.0.0.1`)
        .replaceAll('/etc/mosquitto/', `${folder}/`)
        .replace('/var/lib/mosquitto/', `${folder}/`);
      return `${moved}\nuser ${userInfo().username}\nlog_dest stderr\nlog_type error\n`;
    },
  });
  return {
    substations,
    headEnd,
    url: broker.url,
    headEndUrl: `mqtts://127.0.0.1:${headEndPort}`,
    async close() {
      await broker.remove();
      for (const { folder } of [substations, headEnd]) rmSync(folder, { recursive: true, force: true });
    },
  };
}
