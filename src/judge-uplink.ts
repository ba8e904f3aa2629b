// Relations between the settings of the uplink.
import { resolve } from 'node:path';
import { field, isFile, list, type Say, text } from './judge.ts';
import type { Path } from './yaml-file.ts';

export function judgeUplink(given: unknown, say: Say, folder: string): void {
  const uplink = field(given, 'uplink');
  const insecure = field(uplink, 'allowInsecure') === true;
  for (const [index, broker] of list(uplink, 'brokers').entries()) {
    const url = text(broker, 'url');
    if (url?.startsWith('mqtt://') && !insecure) {
      say.refuse(['uplink', 'brokers', index, 'url'], 'mqtts://, or allowInsecure: true in uplink');
    }
  }
  const tls = field(uplink, 'tls');
  const [certificate, key] = [field(tls, 'certFile'), field(tls, 'keyFile')];
  const isSecure = list(uplink, 'brokers').some((broker) => text(broker, 'url')?.startsWith('mqtts://'));
  if (isSecure && tls === undefined) {
    const own = "this substation's certFile and keyFile";
    say.warn(['uplink', 'tls'], `${own}, and a caFile, unless a public authority signed the broker`);
  } else if (isSecure && certificate === undefined) {
    const reason = 'without it only a password, or nothing, tells the broker who this is';
    say.warn(['uplink', 'tls', 'certFile'], `the certificate of this substation: ${reason}`);
  }
  if (insecure) say.warn(['uplink', 'allowInsecure'], 'false outside a bench: what is said can be read and forged');
  const files: Path[] = [
    ['tls', 'caFile'],
    ['tls', 'certFile'],
    ['tls', 'keyFile'],
    ['user', 'passwordFile'],
  ];
  for (const [group, key] of files as [string, string][]) {
    const path = text(field(uplink, group), key);
    if (path === null || path === '') continue;
    if (!isFile(resolve(folder, path))) {
      say.refuse(['uplink', group, key], 'a file that is there, relative to this one');
    }
  }
  if (certificate !== undefined && key === undefined) say.refuse(['uplink', 'tls', 'keyFile'], 'the key of certFile');
  if (certificate === undefined && key !== undefined) {
    say.refuse(['uplink', 'tls', 'certFile'], 'the certificate that keyFile belongs to');
  }
}
