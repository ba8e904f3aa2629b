// The files that prove who is who: the certificate authority, this substation's certificate with its key, a password.
// Read at every connect, looked at once a minute, and only believed when they fit together, so that a file that is half
// written costs nobody the link. What is wrong with them is said by name and never by content.
import { createPrivateKey, hash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { UplinkSettings } from '../uplink-settings.ts';
import type { CertificateEnd } from './certificate-ends.ts';

export interface Credentials {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly username?: string;
  readonly password?: string;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Throws in one line that names the file and nothing that is in it. */
export function readCredentials({ tls, user }: UplinkSettings): Credentials {
  const ca = tls === undefined ? undefined : read(tls.caFile);
  const cert = tls?.certFile === undefined ? undefined : read(tls.certFile);
  const key = tls?.keyFile === undefined ? undefined : read(tls.keyFile);
  if (ca !== undefined && tls !== undefined) certificatesIn(ca, tls.caFile);
  if (cert !== undefined && key !== undefined && tls !== undefined) checkPair(cert, key, tls);
  const files = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  if (tls !== undefined) checkStrength(files, tls);
  return {
    ...files,
    ...(user && {
      username: user.name,
      password: read(user.passwordFile)
        .toString('utf8')
        .replace(/\r?\n$/, ''),
    }),
  };
}

/** The same for the same content. */
export function fingerprintOf(credentials: Credentials): string {
  const { ca, cert, key, username, password } = credentials;
  return hash('sha256', [ca, cert, key, username, password].map(String).join('\0'), 'hex');
}

/** When the certificates of the files end: the first to end of each file. */
export function endsOf({ tls }: UplinkSettings, { ca, cert }: Credentials): CertificateEnd[] {
  const files = [
    [tls?.caFile, ca],
    [tls?.certFile, cert],
  ] as const;
  return files.flatMap(([path, content]) => {
    if (path === undefined || content === undefined) return [];
    const ends = certificatesIn(content, path).map(({ validTo }) => Date.parse(validTo));
    return [{ of: path, endsWallMs: Math.min(...ends) }];
  });
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function certificatesIn(content: Buffer, path: string): X509Certificate[] {
  const blocks = content.toString('latin1').match(CERTIFICATE) ?? [];
  if (blocks.length === 0) throw new Error(`${path} holds no PEM certificate`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    throw new Error(`${path} holds a certificate that cannot be read`);
  }
}

function checkPair(cert: Buffer, key: Buffer, { certFile, keyFile }: NonNullable<UplinkSettings['tls']>): void {
  const [own] = certificatesIn(cert, certFile ?? '');
  let fits: boolean | undefined;
  try {
    fits = own?.checkPrivateKey(createPrivateKey(key));
  } catch {
    throw new Error(`${keyFile} holds no private key that can be read`);
  }
  if (fits !== true) throw new Error(`${keyFile} is not the key of ${certFile}`);
}

/** What OpenSSL refuses for being too weak would else be thrown in the middle of a connect. */
function checkStrength(files: Credentials, { caFile, certFile }: NonNullable<UplinkSettings['tls']>): void {
  try {
    createSecureContext(files);
  } catch (error) {
    const names = [caFile, certFile].filter((name) => name !== undefined).join(' and ');
    throw new Error(`${names} cannot be used: ${(error as NodeJS.ErrnoException).code}`);
  }
}
