// Whether a broker can be reached, without becoming its client: a connection, with TLS a whole handshake, and no word of
// MQTT. So a substation looks for its preferred broker while it is still with another one, and is never with both.
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Credentials } from './credentials.ts';

export type Probe = (url: string, credentials: Credentials) => Promise<boolean>;

const PROBE_TIMEOUT_MS = 5_000;

export const probe: Probe = (url, { ca, cert, key }) =>
  new Promise((resolve) => {
    const { hostname, port, protocol } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, '');
    const secure = protocol === 'mqtts:';
    const at = { host, port: Number(port) || (secure ? 8883 : 1883) };
    const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), minVersion: 'TLSv1.2' as const };
    const socket = secure
      ? connectTls({ ...at, ...tls, ...(isIP(host) === 0 && { servername: host }) })
      : connectTcp(at);
    const done = (reached: boolean) => {
      socket.destroy();
      resolve(reached);
    };
    socket.once(secure ? 'secureConnect' : 'connect', () => done(true));
    socket.once('error', () => done(false));
    socket.setTimeout(PROBE_TIMEOUT_MS, () => done(false));
  });
