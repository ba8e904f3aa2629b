// Whom an OPC UA source trusts, and who we are to the server. The trust list starts empty: a server's certificate is
// accepted by an engineer, by its fingerprint, for one source, and kept in the data directory beside our own
// certificate and key, which are made once. A certificate that is pinned like this is trusted as it stands: whether
// somebody signed it and whether it has expired does not change whose it is (many field devices run on expired ones);
// that it expires is told, long before.
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { replaceFile } from '../replace-file.ts';

/** The files of OPC UA in the data directory. */
export interface TrustFolder {
  readonly ownCertificateFile: string;
  readonly ownKeyFile: string;
  trustedFile(sourceId: string): string;
}

export function trustFolder(dataFolder: string): TrustFolder {
  const root = join(dataFolder, 'opcua');
  return {
    ownCertificateFile: join(root, 'own', 'headroom.pem'),
    ownKeyFile: join(root, 'own', 'headroom.key'),
    trustedFile: (sourceId) => join(root, 'trusted', `${sourceId}.pem`),
  };
}

/** SHA-256 over the certificate, in pairs of hexadecimal digits, as certificate viewers show it. */
export function fingerprintOf(der: Uint8Array): string {
  const digits = createHash('sha256').update(der).digest('hex').toUpperCase();
  return digits.match(/../g)?.join(':') ?? '';
}

/** What people type or paste, with or without colons, in either case, is the same fingerprint. */
export function sameFingerprint(a: string, b: string): boolean {
  const plain = (text: string) => text.replace(/[^0-9a-fA-F]/g, '').toLowerCase();
  return plain(a) === plain(b) && plain(a).length === 64;
}

/** The fingerprint that is trusted for a source; null while none is. */
export function trustedFingerprint(folder: TrustFolder, sourceId: string): string | null {
  const file = folder.trustedFile(sourceId);
  if (!existsSync(file)) return null;
  return fingerprintOf(new X509Certificate(readFileSync(file)).raw);
}

/** Trusts this certificate for this source, and no other any more. */
export function trust(folder: TrustFolder, sourceId: string, der: Uint8Array): void {
  const file = folder.trustedFile(sourceId);
  mkdirSync(join(file, '..'), { recursive: true, mode: 0o750 });
  // A controller that connects at this moment reads the old one or the new one.
  replaceFile(file, new X509Certificate(der).toString(), { mode: 0o640 });
}

export const APPLICATION_NAME = 'Headroom';

/** OPC UA Part 4, 7.2: globally unique; the certificate carries it and the server compares. */
export function applicationUri(): string {
  return `urn:${hostname()}:${APPLICATION_NAME}`;
}

const VALID_DAYS = 3650;
const DAY_MS = 86_400_000;

/** Makes our certificate and key unless they are there. Self-signed: the server's engineer trusts it by its fingerprint. */
export async function ensureOwnCertificate(folder: TrustFolder, wallMs: number): Promise<void> {
  const { ownCertificateFile, ownKeyFile } = folder;
  if (existsSync(ownCertificateFile) && existsSync(ownKeyFile)) return;
  const { CertificatePurpose, createSelfSignedCertificate, generatePrivateKey, privateKeyToPEM } = await import(
    'node-opcua-crypto'
  );
  const privateKey = await generatePrivateKey(2048);
  const { cert } = await createSelfSignedCertificate({
    privateKey,
    subject: `CN=${APPLICATION_NAME} ${hostname()}`,
    dns: [hostname()],
    applicationUri: applicationUri(),
    // A day back: the server's clock need not agree with this one.
    notBefore: new Date(wallMs - DAY_MS),
    validity: VALID_DAYS,
    purpose: CertificatePurpose.ForApplication,
  });
  const { privPem } = await privateKeyToPEM(privateKey);
  mkdirSync(join(ownKeyFile, '..'), { recursive: true, mode: 0o750 });
  // Whoever opens the file between its making and the chmod finds nobody's rights but ours.
  writeFileSync(ownKeyFile, privPem, { mode: 0o600 });
  chmodSync(ownKeyFile, 0o600);
  writeFileSync(ownCertificateFile, cert, { mode: 0o644 });
}

/** A certificate for people. */
export interface CertificateFacts {
  readonly subject: string;
  readonly issuer: string;
  readonly validFrom: string;
  readonly validTo: string;
  readonly fingerprint: string;
}

export function factsOf(der: Uint8Array): CertificateFacts {
  const certificate = new X509Certificate(der);
  const line = (name: string | undefined) => (name ?? '').replaceAll('\n', ', ');
  return {
    subject: line(certificate.subject),
    issuer: line(certificate.issuer),
    validFrom: new Date(certificate.validFrom).toISOString(),
    validTo: new Date(certificate.validTo).toISOString(),
    fingerprint: fingerprintOf(der),
  };
}

const EXPIRY_NOTICE_DAYS = 60;

/** What there is to say about the end of a certificate; null while it is far off. */
export function expiryNotice(der: Uint8Array, whose: string, wallMs: number): string | null {
  const days = Math.floor((Date.parse(new X509Certificate(der).validTo) - wallMs) / DAY_MS);
  if (days > EXPIRY_NOTICE_DAYS) return null;
  return days < 0 ? `${whose} has expired` : `${whose} expires in ${days} days`;
}
